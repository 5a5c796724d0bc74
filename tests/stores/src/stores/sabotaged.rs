//! Stores that do wrong: each does one thing that the torture must notice.

use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kvfs_host::{
    Durability, Entry, FileStore, FileStoreReader, Guard, Limits, Mutation, StoreError, SyncStore,
};
use xxhash_rust::xxh64::xxh64;

use super::sabotage::Sabotage;
use crate::Trial;
use crate::trial::lock;

/// Applies that a store that rolls back keeps in memory, whatever was asked for.
const KEPT_APPLIES: usize = 12;

/// One key of so many is done wrong.
const ONE_OF: u64 = 40;

/// Long enough that a kill hits the middle of an apply.
const TEAR: Duration = Duration::from_millis(1);

type Change = (Vec<u8>, Option<Vec<u8>>);

struct Sabotaged {
    store: FileStore,
    sabotage: Sabotage,
    kept: Mutex<Vec<Vec<Change>>>,
}

pub(super) fn open(dir: &Path, sabotage: Sabotage) -> Result<Box<dyn Trial>, StoreError> {
    let store = FileStore::open(dir).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(Box::new(Sabotaged { store, sabotage, kept: Mutex::default() }))
}

pub(super) fn open_reader(dir: &Path, _: Sabotage) -> Result<Box<dyn SyncStore>, StoreError> {
    let reader = FileStoreReader::open(dir).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(Box::new(reader))
}

impl Sabotaged {
    fn store(&self, changes: &[Change], level: Durability) -> Result<(), StoreError> {
        let mutations: Vec<Mutation<'_>> = changes
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Mutation::Put { key, value },
                None => Mutation::Delete { key },
            })
            .collect();
        self.store.apply(&[], &mutations, level)
    }

    /// Does to an answer what the sabotage asks for.
    fn spoil(&self, key: &[u8], value: Bytes) -> Option<Bytes> {
        if key.len() < 3 || !xxh64(key, 1).is_multiple_of(ONE_OF) {
            return Some(value);
        }
        match self.sabotage {
            Sabotage::WrongByte => {
                let mut wrong = value.to_vec();
                if let Some(last) = wrong.last_mut() {
                    *last ^= 1;
                }
                Some(wrong.into())
            }
            Sabotage::LosesKey => None,
            Sabotage::Panics => panic!("a store that panics"),
            Sabotage::Aborts => std::process::abort(),
            Sabotage::RollsBack | Sabotage::TearsApply => Some(value),
        }
    }
}

impl SyncStore for Sabotaged {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.store.limits()
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let found = self.store.get(keys)?;
        let spoiled =
            keys.iter().zip(found).map(|(key, value)| value.and_then(|value| self.spoil(key, value)));
        Ok(spoiled.collect())
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        let page = self.store.scan(start, end, entries, bytes)?;
        Ok(page
            .into_iter()
            .filter_map(|entry| {
                let value = self.spoil(&entry.key, entry.value)?;
                Some(Entry { key: entry.key, value })
            })
            .collect())
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        match self.sabotage {
            Sabotage::RollsBack => {
                let mut kept = lock(&self.kept);
                let changes =
                    |mutation: &Mutation<'_>| (mutation.key().to_vec(), mutation.value().map(<[u8]>::to_vec));
                kept.push(mutations.iter().map(changes).collect());
                if kept.len() > KEPT_APPLIES {
                    self.store(&kept.remove(0), level)?;
                }
                Ok(())
            }
            Sabotage::TearsApply => {
                let (first, second) = mutations.split_at(mutations.len() / 2);
                self.store.apply(guards, first, level)?;
                thread::sleep(TEAR);
                self.store.apply(&[], second, level)
            }
            _ => self.store.apply(guards, mutations, level),
        }
    }
}

impl Trial for Sabotaged {
    fn close(self: Box<Self>) -> Result<(), StoreError> {
        for changes in std::mem::take(&mut *lock(&self.kept)) {
            self.store(&changes, Durability::Durable)?;
        }
        self.store.apply(&[], &[], Durability::Durable)
    }
}
