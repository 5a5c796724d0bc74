//! What is kept of files of volumes when a command on them fails or is interrupted.

use super::files::{done, text, told};
use super::files_changed::{STORE, all, fails, run, scene};
use super::{kvfs, store_with_volume};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The same without the times.
fn all_but_times(all: &str) -> Vec<&str> {
    all.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

#[test]
fn a_volume_that_is_full_in_the_middle_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir(path.join("tree")).unwrap();
    fs::write(path.join("tree/large"), vec![7; 600_000]).unwrap();
    fs::write(path.join("tree/small"), b"small").unwrap();
    run(path, &["import", "--to", "d", "tree"]);
    run(path, &["mkdir", "old"]);
    done(path, &["volume", "create", "--store", STORE, "other"]);
    for volume in ["main", "other"] {
        let max = if volume == "main" { "1M" } else { "500K" };
        done(path, &["settings", "set", "--store", STORE, "--volume", volume, "--max-bytes", max]);
    }
    let (before, empty) = (all(path, "main"), all(path, "other"));
    run(path, &["cp", "d/small", "old/large"]);
    for args in [&["cp", "-r", "d", "copy"][..], &["cp", "d/large", "old"], &["mv", "d", "other:/"]] {
        let lines = fails(path, args);
        assert!(lines[0].contains("make room"), "{args:?}: {lines:?}");
    }
    // The old file is whole, the new one is not there in part, and what was to be moved is here.
    assert_eq!(run(path, &["cat", "old/large"]), "small");
    run(path, &["rm", "-rf", "old/large", "copy"]);
    let (after, other) = (all(path, "main"), all(path, "other"));
    assert_eq!(all_but_times(&after), all_but_times(&before));
    assert_eq!(all_but_times(&other), all_but_times(&empty));
    done(path, &["fsck", "--store", STORE]);
}

#[test]
fn mistakes_with_stores_volumes_and_arguments_change_nothing() {
    use std::os::unix::ffi::OsStrExt;
    let dir = scene();
    let path = dir.path();
    let before = all(path, "main");
    done(path, &["volume", "snapshot", "--store", STORE, "main", "frozen"]);
    store_with_volume(&path.join("new.redb"), |superblock| superblock[25] += 1);
    let held = kvfs_host::RedbStore::open(path.join("s")).unwrap();
    for command in ["mkdir", "rm", "mv", "cp"] {
        let more: &[&str] = if matches!(command, "mv" | "cp") { &["x"] } else { &[] };
        let with = |store: &str, volume: &str| {
            let output = kvfs(path, &[&[command, "--store", store, "--volume", volume, "g"], more].concat());
            (output.status.code(), told(&output))
        };
        let (code, stderr) = with(STORE, "main");
        assert!(
            code == Some(1) && stderr.lines().count() == 1 && stderr.contains("; "),
            "{command}: {stderr}"
        );
        for (store, volume, expected) in [
            ("redb:none", "main", "no such store"),
            ("file:tree", "main", "no such store"),
            ("redb:new.redb", "main", "newer version"),
            ("dir:x", "main", "names no store"),
        ] {
            let (code, stderr) = with(store, volume);
            assert!(code == Some(1) && stderr.contains(expected), "{command} {store}: {code:?} {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{command}: {stderr}");
        }
        // A name that is not UTF-8 is a mistake of usage, as are too few arguments.
        let output = Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args([command, "--store", STORE])
            .arg(std::ffi::OsStr::from_bytes(b"\xff"))
            .args(more)
            .current_dir(path)
            .output()
            .unwrap();
        assert!(output.status.code() == Some(2) && told(&output).contains("UTF-8"), "{output:?}");
        assert_eq!(kvfs(path, &[command, "--store", STORE]).status.code(), Some(2));
        assert_eq!(kvfs(path, &[command, "x", "y"]).status.code(), Some(2), "no store");
        let help = text(&kvfs(path, &[command, "--help"]));
        assert!(help.contains(&format!("Examples:\n  kvfs {command} ")), "{help}");
    }
    drop(held);
    for args in [&["mkdir", "x"][..], &["rm", "g"], &["mv", "g", "x"], &["cp", "g", "x"]] {
        for (volume, expected) in [("frozen", "thaw"), ("mian", "did you mean `main`?")] {
            let lines = fails(path, &[&args[..1], &["--volume", volume], &args[1..]].concat());
            assert!(lines[0].contains(expected), "{args:?}: {lines:?}");
        }
    }
    // A frozen volume can be copied from.
    run(path, &["cp", "frozen:/g", "other:/"]);
    assert_eq!(all(path, "main"), before);
    assert!(!path.join("none").exists());
}

#[test]
fn an_interrupt_loses_nothing_of_what_is_copied_or_moved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir(path.join("tree")).unwrap();
    for number in 0..400 {
        fs::write(path.join(format!("tree/{number}")), vec![7; 50_000]).unwrap();
    }
    run(path, &["import", "--to", "d", "tree"]);
    done(path, &["volume", "create", "--store", STORE, "other"]);
    let whole = |volume: &str| -> BTreeSet<String> {
        let found = run(path, &["find", "--volume", volume, "/", "-type", "f", "-size", "50000c"]);
        found.lines().filter(|line| line.starts_with("/d/")).map(str::to_owned).collect()
    };
    let before = whole("main");
    assert_eq!(before.len(), 400);
    for (args, wait_ms) in [
        (["cp", "-r", "d", "copy"], 20),
        (["cp", "-r", "d", "copy"], 150),
        (["rm", "-rf", "copy", "no"], 20),
        (["mv", "--volume=main", "d", "other:/"], 150),
        (["mv", "--volume=main", "d", "other:/"], 400),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args([&args[..1], &["--store", STORE], &args[1..]].concat())
            .current_dir(path)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).output();
        let code = child.wait().unwrap().code();
        // Before it watches for interrupts it has done nothing, and is simply ended. A second move may find
        // a part of the first one in its way.
        assert!(matches!(code, Some(0 | 1 | 130) | None), "{args:?}: {code:?}");
        // One that comes while the store is being opened finds nothing to close.
        let checked = kvfs(path, &["fsck", "--store", STORE]);
        let said = told(&checked);
        assert!(checked.status.success(), "{args:?}: {said}");
        assert!(said.is_empty() || said.contains("was not closed in order"), "{args:?}: {said}");
        let (here, there) = (whole("main"), whole("other"));
        assert!(here == before || there == before, "{args:?}: {} and {}", here.len(), there.len());
    }
}
