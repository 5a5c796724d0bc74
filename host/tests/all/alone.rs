//! A store in a directory that one opener has alone: what waits in memory, and who loses it.

use std::path::Path;
use std::process::Stdio;

use kvfs_host::conformance;
use kvfs_host::{
    Durability, FileOptions, FileStore, FileStoreReader, MAX_BUFFERED_AGE, OpenError, OpenOptions,
    StoreAccess, StoreError, SyncStore,
};

#[cfg(unix)]
use crate::redb_files::ends_without_room;
use crate::redb_files::{child, path_of_child};
use crate::{value_of, write};

fn alone(path: &Path) -> FileStore {
    FileOptions::new().access(StoreAccess::Alone).open(path).unwrap()
}

/// Returns a value as a reader of the directory finds it.
fn stored(path: &Path, key: &[u8]) -> Option<Vec<u8>> {
    value_of(&FileStoreReader::open(path).unwrap(), key).map(Vec::from)
}

#[test]
fn a_store_that_is_had_alone_conforms_and_keeps_everything_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut opened = 0;
    let mut open = || -> Result<Box<dyn SyncStore>, StoreError> {
        opened += 1;
        Ok(Box::new(alone(directory.path())))
    };
    let report = conformance::check_all(&mut open, &mut |_| {});
    assert!(report.passed() && report.not_checked() == 0, "\n{report}");
    assert!(opened > 5, "opened {opened} times");
}

#[test]
fn buffered_applies_wait_until_a_durable_one_a_close_or_the_last_drop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store = alone(path);
    let other = store.clone();
    write(&store, &[(b"a", b"1")], Durability::Buffered).unwrap();
    assert_eq!(value_of(&other, b"a").as_deref(), Some(&b"1"[..]));
    assert_eq!(stored(path, b"a"), None);
    write(&other, &[(b"b", b"1")], Durability::Durable).unwrap();
    assert_eq!((stored(path, b"a"), stored(path, b"b")), (Some(b"1".into()), Some(b"1".into())));
    write(&store, &[(b"a", b"2")], Durability::Buffered).unwrap();
    store.close().unwrap();
    assert_eq!(stored(path, b"a"), Some(b"2".into()));
    write(&store, &[(b"a", b"3")], Durability::Buffered).unwrap();
    drop(store);
    assert_eq!(stored(path, b"a"), Some(b"2".into()));
    drop(other);
    assert_eq!(stored(path, b"a"), Some(b"3".into()));
}

#[test]
fn a_change_waits_no_longer_than_the_next_apply_after_its_age() {
    let directory = tempfile::tempdir().unwrap();
    let store = alone(directory.path());
    write(&store, &[(b"a", b"1")], Durability::Buffered).unwrap();
    std::thread::sleep(MAX_BUFFERED_AGE);
    write(&store, &[(b"b", b"1")], Durability::Buffered).unwrap();
    assert_eq!(stored(directory.path(), b"a"), Some(b"1".into()));
}

#[test]
fn whoever_opens_the_store_ends_the_one_that_had_it_alone_and_finds_all_but_a_suffix() {
    for access in [StoreAccess::Alone, StoreAccess::Together] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let first = alone(path);
        write(&first, &[(b"a", b"1")], Durability::Buffered).unwrap();
        write(&first, &[(b"b", b"1")], Durability::Durable).unwrap();
        write(&first, &[(b"a", b"2")], Durability::Buffered).unwrap();
        let second = FileOptions::new().access(access).open(path).unwrap();
        assert_eq!(value_of(&second, b"a").as_deref(), Some(&b"1"[..]));
        write(&second, &[(b"c", b"1")], Durability::Buffered).unwrap();
        for level in [Durability::Buffered, Durability::Durable] {
            let refused = write(&first, &[(b"d", b"1")], level);
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("another program has opened") && text.contains("may be lost"), "{text}");
        }
        assert!(first.get(&[b"a"]).is_err() && first.close().is_err());
        drop(first);
        write(&second, &[(b"e", b"1")], Durability::Durable).unwrap();
        let keys: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];
        let found: Vec<bool> = keys.iter().map(|key| stored(path, key).is_some()).collect();
        assert_eq!(found, [true, true, true, false, true], "{access:?}");
    }
}

