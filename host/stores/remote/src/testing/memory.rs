//! A server's store, in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kvfs_contract::{
    AsyncKvStore, Durability, Entries, Entry, Guard, Limits, Mutation, ScanBudget, StoreError, gather,
    key_range,
};

/// The store of a server that may crash, in memory: what is durable is kept apart. A clone is another
/// client of the same server.
#[derive(Clone, Debug)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Kept {
    live: Entries<Bytes>,
    durable: Entries<Bytes>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_limits(Limits::standard(true))
    }
}

impl Memory {
    /// Makes an empty store with the limits of the project's stores.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store with other limits.
    pub fn with_limits(limits: Limits) -> Self {
        Self { kept: Arc::default(), limits }
    }

    /// Lets the server crash: everything after the last durable apply is gone.
    pub fn crash(&self) {
        let kept = &mut *self.lock();
        kept.live = kept.durable.clone();
    }

    /// Returns all entries in order.
    pub fn dump(&self) -> Vec<(Vec<u8>, Bytes)> {
        self.lock().live.iter().map(|(key, value)| (key.to_vec(), value.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncKvStore for Memory {
    type Bytes = Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.limits)
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.limits.check_get(keys)?;
        let kept = self.lock();
        gather(keys, |key| Ok(kept.live.get(key).cloned()))
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Bytes>>, StoreError> {
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        let max_entries = max_entries.min(self.limits.max_batch_entries);
        let mut page = ScanBudget::new(max_entries, max_bytes.min(self.limits.max_batch_bytes));
        let kept = self.lock();
        let entries = kept.live.range(range).take_while(|(key, value)| page.take(key.len() + value.len()));
        Ok(entries
            .map(|(key, value)| Entry { key: Bytes::from(key.to_vec()), value: value.clone() })
            .collect())
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.limits.check_apply(guards, mutations)?;
        let kept = &mut *self.lock();
        kept.live.check(guards, mutations, u64::MAX)?;
        for mutation in mutations {
            kept.live.set(mutation.key(), mutation.value().map(Bytes::copy_from_slice));
        }
        if level == Durability::Durable {
            kept.durable = kept.live.clone();
        }
        Ok(())
    }
}
