//! `kvfs mount`, where this machine has FUSE.

use super::diff::{packed, write_above};
use super::{kvfs, workshop};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Returns whether there is FUSE, and tells why nothing is tested if there is not.
pub(super) fn has_fuse() -> bool {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(_) => true,
        Err(error) => {
            println!("not tested: /dev/fuse cannot be opened: {error}");
            false
        }
    }
}

/// A running `kvfs mount`. It is interrupted when a test fails.
struct Mounted {
    child: Option<Child>,
    directory: PathBuf,
}

impl Mounted {
    /// Mounts on the directory `on`, and waits until it says so.
    fn start(place: &Path, args: &[&str]) -> Self {
        let directory = place.join("on");
        fs::create_dir_all(&directory).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args([&["mount"], args, &["on"]].concat())
            .current_dir(place)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mounted = Self { child: Some(child), directory };
        if !line.contains("is mounted on") {
            panic!("{line}: {:?}", mounted.end("-INT"));
        }
        mounted
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().unwrap();
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{signal} was not sent");
    }

    /// Ends it by a signal.
    fn end(mut self, signal: &str) -> Output {
        self.signal(signal);
        self.child.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.signal("-INT");
            let _ = self.child.take().unwrap().wait();
        }
    }
}

#[test]
fn programs_of_the_host_and_commands_see_the_same_files() {
    if !has_fuse() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::write(path.join("note"), "from a command").unwrap();
    for store in ["file:s", "redb:s.redb"] {
        let made = kvfs(path, &["volume", "create", "--store", store, "main"]);
        assert!(made.status.success(), "{made:?}");
        for signal in ["-INT", "-TERM"] {
            let put = kvfs(path, &["put", "--store", store, "note", "/note"]);
            assert!(put.status.success(), "{put:?}");
            let mounted = Mounted::start(path, &["--store", store]);
            let on = mounted.directory.clone();
            assert_eq!(fs::read_to_string(on.join("note")).unwrap(), "from a command");
            fs::create_dir_all(on.join("a/b")).unwrap();
            fs::write(on.join("a/b/large"), vec![7; 3 << 20]).unwrap();
            fs::rename(on.join("note"), on.join("a/moved")).unwrap();
            let ended = mounted.end(signal);
            assert!(ended.status.success() && ended.stderr.is_empty(), "{store} {signal}: {ended:?}");
            assert_eq!(fs::read_dir(&on).unwrap().count(), 0, "it is still mounted");
            let moved = kvfs(path, &["cat", "--store", store, "/a/moved"]);
            assert_eq!(moved.stdout, b"from a command", "{moved:?}");
            let large = kvfs(path, &["cat", "--store", store, "/a/b/large"]);
            assert!(large.stdout == vec![7; 3 << 20], "{:?}", large.stderr);
            let checked = kvfs(path, &["fsck", "--store", store]);
            assert!(checked.status.success(), "{checked:?}");
            let removed = kvfs(path, &["rm", "--store", store, "-r", "/a"]);
            assert!(removed.status.success(), "{removed:?}");
        }
    }
}

