//! Mounts in a process of their own, which can be killed, and whose memory no test maps.

use crate::disk;
use kvfs::Mode;
use kvfs_mount::{MountError, MountOptions, mount};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// The variable by which this program learns that it is to mount: the store, the directory and the mode,
/// with line ends between them.
const SERVE: &str = "KVFS_MOUNT_SERVE";

/// Whether there is FUSE here. If not, says why.
pub(crate) fn available() -> bool {
    match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(_) => true,
        Err(error) => {
            println!("not tested: /dev/fuse cannot be opened: {error}");
            false
        }
    }
}

/// Whether a program is installed. If not, says so.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        println!("not tested: {program} is not installed");
    }
    is_there
}

/// A store and a directory to mount its volume on.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["store", "mounted", "outside"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    pub(crate) fn mounted(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    /// A directory that is not in the volume.
    pub(crate) fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    /// Mounts the volume.
    pub(crate) fn mount(&self, mode: &str) -> Served {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "harness::serve", "--nocapture", "--test-threads=1"])
            .env(SERVE, format!("{}\n{}\n{mode}", self.store().display(), self.mounted().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take();
        await_line(&mut said, "mounted");
        Served { child, input, said, mounted: self.mounted() }
    }

    /// Checks the stored volume.
    pub(crate) fn fsck(&self) {
        let mut store = kvfs_file_store::FileStore::open(disk::Disk(self.store())).unwrap();
        let report = kvfs::fsck(&mut store, "main").unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        detach(&self.mounted());
    }
}

/// Unmounts whatever a failed test has left.
fn detach(directory: &Path) {
    use nix::mount::{MntFlags, umount2};
    let _ = umount2(directory, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
}

fn await_line(said: &mut BufReader<ChildStdout>, wanted: &str) {
    let mut lines = String::new();
    // The test's own name may stand before what it says.
    while !lines.lines().last().is_some_and(|line| line.ends_with(wanted)) {
        assert!(said.read_line(&mut lines).unwrap() > 0, "the mount has ended: {lines}");
    }
}

/// A process that mounts.
pub(crate) struct Served {
    child: Child,
    input: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
    mounted: PathBuf,
}

impl Served {
    /// Unmounts, and waits until all is stored.
    pub(crate) fn unmount(mut self) {
        self.input.take().unwrap().write_all(b"unmount\n").unwrap();
        await_line(&mut self.said, "unmounted");
        assert!(self.child.wait().unwrap().success());
    }

    /// Kills the process, and removes what is left of the mount.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert!(std::fs::read_dir(&self.mounted).is_err(), "the mount survives its process");
        let again = mount(&self.mounted, MountOptions::default(), || -> Result<_, MountError> {
            panic!("opened below a stale mount")
        });
        assert!(matches!(again, Err(MountError::Stale { .. })), "{:?}", again.err());
        detach(&self.mounted);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            detach(&self.mounted);
        }
    }
}

/// Mounts if a test has started this program for it. Otherwise there is nothing to mount on.
#[test]
fn serve() {
    let Ok(asked) = std::env::var(SERVE) else {
        let refused =
            mount(Path::new("/there/is/nothing"), MountOptions::default(), || -> Result<_, MountError> {
                panic!("opened for no directory")
            });
        assert!(matches!(refused, Err(MountError::Directory { .. })), "{:?}", refused.err());
        return;
    };
    let [store, directory, mode]: [&str; 3] = asked.split('\n').collect::<Vec<_>>().try_into().unwrap();
    let mode = match mode {
        "strict" => Mode::Strict,
        "close" => Mode::Close,
        "lazy" => Mode::Lazy,
        other => panic!("{other}"),
    };
    let store = PathBuf::from(store);
    let options =
        MountOptions { tell: Box::new(|text| eprintln!("kvfs: {text}")), ..MountOptions::default() };
    let session = mount(Path::new(directory), options, move || -> Result<_, MountError> {
        Ok(disk::open(&store, mode))
    });
    let session = session.unwrap();
    println!("mounted");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line, "unmount\n", "the test that started this has ended");
    session.unmount().unwrap();
    println!("unmounted");
}

/// Runs a program, and returns what it wrote.
pub(crate) fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Runs a Python script that lies beside this file.
pub(crate) fn python(script: &str, arguments: &[&str], directory: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/scripts").join(script);
    let arguments: Vec<&str> =
        [path.to_str().unwrap()].into_iter().chain(arguments.iter().copied()).collect();
    run("python3", &arguments, directory)
}
