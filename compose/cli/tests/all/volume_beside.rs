//! `kvfs volume` beside a guest that writes all the time, and beside itself.

use super::{kvfs, workshop};
use kvfs::{Access, Follow, OpenFlags, Options};
use kvfs_host::{EngineStore, Volumes, open_store};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// While there is input, writes its number into `first` and then into `second`, each replaced at once,
/// and prints a byte. Traps at the first error.
const WRITER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_rename"
      (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "new")
    (data (i32.const 16) "first")
    (data (i32.const 24) "second")
    (data (i32.const 64) "\00\10\00\00\00\10\00\00") ;; 4096 bytes at 4096
    (data (i32.const 72) "\00\20\00\00\60\09\00\00") ;; 2400 bytes at 8192
    (data (i32.const 80) "\08\00\00\00\01\00\00\00") ;; one byte
    (func $must (param i32) (if (local.get 0) (then (unreachable))))
    (func $replace (param $name i32) (param $length i32)
      (call $must (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 3)
        (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)))
      (call $must (call $write (i32.load (i32.const 32)) (i32.const 72) (i32.const 1) (i32.const 36)))
      (if (i32.ne (i32.load (i32.const 36)) (i32.const 2400)) (then (unreachable)))
      (call $must (call $close (i32.load (i32.const 32))))
      (call $must (call $rename (i32.const 3) (i32.const 8) (i32.const 3)
        (i32.const 3) (local.get $name) (local.get $length))))
    (func (export "_start") (local $number i64) (local $at i32)
      (loop $rounds
        (call $must (call $read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 36)))
        (if (i32.eqz (i32.load (i32.const 36))) (then (return)))
        (local.set $number (i64.add (local.get $number) (i64.const 1)))
        (local.set $at (i32.const 10592))
        (loop $fill
          (local.set $at (i32.sub (local.get $at) (i32.const 8)))
          (i64.store (local.get $at) (local.get $number))
          (br_if $fill (i32.gt_u (local.get $at) (i32.const 8192))))
        (call $replace (i32.const 16) (i32.const 5))
        (call $replace (i32.const 24) (i32.const 6))
        (call $must (call $write (i32.const 1) (i32.const 80) (i32.const 1) (i32.const 36)))
        (br $rounds))))"#;

/// Longer than anything takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// A guest that writes until its input ends.
struct Writing {
    child: Child,
    /// How many rounds it has done.
    rounds: Arc<AtomicU64>,
    reader: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    feeder: JoinHandle<()>,
}

impl Writing {
    fn start(directory: &Path, store: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args([&["run"], store, &["writer.wasm"]].concat())
            .current_dir(directory)
            .env("XDG_CACHE_HOME", directory.join("cache"))
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (rounds, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (mut output, counted) = (child.stdout.take().unwrap(), rounds.clone());
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 64];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                counted.fetch_add(count as u64, Ordering::SeqCst);
            }
        });
        let (mut input, is_stopped) = (child.stdin.take().unwrap(), stop.clone());
        // A round reads as much as this writes at once, so the guest ends soon after it.
        let feeder = std::thread::spawn(move || {
            while !is_stopped.load(Ordering::SeqCst) && input.write_all(&[b'x'; 4096]).is_ok() {}
        });
        let mut writing = Self { child, rounds, reader, stop, feeder };
        writing.wait_for(1);
        writing
    }

    fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::SeqCst)
    }

    /// Waits until it has done this many more rounds.
    fn wait_for(&mut self, more: u64) {
        let (from, end) = (self.rounds(), Instant::now() + LONG);
        while self.rounds() < from + more {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut said = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("the guest ended after {} rounds: {status}, {said}", self.rounds());
            }
            assert!(Instant::now() < end, "the guest stands still after {} rounds", self.rounds());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end, after the end of its input if `asked`. Returns its rounds too.
    fn end(self, asked: bool) -> (Output, u64) {
        self.stop.store(asked, Ordering::SeqCst);
        self.feeder.join().unwrap();
        let output = self.child.wait_with_output().unwrap();
        self.reader.join().unwrap();
        (output, self.rounds.load(Ordering::SeqCst))
    }
}

/// Makes a directory with the guest, composed, in it.
fn with_writer() -> tempfile::TempDir {
    let dir = workshop();
    std::fs::write(dir.path().join("raw.wasm"), wat::parse_str(WRITER).unwrap()).unwrap();
    let composed = kvfs(dir.path(), &["compose", "raw.wasm", "-o", "writer.wasm", "--link", "core"]);
    assert!(composed.status.success(), "{composed:?}");
    dir
}

