//! The store on a failing disk: writes, syncs or reads that fail at any call, and bytes that rot.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Result};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::super::file::Opener;
use super::super::reader::RedbReader;
use super::*;

/// The disk's failure when its turn has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// Writes fail and leave nothing.
    Write,
    /// Writes fail half way.
    TornWrite,
    /// `fsync` fails, and loses what was written since the last one.
    SyncLoses,
    /// `fsync` fails, and keeps what was written.
    SyncKeeps,
    /// Reads fail.
    Read,
    /// The disk is full.
    Full,
}

/// A disk that outlives each opening of the file on it.
#[derive(Debug, Default)]
struct Disk {
    calls: AtomicU64,
    /// The trouble, the number of the first call that it hits, and how many it hits.
    trouble: Mutex<Option<(Trouble, u64, u64)>>,
    hit: AtomicU64,
    /// The disk is gone: nothing opens.
    gone: AtomicBool,
}

#[derive(Debug)]
struct FaultyFile {
    disk: Arc<Disk>,
    file: FileBackend,
    /// The old bytes wherever the file was written since the last sync.
    unsynced: Mutex<Unsynced>,
}

#[derive(Debug, Default)]
struct Unsynced {
    len: Option<u64>,
    old: Vec<(u64, Vec<u8>)>,
}

