//! A sealed store over one that answers at once.

use crate::below::{Blocking, now};
use crate::store::SealedStore;
use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};

impl<C> SealedStore<C> {
    /// Returns the limits: those of the store below, less what sealing adds.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

impl<S: KvStore + Send> KvStore for SealedStore<Blocking<S>> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(Self::limits(self))
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        now(Self::get(self, keys))
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        now(Self::scan(self, start, end, max_entries, max_bytes))
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        now(Self::apply(self, guards, mutations, level))
    }
}