fn volume(directory: &Path, args: &[&str]) -> Output {
    kvfs(directory, &[&["volume", args[0], "--store", "file:s"], &args[1..]].concat())
}

#[track_caller]
fn done(directory: &Path, args: &[&str]) {
    let output = volume(directory, args);
    assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
}

/// Checks a volume, and returns the numbers in `first` and `second`: those of one moment.
fn moment(directory: &Path, name: &str) -> (u64, u64) {
    let check = kvfs(directory, &["fsck", "--store", "file:s", "--volume", name]);
    assert!(check.status.success(), "{name}: {check:?}");
    let store = open_store(&format!("file:{}/s", directory.display())).unwrap();
    let options = Options { volume: name.to_owned(), ..Options::default() };
    let mut volume = Volumes::new(store.clone()).open(options).unwrap();
    let root = volume.root().unwrap();
    let [first, second] = ["first", "second"].map(|file| {
        let access = Access { read: true, ..Access::default() };
        let file = match volume.open_at(&root, file, Follow::No, OpenFlags::default(), access) {
            Ok(file) => file,
            Err(kvfs::Error::NoEntry) => return 0,
            Err(error) => panic!("{name}: {error}"),
        };
        let mut bytes = Vec::new();
        while bytes.len() < 2400 && volume.read(&file, bytes.len() as u64, 2400, &mut bytes).unwrap() > 0 {}
        let number = u64::from_le_bytes(*bytes.first_chunk().unwrap());
        assert!(bytes == [number.to_le_bytes(); 300].concat(), "{name}: a file of {number} is torn");
        number
    });
    drop(volume);
    store.close().unwrap();
    assert!(second <= first && first <= second + 1, "{name}: {first} beside {second}");
    (first, second)
}

/// Checks that the layers of the store are what its volumes say. Returns how many layers there are, and
/// how many of them are garbage.
fn layers(directory: &Path) -> (u64, u64) {
    let store = open_store(&format!("file:{}/s", directory.display())).unwrap();
    let report = kvfs::volumes::check_layers(&mut EngineStore(store.clone())).unwrap();
    store.close().unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    (report.layers, report.garbage)
}

fn names(directory: &Path) -> Vec<String> {
    let store = open_store(&format!("file:{}/s", directory.display())).unwrap();
    let names = Volumes::new(store.clone()).names().unwrap();
    store.close().unwrap();
    names
}

#[test]
fn a_running_guest_goes_on_beside_snapshots_from_outside() {
    let dir = with_writer();
    let path = dir.path();
    let mut guest = Writing::start(path, &["--store", "file:s"]);
    for round in 0..10 {
        guest.wait_for(1 + round * 7 % 20);
        let (name, least) = (format!("s{round}"), guest.rounds());
        done(path, &["snapshot", "main", &name]);
        let (_, second) = moment(path, &name);
        assert!(second >= least, "{name}: {second} rounds, and {least} were done before");
    }
    guest.wait_for(20);
    let (output, rounds) = guest.end(true);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(moment(path, "main"), (rounds, rounds), "the guest has lost what it wrote");
    layers(path);
}

#[test]
fn a_guest_that_has_its_store_alone_says_who_ended_it() {
    let dir = with_writer();
    let path = dir.path();
    done(path, &["create", "main"]);
    let mut guest = Writing::start(path, &["--store", "file:s", "--store-access", "alone"]);
    guest.wait_for(20);
    // What only looks disturbs nobody.
    done(path, &["list"]);
    guest.wait_for(20);
    done(path, &["snapshot", "main", "then"]);
    let (output, rounds) = guest.end(false);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("another program has opened ") && stderr.contains("alone"), "{stderr}");
    // A part of what it did since its last durable commit is lost, as by a kill, and no more.
    let ((then, _), (last, _)) = (moment(path, "then"), moment(path, "main"));
    assert!(then == last && last <= rounds + 1, "{then} in the snapshot, {last}, {rounds} rounds");
    layers(path);
    // Together with others it goes on.
    let mut guest = Writing::start(path, &["--store", "file:s", "--store-access", "together"]);
    done(path, &["snapshot", "main", "now"]);
    guest.wait_for(20);
    assert!(guest.end(true).0.status.success());
    moment(path, "now");
}

