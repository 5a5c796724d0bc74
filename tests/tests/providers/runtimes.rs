//! The runtimes that results run in: each writes, and each reads what the others wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::success;
use kvfs_compose::{Compose, Link, Provider};
use kvfs_tests::guests;
use kvfs_tests::stock::{self, Version};

/// A CPython with the provider `file`, linked, in a directory with one for its store.
struct Place {
    directory: tempfile::TempDir,
    component: PathBuf,
}

impl Place {
    fn new(link: Link) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("state")).unwrap();
        let guest = std::fs::read(guests::python().unwrap()).unwrap();
        let joined = Compose::new(&guest).provider(Provider::File { path: None }).link(link).build().unwrap();
        let component = directory.path().join("python.wasm");
        std::fs::write(&component, joined.bytes).unwrap();
        Place { directory, component }
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Compiles for a version of the command, and returns what runs a script there.
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
                // CPython's exit code; newer ones need not be told.
                run.args(["-S", "cli-exit-with-code"]);
            }
            run.arg(&compiled).args(["-c", script]);
            success(&run.env_remove("RUST_BACKTRACE").output().unwrap())
        }
    }

    /// Returns what runs a script in wasmtime-py.
    #[cfg_attr(no_wasmtime_py, allow(dead_code))]
    fn in_python(&self) -> impl Fn(&str) -> String {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/run_in_wasmtime_py.py");
        let (component, state) = (self.component.clone(), self.state());
        move |script| {
            let mut python = stock::wasmtime_py().unwrap();
            python.arg(&program).arg(&component).arg(&state).args(["-c", script]);
            success(&python.output().unwrap())
        }
    }
}

/// Has two runtimes work on one store in turns.
fn take_turns(one: impl Fn(&str) -> String, other: impl Fn(&str) -> String) {
    assert_eq!(one(include_str!("../../python/programs/first_process.py")), "written\n");
    assert_eq!(other(include_str!("../../python/programs/second_process.py")), "found\n");
    assert_eq!(other("open('/data/more', 'w').write('from the other')"), "");
    assert_eq!(one("print(open('/data/more').read())"), "from the other\n");
}

/// Has the oldest and the newest command that come prebuilt take turns.
fn oldest_and_newest(link: Link) {
    let place = Place::new(link);
    take_turns(place.compiled(Version::Oldest), place.compiled(Version::Newest));
}

#[test]
#[cfg_attr(
    no_prebuilt_wasmtimes,
    ignore = "there is no prebuilt wasmtime of the oldest or the newest version"
)]
fn linked_results_run_in_the_oldest_and_the_newest_stock_command() {
    oldest_and_newest(Link::Core);
}

#[test]
#[cfg_attr(
    no_prebuilt_wasmtimes,
    ignore = "there is no prebuilt wasmtime of the oldest or the newest version"
)]
fn composed_results_run_in_the_oldest_and_the_newest_stock_command() {
    oldest_and_newest(Link::Component);
}

#[test]
#[cfg_attr(no_wasmtime_py, ignore = "there is no wasmtime-py")]
fn linked_results_run_under_wasmtime_py() {
    let place = Place::new(Link::Core);
    take_turns(place.in_python(), place.compiled(Version::Usual));
}
