//! Closing a store: every orderly end of a process closes a redb file properly, whoever still has
//! the store.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kvfs_host::{Durability, FileStore, RedbReader, RedbStore, StoreError, SyncStore, open_store};

#[cfg(unix)]
use crate::redb_files::ends_without_room;
use crate::redb_files::{child, fresh_path, path_of_child};
use crate::{value_of, write};

/// Fails if the file was left open, or if it lacks the value that was put into it.
#[track_caller]
fn closed_with(path: &Path, value: &[u8]) {
    let reader = RedbReader::open(path).unwrap();
    assert!(!reader.recovered(), "the file was left open");
    assert_eq!(value_of(&reader, b"key").as_deref(), Some(value));
}

#[test]
fn closing_is_for_all_handles_and_the_file_is_free_at_once() {
    let (_directory, path) = fresh_path();
    let store = RedbStore::open(&path).unwrap();
    let other = store.clone();
    write(&other, &[(b"key", b"1")], Durability::Buffered).unwrap();
    store.close().unwrap();
    closed_with(&path, b"1");
    for handle in [&store, &other] {
        let answer = write(handle, &[(b"key", b"2")], Durability::Buffered);
        assert!(
            matches!(&answer, Err(StoreError::Unavailable(why)) if why.contains("is closed")),
            "{answer:?}"
        );
        let asked = SyncStore::get(handle, &[b"key"]);
        assert!(matches!(asked, Err(StoreError::Unavailable(_))), "{asked:?}");
        handle.close().unwrap();
    }
    let again = RedbStore::open(&path).unwrap();
    write(&again, &[(b"key", b"3")], Durability::Buffered).unwrap();
    // The old handles no longer touch the file.
    drop((store, other));
    drop(again);
    closed_with(&path, b"3");
}

#[test]
fn any_store_closes() {
    let (directory, path) = fresh_path();
    for url in [format!("redb:{}", path.display()), format!("file:{}", directory.path().join("d").display())]
    {
        let store = open_store(&url).unwrap();
        write(&store, &[(b"key", b"1")], Durability::Buffered).unwrap();
        store.close().unwrap();
        assert_eq!(value_of(&open_store(&url).unwrap(), b"key").as_deref(), Some(&b"1"[..]), "{url}");
    }
    closed_with(&path, b"1");
    open_store("memory:").unwrap().close().unwrap();
}

#[test]
fn a_store_dropped_by_a_panic_is_closed_in_order() {
    let (_directory, path) = fresh_path();
    let of_thread = path.clone();
    let panicked = std::thread::spawn(move || {
        let store = RedbStore::open(of_thread).unwrap();
        write(&store, &[(b"key", b"1")], Durability::Buffered).unwrap();
        panic!("by the test");
    });
    assert!(panicked.join().is_err());
    closed_with(&path, b"1");
}

/// Ends by `std::process::exit` while several places hold handles of a store.
#[test]
#[ignore = "run by a_process_that_exits_closes_what_it_left_open"]
fn child_exits() {
    let store = RedbStore::open(path_of_child()).unwrap();
    write(&store, &[(b"key", b"1")], Durability::Buffered).unwrap();
    let directory = path_of_child().with_extension("dir");
    let files = FileStore::open(directory).unwrap();
    write(&files, &[(b"key", b"1")], Durability::Buffered).unwrap();
    std::mem::forget((store.clone(), files));
    match std::env::var("KVFS_TEST_STOP").as_deref() {
        Ok("busy") => {
            // Another thread works all the time, and panics if a call gets no answer.
            let (busy, (stored, first)) = (store.clone(), std::sync::mpsc::channel());
            std::thread::spawn(move || {
                for number in 0u64.. {
                    let number = number.to_be_bytes();
                    write(&busy, &[(b"a", &number), (b"b", &number)], Durability::Durable).unwrap();
                    assert!(value_of(&busy, b"key").is_some());
                    let _ = stored.send(());
                }
            });
            first.recv().unwrap();
        }
        Ok("dropped") => {
            // Another thread drops the last handle while the process ends.
            let path = path_of_child().with_extension("dropped");
            let last = RedbStore::open(path).unwrap();
            for number in 0..10u8 {
                write(&last, &[(&[number], &[7; 900_000])], Durability::Buffered).unwrap();
            }
            write(&last, &[(b"key", b"1")], Durability::Buffered).unwrap();
            let (dropping, begun) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                dropping.send(()).unwrap();
                drop(last);
            });
            begun.recv().unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        _ => {}
    }
    std::process::exit(42);
}

#[test]
fn a_process_that_exits_closes_what_it_left_open() {
    for how in ["idle", "busy", "dropped"] {
        let (_directory, path) = fresh_path();
        let output = child("ends::child_exits", &path, None)
            .env("KVFS_TEST_STOP", how)
            .stdout(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(42), "{how}: {stderr}");
        assert!(
            !stderr.contains("panicked"),
            "{how}: a call got an answer while the process ended: {stderr}"
        );
        closed_with(&path, b"1");
        let reader = RedbReader::open(&path).unwrap();
        assert_eq!(value_of(&reader, b"a"), value_of(&reader, b"b"));
        assert_eq!(value_of(&reader, b"a").is_some(), how == "busy");
        if how == "dropped" {
            closed_with(&path.with_extension("dropped"), b"1");
        }
        let files = FileStore::open(path.with_extension("dir")).unwrap();
        assert_eq!(value_of(&files, b"key").as_deref(), Some(&b"1"[..]));
    }
}

/// Leaves buffered changes that no longer fit on the disk, and exits.
#[test]
#[ignore = "run by what_cannot_be_stored_at_the_end_is_told"]
fn child_exits_with_a_full_disk() {
    let store = RedbStore::open(path_of_child()).unwrap();
    let value = vec![7; 500_000];
    for number in 0..10u8 {
        write(&store, &[(&[number], &value)], Durability::Buffered).unwrap();
    }
    if std::env::var("KVFS_TEST_STOP").as_deref() == Ok("told") {
        assert!(matches!(store.close(), Err(StoreError::QuotaExceeded)));
        assert_eq!(value_of(&store, &[9]).as_deref(), Some(&value[..]), "the store should be open and whole");
    }
    std::process::exit(42);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_stored_at_the_end_is_told() {
    for (how, lines) in [("untold", 1), ("told", 0)] {
        let (_directory, path) = fresh_path();
        drop(RedbStore::open(&path).unwrap());
        ends_without_room("ends::child_exits_with_a_full_disk", &path, how, lines);
        assert_eq!(value_of(&RedbReader::open(&path).unwrap(), &[0]), None);
    }
}
