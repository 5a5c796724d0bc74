//! The ends of `kvfs run`, one after another on one redb file. After each the file is closed
//! properly and holds what the guest had stored.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use crate::python::composed::processes::kvfs;
use kvfs_host::{Durability, Mutation, RedbReader, RedbStore, SyncStore};
use kvfs_tests::guests;

/// A directory with the Rust guests, a way to join them, and a store.
struct RunDirectory {
    dir: tempfile::TempDir,
    link: &'static str,
}

/// The observed end of a run.
struct End {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    took: Duration,
}

impl RunDirectory {
    fn new(link: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("guests.wasm"), guests::rust().unwrap()).unwrap();
        Self { dir, link }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("state.redb")
    }

    fn command(&self, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = kvfs();
        command.current_dir(self.dir.path());
        command.args(["run", "--store", "redb:state.redb", "--link", self.link]).args(options);
        command.arg("guests.wasm").arg("--").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts an endless program, calls `meanwhile` once it is ready, and waits for its end. Reads
    /// standard error only after that.
    #[track_caller]
    fn endless(&self, options: &[&str], program: &str, meanwhile: impl FnOnce(&Child)) -> End {
        self.try_endless(options, program, meanwhile)
            .unwrap_or_else(|end| panic!("{program}: {}", end.stderr))
    }

    /// Like [`RunDirectory::endless`], but returns an error if the program ends before it is ready.
    fn try_endless(
        &self,
        options: &[&str],
        program: &str,
        meanwhile: impl FnOnce(&Child),
    ) -> Result<End, End> {
        let mut child = self.command(options, &["endless", program]).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        let began = Instant::now();
        let is_ready = ready == "ready\n";
        if is_ready {
            meanwhile(&child);
        }
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        let stderr = all_of(child.stderr.take().unwrap());
        let code = child.wait().unwrap().code();
        let end = End { code, stdout: rest, stderr, took: began.elapsed() };
        if is_ready { Ok(end) } else { Err(end) }
    }

    fn run(&self, options: &[&str], arguments: &[&str]) -> End {
        let began = Instant::now();
        let output = self.command(options, arguments).output().unwrap();
        End {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            took: began.elapsed(),
        }
    }

    /// Fails if the last program left the file open or lost the file that it had closed; then
    /// removes that file.
    #[track_caller]
    fn is_in_order(&self, kept: &str) {
        closed_in_order(&self.store());
        let found = self.run(&[], &["script", &format!("cat {kept}"), &format!("rm {kept}")]);
        let steps: Vec<_> =
            found.stdout.lines().map(|line| line.contains("kept") || line.contains("ok")).collect();
        assert_eq!(found.code, Some(0), "{}", found.stderr);
        assert_eq!(steps, [true, true], "{}", found.stdout);
        closed_in_order(&self.store());
    }
}

#[track_caller]
fn closed_in_order(store: &Path) {
    assert!(!RedbReader::open(store).unwrap().recovered(), "the file was left open");
}