impl Disk {
    fn turn(&self, is: impl Fn(Trouble) -> bool) -> Option<Trouble> {
        let (trouble, at, count) = (*self.trouble.lock().unwrap())?;
        if !is(trouble) {
            return None;
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if call < at || call - at >= count {
            return None;
        }
        self.hit.fetch_add(1, Ordering::Relaxed);
        Some(trouble)
    }

    fn set(&self, trouble: Trouble, at: u64, count: u64) {
        self.calls.store(0, Ordering::Relaxed);
        *self.trouble.lock().unwrap() = Some((trouble, at, count));
    }

    fn heal(&self) {
        *self.trouble.lock().unwrap() = None;
        self.gone.store(false, Ordering::Relaxed);
    }

    fn opener(self: &Arc<Self>) -> Opener {
        let disk = Arc::clone(self);
        Opener::new(move |builder, path| {
            if disk.gone.load(Ordering::Relaxed) {
                return Err(Error::from(ErrorKind::NotConnected).into());
            }
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            builder.create_with_backend(FaultyFile {
                disk: Arc::clone(&disk),
                file: FileBackend::new(file)?,
                unsynced: Mutex::default(),
            })
        })
    }
}

fn broken() -> Error {
    Error::other("the disk is broken, by the test")
}

impl FaultyFile {
    fn remember(&self, offset: u64, length: usize) -> Result<()> {
        let there = self.file.len()?.saturating_sub(offset).min(length as u64) as usize;
        let mut old = vec![0; there];
        self.file.read(offset, &mut old)?;
        self.unsynced.lock().unwrap().old.push((offset, old));
        Ok(())
    }
}

impl StorageBackend for FaultyFile {
    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        match self.disk.turn(|trouble| trouble == Trouble::Read) {
            Some(_) => Err(broken()),
            None => self.file.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let now = self.file.len()?;
        if len > now && self.disk.turn(|trouble| trouble == Trouble::Full).is_some() {
            return Err(ErrorKind::StorageFull.into());
        }
        if len < now {
            self.remember(len, (now - len) as usize)?;
        }
        self.unsynced.lock().unwrap().len.get_or_insert(now);
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<()> {
        let trouble = self.disk.turn(|trouble| matches!(trouble, Trouble::SyncLoses | Trouble::SyncKeeps));
        let unsynced = std::mem::take(&mut *self.unsynced.lock().unwrap());
        match trouble {
            None => self.file.sync_data(),
            Some(Trouble::SyncKeeps) => Err(broken()),
            Some(_) => {
                // The newest first, so that bytes written twice get their first value back.
                for (offset, old) in unsynced.old.iter().rev() {
                    let end = offset + old.len() as u64;
                    if self.file.len()? < end {
                        self.file.set_len(end)?;
                    }
                    self.file.write(*offset, old)?;
                }
                if let Some(len) = unsynced.len {
                    self.file.set_len(len)?;
                }
                Err(broken())
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.remember(offset, data.len())?;
        match self.disk.turn(|trouble| matches!(trouble, Trouble::Write | Trouble::TornWrite)) {
            None => self.file.write(offset, data),
            Some(Trouble::TornWrite) => {
                self.file.write(offset, &data[..data.len() / 2])?;
                Err(broken())
            }
            Some(_) => Err(broken()),
        }
    }

    fn close(&self) -> Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> std::result::Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn all_of(store: &dyn SyncStore) -> std::result::Result<Model, StoreError> {
    let (mut model, mut start) = (Model::new(), Vec::new());
    loop {
        let page = store.scan(&start, b"", 1000, 1 << 20)?;
        let Some(last) = page.last() else { return Ok(model) };
        start = [&last.key[..], &[0]].concat();
        model.extend(page.iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())));
    }
}

/// The changes of step `step`: some keys again and again, with values that grow the file.
fn changes(step: u32) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let key = |number: u32| (number % 7).to_be_bytes().to_vec();
    let value = vec![step as u8; 3000 + 40 * step as usize];
    vec![
        (key(step), Some(value)),
        (b"last".to_vec(), Some(step.to_be_bytes().to_vec())),
        (key(step + 3), step.is_multiple_of(4).then(|| vec![step as u8])),
    ]
}

fn mutations(changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Vec<Mutation<'_>> {
    changes
        .iter()
        .map(|(key, value)| match value {
            Some(value) => Mutation::Put { key, value },
            None => Mutation::Delete { key },
        })
        .collect()
}

fn applied(model: &Model, step: u32) -> Model {
    let mut model = model.clone();
    for (key, value) in changes(step) {
        match value {
            Some(value) => drop(model.insert(key, value)),
            None => drop(model.remove(&key)),
        }
    }
    model
}

/// Works on a store while its disk fails at the `at`th call and the `count - 1` calls after it.
/// Compares the store's answers with its contents, at the time and in the file afterwards. Returns
/// how often the disk failed.
fn troubled(trouble: Trouble, at: u64, count: u64) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let disk = Arc::new(Disk::default());
    let store = RedbStore::open_with(&path, disk.opener()).unwrap();
    let mut model = Model::new();
    let story = |step: u32, what: &str| format!("{trouble:?} at {at} for {count}, step {step}: {what}");
    for step in 0..16 {
        if step == 4 {
            disk.set(trouble, at, count);
        }
        let level = if step % 3 == 1 { Durability::Durable } else { Durability::Buffered };
        let before = model.clone();
        let changes = changes(step);
        let after = applied(&before, step);
        match store.apply(&[], &mutations(&changes), level) {
            Ok(()) => model = after,
            // The caller looks, as the contract says: done or not done, nothing between.
            Err(StoreError::UnknownOutcome) => {
                disk.heal();
                let found = all_of(&store).unwrap();
                assert!(found == before || found == after, "{}", story(step, "a part of an apply is there"));
                model = found;
                continue;
            }
            Err(StoreError::Unavailable(_) | StoreError::QuotaExceeded) => {}
            Err(error) => panic!("{}", story(step, &error.to_string())),
        }
        // Every apply is visible whatever the disk does, or the store says that it cannot be
        // reached.
        match all_of(&store) {
            Ok(found) => assert!(found == model, "{}", story(step, "another state is seen")),
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{}", story(step, &error.to_string())),
        }
    }
    disk.heal();
    // Nothing that was applied is lost once the disk works again.
    store.flush().unwrap();
    assert!(all_of(&store).unwrap() == model, "{}", story(99, "lost after the disk has healed"));
    drop(store);
    let reopened = RedbStore::open(&path).unwrap();
    assert!(all_of(&reopened).unwrap() == model, "{}", story(99, "lost in the file"));
    disk.hit.load(Ordering::Relaxed)
}

#[test]
fn whatever_call_of_the_disk_fails_an_apply_is_whole_or_not_there() {
    let mut hits = 0;
    for trouble in [
        Trouble::Write,
        Trouble::TornWrite,
        Trouble::SyncLoses,
        Trouble::SyncKeeps,
        Trouble::Read,
        Trouble::Full,
    ] {
        for count in [1, 3] {
            for at in 0..200 {
                let hit = troubled(trouble, at, count);
                hits += hit;
                if hit == 0 {
                    break;
                }
            }
        }
    }
    assert!(hits > 100, "the disk failed {hits} times only");
}

#[test]
fn an_unknown_outcome_is_said_when_the_disk_is_gone_after_a_failed_sync() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    for (trouble, there) in [(Trouble::SyncKeeps, true), (Trouble::Write, false)] {
        let disk = Arc::new(Disk::default());
        let store = RedbStore::open_with(&path, disk.opener()).unwrap();
        let (key, value) = (format!("{trouble:?}"), b"value");
        store.apply(&[], &[Mutation::Put { key: b"before", value }], Durability::Durable).unwrap();
        store.apply(&[], &[Mutation::Put { key: b"buffered", value }], Durability::Buffered).unwrap();
        disk.set(trouble, 0, u64::MAX);
        disk.gone.store(true, Ordering::Relaxed);
        let put = [Mutation::Put { key: key.as_bytes(), value }];
        let outcome = store.apply(&[], &put, Durability::Durable);
        assert!(matches!(outcome, Err(StoreError::UnknownOutcome)), "{trouble:?}: {outcome:?}");
        // Until the disk is back the store gives no answer, and no wrong one.
        let get = SyncStore::get(&store, &[key.as_bytes()]);
        assert!(matches!(get, Err(StoreError::Unavailable(_)) | Ok(_)), "{get:?}");
        assert!(matches!(store.flush(), Err(StoreError::Unavailable(_))));
        disk.heal();
        let found = all_of(&store).unwrap();
        assert_eq!(&found[&b"buffered"[..]], value);
        assert!(there || !found.contains_key(key.as_bytes()), "a write that failed is there");
        store.flush().unwrap();
    }
}

