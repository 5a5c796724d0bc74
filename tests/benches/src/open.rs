//! Opens the stores of the host, in their own directories.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Result, bail};
use kvfs_bucket_store::{Bucket, BucketError, BucketStore};
use kvfs_host::{FileStore, MemoryStore, RedbStore, Store, SyncStore};
use kvfs_provider_kit::native::Native;

use crate::way::Keeper;

/// Opens a store for a guest.
///
/// # Errors
/// Those of the store.
pub(crate) fn for_a_guest(keeper: Keeper, dir: &Path) -> Result<Arc<dyn Store>> {
    Ok(match keeper {
        Keeper::Memory => Arc::new(MemoryStore::new()),
        Keeper::Redb => Arc::new(RedbStore::open(dir.join("state.redb"))?),
        Keeper::File => Arc::new(FileStore::open(dir.join("state"))?),
        Keeper::Bucket => Arc::new(Native::new(BucketStore::open(Memory::default(), 1)?)),
    })
}

/// Opens a store to call it here.
///
/// # Errors
/// Those of the store; a bucket is only for guests.
pub(crate) fn natively(keeper: Keeper, dir: &Path) -> Result<Box<dyn SyncStore>> {
    Ok(match keeper {
        Keeper::Memory => Box::new(MemoryStore::new()),
        Keeper::Redb => Box::new(RedbStore::open(dir.join("state.redb"))?),
        Keeper::File => Box::new(FileStore::open(dir.join("state"))?),
        Keeper::Bucket => bail!("a bucket has no library of its own to measure"),
    })
}

/// A bucket in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl Memory {
    fn with<T>(&self, ask: impl FnOnce(&mut HashMap<String, Vec<u8>>) -> T) -> Result<T, BucketError> {
        let mut values = self.0.lock().map_err(|_| BucketError::Failed("a thread panicked".into()))?;
        Ok(ask(&mut values))
    }
}

impl Bucket for Memory {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError> {
        self.with(|values| values.get(name).cloned())
    }

    fn set(&self, name: &str, value: &[u8]) -> Result<(), BucketError> {
        self.with(|values| drop(values.insert(name.into(), value.into())))
    }

    fn delete(&self, name: &str) -> Result<(), BucketError> {
        self.with(|values| drop(values.remove(name)))
    }
}
