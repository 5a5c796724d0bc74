//! A provider as a store of the host crate, for tests and tools.

use crate::Provider;
use kvfs_host::{Bytes, Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};
use std::sync::{Mutex, MutexGuard};

/// A provider as a [`SyncStore`].
#[derive(Debug)]
pub struct Native<P>(pub Mutex<P>);

impl<P: Provider> Native<P> {
    /// Makes a store of a provider.
    pub fn new(provider: P) -> Self {
        Self(Mutex::new(provider))
    }

    fn lock(&self) -> Result<MutexGuard<'_, P>, StoreError> {
        self.0.lock().map_err(|_| StoreError::Fault("the provider panicked".into()))
    }
}

impl<P: Provider + Send> SyncStore for Native<P> {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.lock()?.limits()
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
        Ok(self.lock()?.get(&keys)?.into_iter().map(|value| value.map(Bytes::from)).collect())
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let page = self.lock()?.scan(start, end, max_entries, max_bytes)?;
        Ok(page.into_iter().map(|entry| entry.map(Bytes::from)).collect())
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        // Owned, as they come out of a component's memory.
        let guards = guards.iter().map(|guard| guard.map(<[u8]>::to_vec)).collect();
        let mutations = mutations.iter().map(|mutation| mutation.map(<[u8]>::to_vec)).collect();
        self.lock()?.apply(guards, mutations, level)
    }
}
