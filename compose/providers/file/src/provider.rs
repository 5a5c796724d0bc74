//! The store as a provider: the contract's limits and words.

use kvfs_file_store::{Directory, FileStore, RESTORE, StoreError};
use kvfs_provider_kit::{Durability, Entry, Error, Guard, Limits, Mutation, Provider, limits};

/// A store in a directory, as a provider.
pub struct FileProvider<D: Directory>(FileStore<D>);

impl<D: Directory + Clone> FileProvider<D> {
    /// Opens the store in a directory, or makes one.
    ///
    /// # Errors
    ///
    /// Those of [`FileStore::open`].
    pub fn open(directory: D) -> Result<Self, Error> {
        FileStore::open(directory).map(Self).map_err(to_error)
    }
}

impl<D: Directory> Provider for FileProvider<D> {
    fn limits(&self) -> Limits {
        limits::limits(true)
    }

    fn get(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        limits::get(keys, |key| self.0.get(key).map_err(to_error))
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, Error> {
        limits::scan(max_entries, max_bytes, |take| self.0.scan(start, end, take).map_err(to_error))
    }

    fn apply(
        &mut self,
        guards: Vec<Guard>,
        mutations: Vec<Mutation>,
        level: Durability,
    ) -> Result<(), Error> {
        limits::apply(&guards, &mutations, |guards, mutations| {
            self.0.apply(guards, mutations, level == Durability::Durable).map_err(to_error)
        })
    }
}

fn to_error(error: StoreError) -> Error {
    match error {
        StoreError::Conflict => Error::Conflict,
        StoreError::UnknownOutcome => Error::UnknownOutcome,
        StoreError::Unavailable(why) => Error::Unavailable(why),
        StoreError::QuotaExceeded => Error::QuotaExceeded,
        StoreError::ReadOnly => Error::ReadOnly,
        StoreError::Fenced => Error::AccessDenied,
        StoreError::Corrupt(why) => Error::Corrupt(format!("{why}; {RESTORE}")),
        other => Error::Other(other.to_string()),
    }
}
