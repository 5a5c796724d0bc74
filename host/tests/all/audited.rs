//! `Audited` hands over each line of a log, and stores none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kvfs_audit::record::Record;
use kvfs_audit::{Key, RunId};
use kvfs_host::{
    Audited, BlockOn, Bytes, Durability, Entry, Guard, Limits, MemoryStore, Mutation, Namespaced, Sealed,
    Store, StoreError, SyncStore, UserKey,
};

use crate::put;

type Told = Arc<Mutex<Vec<String>>>;

fn record(key: Key, continues: bool, lines: &str) -> Vec<u8> {
    let mut value = Vec::new();
    Record { continues, lines: lines.as_bytes() }.write(key, &mut value);
    value
}

fn key(seq: u64) -> Key {
    Key { run: RunId::new(5, 0), seq }
}

/// Puts a record as the file system does.
fn send(store: &dyn SyncStore, key: Key, lines: &str, level: Durability) -> Result<(), StoreError> {
    let bytes = key.to_bytes();
    let absent = [Guard { key: &bytes[..], expected: None }];
    let guards = if key.seq == 0 { &absent[..] } else { &[] };
    store.apply(guards, &[put(&bytes, &record(key, false, lines))], level)
}

/// Wraps a store so that the lines are kept.
fn audited<S: Store>(inner: S) -> (BlockOn<Audited<S>>, Told) {
    let told = Told::default();
    let keep = told.clone();
    let store = Audited::new(inner, move |event| {
        keep.lock().unwrap().push(event.line.to_owned());
        Ok(())
    });
    (BlockOn(store), told)
}

fn taken(told: &Told) -> Vec<String> {
    std::mem::take(&mut told.lock().unwrap())
}

const A: &str = r#"{"n":1}"#;
const B: &str = r#"{"n":2}"#;

#[test]
fn lines_of_stores_that_are_namespaced_or_sealed_are_handed_over_and_not_stored() {
    let memory = MemoryStore::new();
    let user = UserKey::from_key_file(vec![7; 32]).unwrap();
    let space = Namespaced::named(memory.clone(), "a").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sealed = runtime.block_on(Sealed::open(space, &user)).unwrap();
    let before = SyncStore::scan(&memory, b"", b"", 100, 10_000).unwrap().len();
    let (store, told) = audited(sealed);
    send(&store, key(0), &format!("{A}\n{B}\n"), Durability::Buffered).unwrap();
    send(&store, key(1), "{\"n\":3}\n", Durability::Durable).unwrap();
    assert_eq!(taken(&told), [A, B, "{\"n\":3}"]);
    assert_eq!(SyncStore::scan(&memory, b"", b"", 100, 10_000).unwrap().len(), before);
    // Entries that are no records of a log go to the store.
    SyncStore::apply(&store, &[], &[put(b"\x01v\0", b"v")], Durability::Buffered).unwrap();
    assert_eq!(crate::value_of(&store, b"\x01v\0").as_deref(), Some(&b"v"[..]));
    assert_eq!(taken(&told), [""; 0]);
}

#[test]
fn lines_of_a_callback_that_failed_come_again_and_those_before_do_not() {
    let (told, room) = (Told::default(), Arc::new(AtomicUsize::new(2)));
    let (keep, left) = (told.clone(), room.clone());
    let store = BlockOn(Audited::new(MemoryStore::new(), move |event| {
        let full = |_| StoreError::QuotaExceeded;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).map_err(full)?;
        keep.lock().unwrap().push(event.line.to_owned());
        Ok(())
    }));
    send(&store, key(0), &format!("{A}\n"), Durability::Buffered).unwrap();
    let both = format!("{B}\n{A}\n");
    for _ in 0..2 {
        assert_eq!(send(&store, key(1), &both, Durability::Buffered), Err(StoreError::QuotaExceeded));
    }
    assert_eq!(taken(&told), [A, B]);
    room.store(9, Ordering::Relaxed);
    send(&store, key(1), &both, Durability::Buffered).unwrap();
    assert_eq!(taken(&told), [B, A]);
}

#[test]
fn two_instances_of_one_nanosecond_get_two_runs() {
    let (store, told) = audited(MemoryStore::new());
    send(&store, key(0), &format!("{A}\n"), Durability::Buffered).unwrap();
    assert_eq!(send(&store, key(0), &format!("{B}\n"), Durability::Buffered), Err(StoreError::Conflict));
    assert_eq!(taken(&told), [A], "nothing of the second one");
    let other = Key { run: RunId::new(5, 1), seq: 0 };
    send(&store, other, &format!("{B}\n"), Durability::Buffered).unwrap();
    assert_eq!(taken(&told), [B]);
}

#[test]
fn a_line_in_two_records_is_handed_over_whole_and_a_lost_one_is_told() {
    let (store, told) = audited(MemoryStore::new());
    let apply = |key: Key, continues: bool, lines: &str| {
        let value = record(key, continues, lines);
        SyncStore::apply(&store, &[], &[put(&key.to_bytes(), &value)], Durability::Buffered)
    };
    apply(key(0), false, "{\"n\"").unwrap();
    assert_eq!(taken(&told), [""; 0]);
    apply(key(1), true, ":1}\n").unwrap();
    assert_eq!(taken(&told), [A]);
    // A record that is missed, and one that the file system has not written.
    apply(key(3), false, &format!("{B}\n")).unwrap();
    assert_eq!(taken(&told), [r#"{"unreadable":true}"#, B]);
    let key = key(4).to_bytes();
    let forged = SyncStore::apply(&store, &[], &[put(&key, b"no record")], Durability::Buffered);
    assert!(matches!(forged, Err(StoreError::Other(_))), "{forged:?}");
    assert_eq!(taken(&told), [""; 0]);
}

/// Cannot make anything durable.
struct NoDisk(MemoryStore);

impl SyncStore for NoDisk {
    fn limits(&self) -> Result<Limits, StoreError> {
        SyncStore::limits(&self.0)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        SyncStore::get(&self.0, keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        SyncStore::scan(&self.0, start, end, entries, bytes)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        match level {
            Durability::Durable => Err(StoreError::Unavailable("no disk".into())),
            Durability::Buffered => SyncStore::apply(&self.0, guards, mutations, level),
        }
    }
}

#[test]
fn a_durable_record_is_told_only_when_all_before_is_durable() {
    let (store, told) = audited(NoDisk(MemoryStore::new()));
    let failed = send(&store, key(0), &format!("{A}\n"), Durability::Durable);
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    assert_eq!(taken(&told), [""; 0]);
    send(&store, key(0), &format!("{A}\n"), Durability::Buffered).unwrap();
    assert_eq!(taken(&told), [A]);
}
