//! The project's own stores, as the host opens them.

use std::path::Path;

use bytes::Bytes;
use kvfs_host::{
    AnyStore, Durability, Entry, FileOptions, FileStore, FileStoreReader, Guard, Limits, Mutation, OpenError,
    RedbReader, StoreAccess, StoreError, SyncStore, open_store,
};

use crate::Trial;

/// The name of the redb file in the directory.
pub(super) const REDB_NAME: &str = "store.redb";

struct Ours(AnyStore);

pub(super) fn redb(dir: &Path) -> Result<Box<dyn Trial>, StoreError> {
    let store = open_store(&format!("redb:{}", dir.join(REDB_NAME).display())).map_err(open_error)?;
    Ok(Box::new(Ours(store)))
}

pub(super) fn redb_reader(dir: &Path) -> Result<Box<dyn SyncStore>, StoreError> {
    Ok(Box::new(RedbReader::open(dir.join(REDB_NAME)).map_err(open_error)?))
}

pub(super) fn file(dir: &Path) -> Result<Box<dyn Trial>, StoreError> {
    Ok(Box::new(Ours(AnyStore::File(FileStore::open(dir).map_err(open_error)?))))
}

pub(super) fn file_alone(dir: &Path) -> Result<Box<dyn Trial>, StoreError> {
    let store = FileOptions::new().access(StoreAccess::Alone).open(dir).map_err(open_error)?;
    Ok(Box::new(Ours(AnyStore::File(store))))
}

pub(super) fn file_reader(dir: &Path) -> Result<Box<dyn SyncStore>, StoreError> {
    Ok(Box::new(FileStoreReader::open(dir).map_err(open_error)?))
}

fn open_error(error: OpenError) -> StoreError {
    match error {
        OpenError::Damaged { detail, .. } => StoreError::Corrupt(detail),
        OpenError::DiskFull { .. } => StoreError::QuotaExceeded,
        OpenError::ReadOnly { .. } => StoreError::ReadOnly,
        error => StoreError::Unavailable(error.to_string()),
    }
}

impl Trial for Ours {
    fn close(self: Box<Self>) -> Result<(), StoreError> {
        self.0.close()
    }
}

impl SyncStore for Ours {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.0.limits()
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.0.get(keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        self.0.scan(start, end, entries, bytes)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.0.apply(guards, mutations, level)
    }
}