#[test]
fn a_snapshot_is_mounted_for_reading_only_beside_its_volume() {
    if !has_fuse() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::write(path.join("note"), "then").unwrap();
    for args in [
        &["volume", "create", "--store", "file:s", "main"][..],
        &["put", "--store", "file:s", "note", "/note"],
        &["volume", "snapshot", "--store", "file:s", "main", "then"],
    ] {
        let done = kvfs(path, args);
        assert!(done.status.success(), "{done:?}");
    }
    fs::write(path.join("note"), "now").unwrap();
    let mounted = Mounted::start(path, &["--store", "file:s", "--volume", "then", "--read-only"]);
    let put = kvfs(path, &["put", "--store", "file:s", "note", "/note"]);
    assert!(put.status.success(), "{put:?}");
    let on = mounted.directory.clone();
    assert_eq!(fs::read_to_string(on.join("note")).unwrap(), "then");
    let refused = fs::write(on.join("note"), "x").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(30), "{refused}");
    let ended = mounted.end("-INT");
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn a_mount_that_cannot_be_is_one_line() {
    if !has_fuse() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir(path.join("on")).unwrap();
    fs::write(path.join("file"), "x").unwrap();
    for (args, expected) in [
        (&["--store", "file:s", "missing"][..], "missing"),
        (&["--store", "file:s", "file"], "file"),
        (&["--store", "file:on/s", "on"], "mount on another directory"),
        (&["--store", "file:none", "--read-only", "on"], "none"),
    ] {
        let output = kvfs(path, &[&["mount"], args].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert!(told.contains(expected) && told.lines().count() == 1, "{args:?}: {told}");
    }
    assert_eq!(fs::read_dir(path.join("on")).unwrap().count(), 0);
}

#[test]
fn a_volume_on_a_packed_tree_is_mounted_with_its_component() {
    if !has_fuse() {
        return;
    }
    let dir = workshop();
    let path = dir.path();
    packed(path);
    write_above(path, "tree.wasm", "main");
    fs::create_dir(path.join("on")).unwrap();
    for (args, expected) in [
        (&[][..], "--image COMPONENT"),
        (&["--read-only"], "--image COMPONENT"),
        (&["--image", "other.wasm"], "no packed tree below volume `main`"),
        (&["--image", "missing.wasm"], "cannot read missing.wasm"),
        (&["--image", "tree.wasm", "--volume", "new"], "no packed tree below volume `new`"),
    ] {
        let output = kvfs(path, &[&["mount", "--store", "file:s"], args, &["on"]].concat());
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {line}");
        assert!(line.lines().count() == 1 && line.contains(expected), "{args:?}: {line}");
    }
    let image = ["--store", "file:s", "--image", "tree.wasm"];
    let mounted = Mounted::start(path, &image);
    let on = mounted.directory.clone();
    assert_eq!(fs::read_to_string(on.join("kept")).unwrap(), "mine");
    assert!(!on.join("gone").exists());
    fs::write(on.join("made"), "by a program").unwrap();
    let ended = mounted.end("-INT");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    let mounted = Mounted::start(path, &[&image[..], &["--read-only"]].concat());
    assert_eq!(fs::read_to_string(on.join("made")).unwrap(), "by a program");
    assert_eq!(fs::write(on.join("made"), "x").unwrap_err().raw_os_error(), Some(30));
    // The kernel knows it too.
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let place = on.canonicalize().unwrap();
    let is_it = |line: &&str| line.split(' ').nth(1) == place.to_str();
    let options = mounts.lines().find(is_it).and_then(|line| line.split(' ').nth(3)).unwrap();
    assert!(options.split(',').any(|option| option == "ro"), "{options}");
    assert!(mounted.end("-TERM").status.success());
    // One that there is not is made on the tree.
    let mounted = Mounted::start(path, &["--store", "file:new", "--image", "tree.wasm"]);
    assert_eq!(fs::read_to_string(on.join("kept")).unwrap(), "tree");
    fs::remove_file(on.join("gone")).unwrap();
    fs::rename(on.join("kept"), on.join("moved")).unwrap();
    fs::create_dir(on.join("kept")).unwrap();
    assert!(mounted.end("-INT").status.success());
    // What was removed and renamed of the tree stays so, for a mount and for a command.
    let mounted = Mounted::start(path, &["--store", "file:new", "--image", "tree.wasm"]);
    let mut names: Vec<_> = fs::read_dir(&on).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["kept", "moved"]);
    assert_eq!(fs::read_to_string(on.join("gone")).unwrap_err().raw_os_error(), Some(2));
    assert_eq!(fs::read_to_string(on.join("moved")).unwrap(), "tree");
    fs::write(on.join("gone"), "again").unwrap();
    assert!(mounted.end("-INT").status.success());
    let read = kvfs(path, &["cat", "--store", "file:new", "--image", "tree.wasm", "gone", "moved"]);
    assert_eq!(read.stdout, b"againtree", "{read:?}");
    let checked = kvfs(path, &["fsck", "--store", "file:new", "--image", "tree.wasm"]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn stores_and_volumes_that_will_not_do_are_not_mounted() {
    if !has_fuse() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir(path.join("on")).unwrap();
    fs::create_dir(path.join("full")).unwrap();
    fs::write(path.join("full/of"), "something else").unwrap();
    fs::write(path.join("text"), "no store at all\n".repeat(1000)).unwrap();
    super::store_with_volume(&path.join("new.redb"), |superblock| superblock[25] += 1);
    super::store_with_volume(&path.join("held.redb"), |_| {});
    let held = kvfs_host::RedbStore::open(path.join("held.redb")).unwrap();
    for (args, expected) in [
        (&["--store", "redb:text"][..], "text is not a store"),
        (&["--store", "file:full"], "full"),
        (&["--store", "redb:new.redb"], "newer version"),
        (&["--store", "redb:held.redb"], "is open elsewhere"),
        (&["--store", "redb:none", "--read-only"], "no such store"),
    ] {
        let output = kvfs(path, &[&["mount"], args, &["on"]].concat());
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {line}");
        assert!(line.lines().count() == 1 && line.contains(expected), "{args:?}: {line}");
        assert!(line.contains("; "), "{args:?} does not say what to do: {line}");
    }
    drop(held);
    // A name is offered where none is made.
    let output = kvfs(path, &["mount", "--store", "redb:held.redb", "--volume", "mian", "--read-only", "on"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `main`?"), "{output:?}");
    assert_eq!(fs::read_dir(path.join("on")).unwrap().count(), 0);
}
