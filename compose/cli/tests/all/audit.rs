//! `kvfs audit`: shows what is in the log, believes none of it, and removes what is old.

use super::kvfs;
use kvfs_audit::record::Record;
use kvfs_audit::{Key, Level, Log, RunId, Settings, Time};
use kvfs_host::{Durability, Mutation, RedbStore, SyncStore};
use std::path::Path;
use std::process::Output;

/// Puts a run of two records with three lines each into a store.
fn put_run(store: &RedbStore, began: u64) -> RunId {
    let run = RunId::new(began, 0);
    let mut log = Log::new(&Settings::new(Level::All));
    for seq in 0..2 {
        for name in ["a", "b\u{1b}[2J\n", "c"] {
            let mut line = log.begin("stat-at", Time::default()).unwrap();
            line.path("path", "/", name);
            line.end("ok");
        }
        put(store, Key { run, seq }, log.lines());
        log.forget(usize::MAX);
    }
    run
}

fn put(store: &RedbStore, key: Key, lines: &[u8]) {
    let mut value = Vec::new();
    Record { continues: false, lines }.write(key, &mut value);
    put_value(store, key, &value);
}

fn put_value(store: &RedbStore, key: Key, value: &[u8]) {
    store.apply(&[], &[Mutation::Put { key: &key.to_bytes(), value }], Durability::Buffered).unwrap();
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

fn audit(dir: &Path, options: &[&str]) -> Output {
    kvfs(dir, &[&["audit", "--store", "redb:s.redb"], options].concat())
}

#[test]
fn runs_are_shown_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path().join("s.redb")).unwrap();
    let runs = [1_000_000_000, 2_000_000_000, 3_000_000_000].map(|began| put_run(&store, began).to_string());
    // Beside the log, keys of a volume.
    store.apply(&[], &[Mutation::Put { key: b"\x04main\0", value: b"v" }], Durability::Buffered).unwrap();
    store.close().unwrap();
    drop(store);

    let all = audit(dir.path(), &[]);
    assert_eq!((all.status.code(), lines(&all).len()), (Some(0), 18), "{all:?}");
    let one = audit(dir.path(), &["--run", &runs[1]]);
    assert_eq!(lines(&one).len(), 6);
    assert!(lines(&one)[1].contains(r#""path":"/b\u001b[2J\n""#), "{one:?}");
    let listed = lines(&audit(dir.path(), &["--list"]));
    assert_eq!(listed.len(), 3);
    assert!(listed[2].starts_with(&format!("{} 1970-01-01T00:00:03.000000000Z ", runs[2])), "{listed:?}");

    let removed = audit(dir.path(), &["--remove-before", &runs[2]]);
    assert_eq!(lines(&removed), ["removed 4 records"], "{removed:?}");
    assert_eq!(lines(&audit(dir.path(), &[])).len(), 6);
    let missing = audit(dir.path(), &["--run", &runs[0]]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("kvfs audit --list"), "{missing:?}");
    let store = RedbStore::open(dir.path().join("s.redb")).unwrap();
    assert_eq!(store.get(&[b"\x04main\0"]).unwrap(), [Some("v".into())], "the volume is untouched");
}

#[test]
fn damaged_missing_and_forged_records_are_told_and_nothing_of_them_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path().join("s.redb")).unwrap();
    let run = put_run(&store, 5);
    put_value(&store, Key { run, seq: 2 }, b"no record");
    put(&store, Key { run, seq: 3 }, b"\x1b]0;title\x07\n{\"a\":1}\nnot json\n{\"a\":\"\xff\"}\n");
    put(&store, Key { run, seq: 7 }, b"{\"b\":1}\n{\"cut\":");
    store.close().unwrap();
    drop(store);
    let output = audit(dir.path(), &[]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let shown = lines(&output);
    assert_eq!(shown.len(), 8);
    assert_eq!(shown[6..], [r#"{"a":1}"#, r#"{"b":1}"#]);
    let told = String::from_utf8(output.stderr).unwrap();
    for part in [
        "record 2 is damaged",
        "records 4 to 6 are missing",
        "record 3 has bytes that are no line",
        "record 7",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains('\x1b') && !String::from_utf8(output.stdout).unwrap().contains('\x1b'));
}

#[test]
fn removing_from_a_store_that_is_not_there_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let output = audit(dir.path(), &["--remove-before", &"f".repeat(32)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no such store"), "{output:?}");
    assert_eq!(
        std::fs::read_dir(dir.path())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("s.redb") })
            .count(),
        0
    );
}