#[test]
fn a_guest_on_a_store_of_one_process_is_not_disturbed_by_refused_tools() {
    let dir = with_writer();
    let path = dir.path();
    let mut guest = Writing::start(path, &["--store", "redb:r"]);
    for args in [&["snapshot", "main", "then"][..], &["list"], &["rm", "main"], &["gc"]] {
        let output = kvfs(path, &[&["volume", args[0], "--store", "redb:r"], &args[1..]].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{args:?}: {stderr}");
        assert!(stderr.contains("open elsewhere; close the other program"), "{args:?}: {stderr}");
        guest.wait_for(5);
    }
    let (output, _) = guest.end(true);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let check = kvfs(path, &["fsck", "--store", "redb:r"]);
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn a_guest_whose_volume_is_restored_or_removed_ends_with_a_word() {
    let dir = with_writer();
    let path = dir.path();
    for change in [&["restore", "--force", "main", "then"][..], &["freeze", "main"], &["rm", "main"]] {
        let mut guest = Writing::start(path, &["--store", "file:s"]);
        done(path, &["snapshot", "main", "then"]);
        let then = moment(path, "then");
        guest.wait_for(20);
        done(path, change);
        let (output, _) = guest.end(false);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(134), "{change:?}: {stderr}");
        assert_eq!(moment(path, "then"), then, "{change:?}");
        match change[0] {
            "restore" => assert_eq!(moment(path, "main"), then),
            "freeze" => done(path, &["thaw", "main"]),
            _ => assert_eq!(names(path), ["then"]),
        }
        done(path, &["rm", "then"]);
        layers(path);
    }
}

/// What four tools do at once, each with volumes of its own.
const TOOLS: [&str; 4] = ["a", "b", "c", "d"];

/// How long they work beside the guest.
const TOGETHER: Duration = Duration::from_secs(6);

/// Changes of volumes by processes that are killed now and then. Returns how many ended by themselves,
/// and how many were killed.
fn work(directory: &Path, tool: &str, until: Instant) -> (u64, u64) {
    let [one, two, then] = ["1", "2", "then"].map(|name| format!("{tool}-{name}"));
    let changes: [&[&str]; 8] = [
        &["fork", "main", &one],
        &["snapshot", "main", &then],
        &["fork", &one, &two],
        &["restore", "--force", &two, &then],
        &["rm", &one],
        &["restore", "--force", &two, "main"],
        &["rm", &two, &then],
        &["gc"],
    ];
    let (mut ended, mut killed) = (0, 0);
    // The tools begin at different places, and one that was killed is left as it was.
    for round in usize::from(tool.as_bytes()[0]).. {
        if Instant::now() >= until {
            break;
        }
        let change = changes[round % changes.len()];
        let mut child = Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args([&["volume", change[0], "--store", "file:s"], &change[1..]].concat())
            .current_dir(directory)
            .env_remove("RUST_BACKTRACE")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if round % 5 == 4 {
            // Before it has opened the store, while it works, or not at all.
            std::thread::sleep(Duration::from_micros(round as u64 * 7919 % 60_000));
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            continue;
        }
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        ended += 1;
        match output.status.code() {
            Some(0) => assert!(stderr.is_empty(), "{change:?}: {stderr}"),
            // After a kill one may be there already, or not yet.
            Some(1) => assert!(
                stderr.contains("already") || stderr.contains("there is no volume"),
                "{change:?}: {stderr}"
            ),
            code => panic!("{change:?}: {code:?}, {stderr}"),
        }
    }
    (ended, killed)
}

#[test]
fn tools_beside_each_other_and_a_guest_never_leave_a_corrupt_volume() {
    let dir = with_writer();
    let path = dir.path();
    let mut guest = Writing::start(path, &["--store", "file:s"]);
    let (until, before) = (Instant::now() + TOGETHER, guest.rounds());
    let (mut ended, mut killed) = (0, 0);
    std::thread::scope(|scope| {
        for worker in TOOLS.map(|tool| scope.spawn(move || work(path, tool, until))) {
            let done = worker.join().unwrap();
            (ended, killed) = (ended + done.0, killed + done.1);
        }
    });
    guest.wait_for(20);
    let (output, rounds) = guest.end(true);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    println!("{ended} tools ended, {killed} were killed, the guest did {} rounds", rounds - before);
    assert!(ended >= 20 && killed >= 3, "{ended} ended, {killed} killed");
    assert_eq!(moment(path, "main"), (rounds, rounds), "the guest has lost what it wrote");
    layers(path);
    let names = names(path);
    for name in &names {
        moment(path, name);
    }
    done(path, &["gc"]);
    assert_eq!(layers(path).1, 0, "garbage is left");
    for name in names {
        done(path, &["rm", &name]);
    }
    assert_eq!(layers(path), (0, 0));
    let info = String::from_utf8(kvfs(path, &["store", "info", "file:s"]).stdout).unwrap();
    assert!(info.contains("of no volume: 0 keys"), "{info}");
}