#[test]
fn regression_a_read_after_a_failed_write_does_not_wait_for_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let disk = Arc::new(Disk::default());
    let store = RedbStore::open_with(&path, disk.opener()).unwrap();
    let put = [Mutation::Put { key: b"key", value: b"value" }];
    store.apply(&[], &put, Durability::Buffered).unwrap();
    disk.set(Trouble::Write, 0, u64::MAX);
    disk.gone.store(true, Ordering::Relaxed);
    assert!(matches!(store.flush(), Err(StoreError::Unavailable(_))));
    disk.heal();
    // The buffered key needs no file; the file has to be opened again for others.
    let other = store.clone();
    let asked = std::thread::spawn(move || SyncStore::get(&other, &[b"other", b"key"]).unwrap());
    let patience = Instant::now();
    while !asked.is_finished() {
        assert!(patience.elapsed() < Duration::from_secs(60), "the read hangs");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(asked.join().unwrap(), [None, Some(Bytes::from_static(b"value"))]);
}

#[test]
fn regression_an_apply_that_took_place_unseen_is_not_half_hidden_by_what_is_buffered() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let store = RedbStore::open_with(&directory.path().join("state.redb"), disk.opener()).unwrap();
    store.apply(&[], &[Mutation::Put { key: b"a", value: b"1" }], Durability::Buffered).unwrap();
    disk.set(Trouble::SyncKeeps, 0, u64::MAX);
    disk.gone.store(true, Ordering::Relaxed);
    let both = [Mutation::Put { key: b"a", value: b"2" }, Mutation::Put { key: b"b", value: b"2" }];
    let outcome = store.apply(&[], &both, Durability::Durable);
    assert!(matches!(outcome, Err(StoreError::UnknownOutcome)), "{outcome:?}");
    disk.heal();
    let values: Vec<_> = all_of(&store).unwrap().into_values().collect();
    assert!(values == [b"1"] || values == [b"2", b"2"], "a half is seen: {values:?}");
    drop(store);
}

#[test]
fn rotten_bytes_give_errors_and_no_other_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let store = RedbStore::open(&path).unwrap();
    let value = |number: u32| vec![number as u8; 600];
    for number in 0..300u32 {
        let put = [Mutation::Put { key: &number.to_be_bytes(), value: &value(number) }];
        store.apply(&[], &put, Durability::Buffered).unwrap();
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let (mut refused, mut read) = (0, 0);
    for page in 0..whole.len() / 4096 {
        let mut rotten = whole.clone();
        rotten[page * 4096..(page + 1) * 4096].fill(0xA5);
        std::fs::write(&path, &rotten).unwrap();
        match RedbReader::open(&path) {
            Err(OpenError::Damaged { .. } | OpenError::NotAStore { .. } | OpenError::OtherRedb { .. }) => {
                refused += 1;
            }
            Err(other) => panic!("page {page}: {other}"),
            // redb checks its checksums only when it recovers, and the layers above check their
            // own. Here it is enough that nothing panics.
            Ok(store) => {
                let _ = all_of(&store);
                read += 1;
            }
        }
        assert!(std::fs::read(&path).unwrap() == rotten, "reading has changed the file");
    }
    assert!(refused > 0 && read > 0, "{refused} refused, {read} read");
}

#[test]
fn a_killed_file_is_read_as_its_last_commit_left_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let store = RedbStore::open(&path).unwrap();
    store.apply(&[], &mutations(&changes(1)), Durability::Durable).unwrap();
    assert!(matches!(RedbReader::open(&path), Err(OpenError::Busy { .. })), "a writer has it open");
    // A kill leaves the bytes of the file as they are now.
    let killed = directory.path().join("killed.redb");
    std::fs::copy(&path, &killed).unwrap();
    let before = std::fs::read(&killed).unwrap();
    let reader = RedbReader::open(&killed).unwrap();
    assert!(reader.recovered());
    assert!(all_of(&reader).unwrap() == applied(&Model::new(), 1));
    assert!(matches!(RedbStore::open(&killed), Err(OpenError::Busy { .. })), "a reader has it open");
    assert!(RedbReader::open(&killed).is_ok(), "two may read");
    drop(reader);
    assert!(std::fs::read(&killed).unwrap() == before, "reading has changed the file");
    drop(RedbStore::open(&killed).unwrap());
    let reader = RedbReader::open(&killed).unwrap();
    assert!(!reader.recovered());
    assert!(all_of(&reader).unwrap() == applied(&Model::new(), 1));
}