fn all_of(mut stream: ChildStderr) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn signal(name: &'static str) -> impl FnOnce(&Child) {
    move |child| {
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

fn nothing(_: &Child) {}

/// The two ways to join a guest and the file system.
const LINKS: [&str; 2] = ["component", "core"];

#[test]
fn a_store_is_closed_in_order_however_the_program_ends() {
    for link in LINKS {
        let directory = RunDirectory::new(link);
        for (program, code) in [
            ("returns", 0),
            ("returns_an_error", 1),
            ("exits_well", 0),
            ("exits_badly", 1),
            ("exits_with_a_code", 7),
            ("traps", 134),
        ] {
            let end = directory.run(&[], &[&format!("ending/{program}")]);
            assert_eq!(end.code, Some(code), "{program}: {}", end.stderr);
            closed_in_order(&directory.store());
            let clean = directory.run(&[], &["script", "rm closed", "rm open"]);
            assert_eq!(clean.code, Some(0), "{}", clean.stderr);
        }
        for (name, program) in [("INT", "spins"), ("TERM", "writes"), ("HUP", "waits"), ("INT", "stats")] {
            let end = directory.endless(&[], program, signal(name));
            assert_eq!((end.code, end.stderr.as_str()), (Some(130), ""), "{name}");
            directory.is_in_order(program);
        }
    }
}

#[test]
fn a_store_is_closed_in_order_when_no_program_starts() {
    let directory = RunDirectory::new("component");
    {
        // A value that is no superblock: the volume is refused before the guest starts.
        let store = RedbStore::open(directory.store()).unwrap();
        let put = [Mutation::Put { key: b"\x04main\x00", value: b"no superblock" }];
        store.apply(&[], &put, Durability::Buffered).unwrap();
    }
    let end = directory.run(&["--volume", "main"], &["nothing"]);
    assert!(end.code == Some(1) && end.stderr.contains("volume `main`"), "{:?}: {}", end.code, end.stderr);
    closed_in_order(&directory.store());
    let checked =
        kvfs().args(["fsck", "--store", "redb:state.redb", "--repair"]).current_dir(&directory.dir).output();
    assert_ne!(checked.unwrap().status.code(), Some(0));
    closed_in_order(&directory.store());
}

#[test]
fn a_damaged_page_behind_an_orderly_end_never_makes_an_empty_volume() {
    let directory = RunDirectory::new("component");
    let write: Vec<String> = (0..40).map(|i| format!("write f{i} {}", "text".repeat(50))).collect();
    let steps: Vec<&str> = ["script"].into_iter().chain(write.iter().map(String::as_str)).collect();
    for _ in 0..3 {
        assert_eq!(directory.run(&[], &steps).code, Some(0));
    }
    let whole = std::fs::read(directory.store()).unwrap();
    let mut noticed = 0;
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(directory.store(), &damaged).unwrap();
        let fsck =
            kvfs().args(["fsck", "--store", "redb:state.redb"]).current_dir(&directory.dir).output().unwrap();
        let said = String::from_utf8(fsck.stdout).unwrap();
        match fsck.status.code() {
            Some(0) => assert!(said.contains(": 41 inodes, 40 names"), "byte {at}: {said}"),
            Some(4 | 8) => noticed += 1,
            other => panic!("byte {at}: {other:?}: {}", String::from_utf8_lossy(&fsck.stderr)),
        }
    }
    assert!(noticed > 0, "fsck noticed none of the flipped bits");
}

#[test]
fn a_guest_out_of_time_is_ended_and_its_store_closed() {
    for link in LINKS {
        let directory = RunDirectory::new(link);
        for program in ["spins", "stats", "writes", "waits", "floods"] {
            // On a slow machine the time may be over before the program is ready.
            let tries = ["700ms", "5s", "30s"].map(|limit| (limit, ["--timeout", limit]));
            let in_time = tries.iter().find_map(|(limit, options)| {
                Some((limit, directory.try_endless(options, program, nothing).ok()?))
            });
            let (limit, end) = in_time.expect("the program is not ready after half a minute");
            assert_eq!(end.code, Some(124), "{program}: {}", end.stderr);
            let line =
                format!("kvfs: guests.wasm: ended after {limit} (--timeout); what it had stored is kept\n");
            // A flood that nobody reads swallows the line.
            assert!(end.stderr == line || program == "floods", "{program}: {}", end.stderr);
            assert!(end.took < Duration::from_secs(60), "{program}: {:?}", end.took);
            directory.is_in_order(program);
        }
        let end = directory.run(&["--timeout", "1h"], &["nothing"]);
        assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_guest_out_of_fuel_is_ended_at_the_same_instruction_each_time() {
    for link in LINKS {
        let directory = RunDirectory::new(link);
        for _ in 0..2 {
            let end = directory.endless(&["--max-fuel", "30000000"], "spins", nothing);
            assert_eq!(end.code, Some(152), "{}", end.stderr);
            assert!(end.stderr.contains("ended after 30000000 units of fuel (--max-fuel)"), "{}", end.stderr);
            directory.is_in_order("spins");
        }
        let end = directory.run(&["--max-fuel", "10"], &["nothing"]);
        assert_eq!(end.code, Some(152), "the guest started with almost no fuel: {}", end.stderr);
        let end = directory.run(&["--max-fuel", "30000000"], &["nothing"]);
        assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn memory_is_bounded_for_the_guest_and_the_file_system_together() {
    for link in LINKS {
        let directory = RunDirectory::new(link);
        let end = directory.endless(&["--max-memory", "40M"], "takes-memory", nothing);
        assert_eq!(end.code, Some(0), "the guest should go on without more memory: {}", end.stderr);
        let bytes = end.stdout.strip_suffix(" more bytes, true\n").expect(&end.stdout);
        let bytes: u64 = bytes.parse().unwrap();
        assert!((20 << 20..40 << 20).contains(&bytes), "{bytes} bytes of 40 MiB");
        directory.is_in_order("takes-memory");

        let end = directory.endless(&["--max-memory", "40M"], "needs-memory", nothing);
        assert_eq!(end.code, Some(137), "{}", end.stderr);
        assert!(end.stderr.contains("with 41943040 bytes of memory (--max-memory)"), "{}", end.stderr);
        directory.is_in_order("needs-memory");

        let end = directory.run(&["--max-memory", "64K"], &["nothing"]);
        assert_eq!(end.code, Some(137), "the guest should need more to start: {}", end.stderr);
        closed_in_order(&directory.store());
    }
}

#[test]
fn bounds_that_bound_nothing_are_refused() {
    let directory = RunDirectory::new("component");
    for (option, value, expected) in [
        ("--timeout", "0", "must be more than zero"),
        ("--timeout", "soon", "such as 500ms, 30s or 5m"),
        ("--max-memory", "much", "such as 64M"),
        ("--max-fuel", "-1", "invalid value"),
    ] {
        let end = directory.run(&[&format!("{option}={value}")], &["nothing"]);
        assert_eq!(end.code, Some(2), "{option} {value}");
        assert!(end.stderr.contains(expected), "{option} {value}: {}", end.stderr);
        assert!(!directory.store().exists(), "a store was made");
    }
}