#[test]
fn a_reader_does_not_end_the_one_that_has_the_store_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = alone(directory.path());
    write(&store, &[(b"a", b"1")], Durability::Durable).unwrap();
    assert_eq!(stored(directory.path(), b"a"), Some(b"1".into()));
    write(&store, &[(b"a", b"2")], Durability::Durable).unwrap();
    assert_eq!(stored(directory.path(), b"a"), Some(b"2".into()));
}

#[test]
fn only_a_store_in_a_directory_is_opened_together_with_others() {
    let directory = tempfile::tempdir().unwrap();
    let url = |kind: &str| format!("{kind}:{}", directory.path().join(kind).display());
    for url in [url("redb"), "memory:".to_owned()] {
        let refused = OpenOptions::new().access(StoreAccess::Together).open(&url).map(drop).unwrap_err();
        assert!(matches!(refused, OpenError::NotTogether { .. }) && refused.to_string().contains(&url));
        drop(OpenOptions::new().access(StoreAccess::Alone).open(&url).unwrap());
    }
    let open = |access| OpenOptions::new().access(access).open(&url("file")).unwrap();
    let (first, second) = (open(StoreAccess::Together), open(StoreAccess::Together));
    for number in 0..6u8 {
        let store = if number % 2 == 0 { &first } else { &second };
        write(store, &[(&[number], b"1")], Durability::Buffered).unwrap();
    }
    let alone = open(StoreAccess::Alone);
    write(&alone, &[(b"x", b"1")], Durability::Buffered).unwrap();
    assert_eq!(stored(&directory.path().join("file"), b"x"), None, "it is had alone");
    assert_eq!(stored(&directory.path().join("file"), &[5]), Some(b"1".into()));
}

/// Ends in several ways while changes wait.
#[test]
#[ignore = "run by every_end_of_a_process_but_a_kill_stores_what_waits"]
fn child_ends() {
    let store = alone(&path_of_child());
    write(&store, &[(b"durable", b"1")], Durability::Durable).unwrap();
    for number in 0..50u8 {
        write(&store, &[(&[number], b"1")], Durability::Buffered).unwrap();
    }
    write(&store, &[(b"last", b"1")], Durability::Buffered).unwrap();
    match std::env::var("KVFS_TEST_STOP").as_deref() {
        Ok("return") => drop(store),
        Ok("panic") => {
            let panicked = std::thread::spawn(move || {
                let _store = store;
                panic!("by the test");
            });
            assert!(panicked.join().is_err());
        }
        Ok("exit") => {
            std::mem::forget(store);
            std::process::exit(0);
        }
        _ => std::process::abort(),
    }
}

#[test]
fn every_end_of_a_process_but_a_kill_stores_what_waits() {
    for (how, keeps) in [("return", true), ("panic", true), ("exit", true), ("kill", false)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let output = child("alone::child_ends", &path, None)
            .env("KVFS_TEST_STOP", how)
            .stdout(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), keeps, "{how}: {stderr}");
        assert!(!stderr.contains("cannot store"), "{how}: {stderr}");
        assert_eq!(stored(&path, b"durable"), Some(b"1".into()), "{how}");
        assert_eq!(stored(&path, b"last").is_some(), keeps, "{how}");
        assert_eq!(stored(&path, &[7]).is_some(), keeps, "{how}");
    }
}

/// Leaves changes for which there is no room.
#[test]
#[ignore = "run by what_finds_no_room_at_the_end_is_told"]
fn child_exits_without_room() {
    let store = alone(&path_of_child());
    // Too small to go to the store at once.
    for number in 0..40u8 {
        write(&store, &[(&[number], &vec![7; 200_000])], Durability::Buffered).unwrap();
    }
    if std::env::var("KVFS_TEST_STOP").as_deref() == Ok("told") {
        assert_eq!(store.close(), Err(StoreError::QuotaExceeded));
        assert!(value_of(&store, &[9]).is_some(), "what waits must stay visible");
    }
    std::process::exit(42);
}

#[cfg(unix)]
#[test]
fn what_finds_no_room_at_the_end_is_told() {
    for (how, lines) in [("untold", 1), ("told", 0)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        drop(FileStore::open(&path).unwrap());
        ends_without_room("alone::child_exits_without_room", &path, how, lines);
        assert_eq!(stored(&path, &[0]), None);
    }
}
