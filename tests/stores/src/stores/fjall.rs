//! fjall: a log-structured tree in a directory.

use std::ops::Bound;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode, Readable};
use kvfs_contract::{ScanBudget, gather, key_range};
use kvfs_host::{Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};

use crate::trial::{KEY_PREFIX, LIMITS, hold, io_error, lock, stored_key};
use crate::{Trial, Tuning};

/// Memory for blocks, as redb has here.
const CACHE_BYTES: u64 = 64 << 20;

/// Most bytes of changes in memory before they become a table, for small trials.
const SMALL_MEMTABLE_BYTES: u64 = 256 << 10;

struct Fjall {
    keyspace: Keyspace,
    db: Database,
    /// Guards are checked and changes made under it.
    writer: Mutex<()>,
}

pub(super) fn open(dir: &Path, tuning: Tuning, blobs: bool) -> Result<Box<dyn Trial>, StoreError> {
    let db = Database::builder(dir).cache_size(CACHE_BYTES).open().map_err(error)?;
    let options = || {
        let mut options = KeyspaceCreateOptions::default();
        if blobs {
            options = options.with_kv_separation(Some(KvSeparationOptions::default()));
        }
        if tuning.small {
            options = options.max_memtable_size(SMALL_MEMTABLE_BYTES);
        }
        options
    };
    let keyspace = db.keyspace("entries", options).map_err(error)?;
    Ok(Box::new(Fjall { keyspace, db, writer: Mutex::new(()) }))
}

/// Opens as a writer does: fjall knows no other way.
pub(super) fn open_reader(dir: &Path, tuning: Tuning, blobs: bool) -> Result<Box<dyn SyncStore>, StoreError> {
    Ok(open(dir, tuning, blobs)?)
}

impl SyncStore for Fjall {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        LIMITS.check_get(keys)?;
        let snapshot = self.db.snapshot();
        gather(keys, |key| {
            let found = snapshot.get(&self.keyspace, stored_key(key)).map_err(error)?;
            Ok(found.map(|value| Bytes::copy_from_slice(&value)))
        })
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        let Some((from, to)) = key_range(start, end) else { return Ok(Vec::new()) };
        let (from, to) = (from.map(stored_key), to.map(stored_key));
        let to = if matches!(to, Bound::Unbounded) { Bound::Excluded(vec![KEY_PREFIX + 1]) } else { to };
        let mut budget = ScanBudget::new(entries, bytes);
        let mut page = Vec::new();
        for entry in self.db.snapshot().range::<Vec<u8>, _>(&self.keyspace, (from, to)) {
            let (key, value) = entry.into_inner().map_err(error)?;
            let key = key.get(1..).ok_or_else(|| StoreError::Corrupt("an empty key".into()))?;
            if !budget.take(key.len() + value.len()) {
                break;
            }
            page.push(Entry { key: Bytes::copy_from_slice(key), value: Bytes::copy_from_slice(&value) });
        }
        Ok(page)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        let _writing = lock(&self.writer);
        hold(guards, |key| {
            let found = self.keyspace.get(stored_key(key)).map_err(error)?;
            Ok(found.map(|value| Bytes::copy_from_slice(&value)))
        })?;
        let mode = match level {
            Durability::Buffered => PersistMode::Buffer,
            Durability::Durable => PersistMode::SyncData,
        };
        if mutations.is_empty() {
            return self.db.persist(mode).map_err(error);
        }
        let mut batch = self.db.batch().durability(Some(mode));
        for mutation in mutations {
            match mutation {
                Mutation::Put { key, value } => batch.insert(&self.keyspace, stored_key(key), *value),
                Mutation::Delete { key } => batch.remove(&self.keyspace, stored_key(key)),
            }
        }
        batch.commit().map_err(error)
    }
}

impl Trial for Fjall {
    fn close(self: Box<Self>) -> Result<(), StoreError> {
        self.db.persist(PersistMode::SyncAll).map_err(error)
    }
}

fn error(error: fjall::Error) -> StoreError {
    match &error {
        fjall::Error::Io(system) => io_error(system),
        fjall::Error::Storage(fjall::LsmError::Io(system)) => io_error(system),
        fjall::Error::Locked | fjall::Error::Poisoned => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Corrupt(error.to_string()),
    }
}
