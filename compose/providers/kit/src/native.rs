//! A provider as a store of the host crate, for tests and tools.

use crate::{Durability, Entry, Error, Guard, Mutation, Provider};
use kvfs_host::{Bytes, Limits, StoreError, SyncStore};
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
        let limits = self.lock()?.limits();
        Ok(Limits {
            max_key_bytes: limits.max_key_bytes,
            max_value_bytes: limits.max_value_bytes,
            max_batch_entries: limits.max_batch_entries,
            max_batch_bytes: limits.max_batch_bytes,
            durable: limits.durable,
        })
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
        let values = self.lock()?.get(&keys).map_err(to_host)?;
        Ok(values.into_iter().map(|value| value.map(Bytes::from)).collect())
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<kvfs_host::Entry>, StoreError> {
        let entries = self.lock()?.scan(start, end, max_entries, max_bytes).map_err(to_host)?;
        let to_host = |e: Entry| kvfs_host::Entry { key: e.key.into(), value: e.value.into() };
        Ok(entries.into_iter().map(to_host).collect())
    }

    fn apply(
        &self,
        guards: &[kvfs_host::Guard<'_>],
        mutations: &[kvfs_host::Mutation<'_>],
        level: kvfs_host::Durability,
    ) -> Result<(), StoreError> {
        let guards = guards
            .iter()
            .map(|guard| Guard { key: guard.key.to_vec(), expected: guard.expected.map(<[u8]>::to_vec) });
        let mutations = mutations.iter().map(|mutation| match *mutation {
            kvfs_host::Mutation::Put { key, value } => {
                Mutation::Put(Entry { key: key.to_vec(), value: value.to_vec() })
            }
            kvfs_host::Mutation::Delete { key } => Mutation::Delete(key.to_vec()),
        });
        let level = match level {
            kvfs_host::Durability::Buffered => Durability::Buffered,
            kvfs_host::Durability::Durable => Durability::Durable,
        };
        self.lock()?.apply(guards.collect(), mutations.collect(), level).map_err(to_host)
    }
}

fn to_host(error: Error) -> StoreError {
    match error {
        Error::Conflict => StoreError::Conflict,
        Error::UnknownOutcome => StoreError::UnknownOutcome,
        Error::Unavailable(why) => StoreError::Unavailable(why),
        Error::TooLarge => StoreError::TooLarge,
        Error::QuotaExceeded => StoreError::QuotaExceeded,
        Error::ReadOnly => StoreError::ReadOnly,
        Error::AccessDenied => StoreError::AccessDenied,
        Error::Corrupt(why) => StoreError::Corrupt(why),
        Error::Other(why) => StoreError::Other(why),
    }
}
