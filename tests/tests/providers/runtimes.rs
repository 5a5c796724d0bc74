//! The runtimes that compositions run in: each writes, and each reads what the others wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::success;
use kvfs_compose::{Compose, Link, Provider};
use kvfs_tests::guests;
use kvfs_tests::stock::{self, Version};

/// CPython joined with the provider `file`, in a directory that also holds its store.
struct PythonWithStore {
    directory: tempfile::TempDir,
    component: PathBuf,
}

impl PythonWithStore {
    fn new(link: Link) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("state")).unwrap();
        let guest = std::fs::read(guests::python().unwrap()).unwrap();
        let joined = Compose::new(&guest)
            .provider(Provider::File { path: None, accept_loss: false })
            .link(link)
            .build()
            .unwrap();
        let component = directory.path().join("python.wasm");
        std::fs::write(&component, joined.bytes).unwrap();
        Self { directory, component }
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Compiles for a version of the command, and returns a function that runs a script there.
    fn compiled(&self, version: Version) -> impl Fn(&str) -> String {
        let command = stock::wasmtime_of(version).unwrap();
        let compiled = self.directory.path().join(format!("{version:?}.cwasm"));
        let mut compile = Command::new(&command);
        success(&compile.arg("compile").arg(&self.component).arg("-o").arg(&compiled).output().unwrap());
        let dir = format!("{}::/kvfs", self.state().display());
        move |script| {
            let mut run = Command::new(&command);
            run.args(["run", "--allow-precompiled", "--dir", &dir]);
            if version == Version::Oldest {
                // Passes CPython's exit code; newer versions do so by default.
                run.args(["-S", "cli-exit-with-code"]);
            }
            run.arg(&compiled).args(["-c", script]);
            success(&run.env_remove("RUST_BACKTRACE").output().unwrap())
        }
    }

    /// Returns a function that runs a script in wasmtime-py.
    #[cfg_attr(no_wasmtime_py, allow(dead_code))]
    fn in_wasmtime_py(&self) -> impl Fn(&str) -> String {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/run_in_wasmtime_py.py");
        let (component, state) = (self.component.clone(), self.state());
        move |script| {
            let mut python = stock::wasmtime_py().unwrap();
            python.arg(&program).arg(&component).arg(&state).args(["-c", script]);
            success(&python.output().unwrap())
        }
    }
}

/// Makes two runtimes take turns on one store.
fn take_turns(one: impl Fn(&str) -> String, other: impl Fn(&str) -> String) {
    assert_eq!(one(include_str!("../../python/programs/first_process.py")), "written\n");
    assert_eq!(other(include_str!("../../python/programs/second_process.py")), "found\n");
    assert_eq!(other("open('/data/more', 'w').write('from the other')"), "");
    assert_eq!(one("print(open('/data/more').read())"), "from the other\n");
}

/// Makes the oldest and the newest prebuilt command take turns.
fn oldest_and_newest(link: Link) {
    let python = PythonWithStore::new(link);
    take_turns(python.compiled(Version::Oldest), python.compiled(Version::Newest));
}

#[test]
#[cfg_attr(no_prebuilt_wasmtimes, ignore = "no prebuilt wasmtime of the oldest or the newest version")]
fn linked_results_run_in_the_oldest_and_the_newest_stock_command() {
    oldest_and_newest(Link::Core);
}

#[test]
#[cfg_attr(no_prebuilt_wasmtimes, ignore = "no prebuilt wasmtime of the oldest or the newest version")]
fn composed_results_run_in_the_oldest_and_the_newest_stock_command() {
    oldest_and_newest(Link::Component);
}

#[test]
#[cfg_attr(no_wasmtime_py, ignore = "wasmtime-py is missing")]
fn linked_results_run_under_wasmtime_py() {
    let python = PythonWithStore::new(Link::Core);
    take_turns(python.in_wasmtime_py(), python.compiled(Version::Usual));
}
