//! The store below volumes that are audited.

use super::active::{after_commit, before_commit};
use crate::config::Config;
use crate::store::ImportedStore;
use kvfs::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};

/// Returns the store below volumes.
pub(crate) fn store(config: &Config) -> Box<dyn KvStore> {
    if config.audit.is_some() { Box::new(AuditedStore) } else { Box::new(ImportedStore) }
}

/// The imported store, with the log's lines stored in order with the commits.
struct AuditedStore;

impl KvStore for AuditedStore {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        ImportedStore.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        ImportedStore.get(keys)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        ImportedStore.scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        before_commit(level)?;
        let outcome = ImportedStore.apply(guards, mutations, level);
        after_commit(level, outcome.is_ok());
        outcome
    }
}
