//! A store in memory: for tests, and for a file system that is to leave nothing behind.

use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_contract::{Entries, ScanBudget, gather, key_range};
use std::cell::RefCell;
use std::rc::Rc;

const LIMITS: Limits = Limits::standard(false);

/// Keeps everything in an ordered map. Clones share it, so a volume can be opened again.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    entries: Rc<RefCell<Entries<Vec<u8>>>>,
}

impl MemoryStore {
    /// Returns a copy of all entries, in order.
    pub fn dump(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.entries.borrow().iter().map(|(key, value)| (key.to_vec(), value.clone())).collect()
    }

    /// Returns a store that starts with these entries.
    pub fn from_entries(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let store = Self::default();
        for (key, value) in entries {
            store.entries.borrow_mut().set(&key, Some(value));
        }
        store
    }
}

impl KvStore for MemoryStore {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        LIMITS.check_get(keys)?;
        let entries = self.entries.borrow();
        gather(keys, |key| Ok(entries.get(key).cloned()))
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        let mut page = ScanBudget::new(max_entries, max_bytes);
        let entries = self.entries.borrow();
        let entries = entries.range(range).take_while(|(key, value)| page.take(key.len() + value.len()));
        Ok(entries.map(|(key, value)| Entry { key: key.to_vec(), value: value.clone() }).collect())
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        let mut entries = self.entries.borrow_mut();
        entries.check(guards, mutations, u64::MAX)?;
        for mutation in mutations {
            entries.set(mutation.key(), mutation.value().map(<[u8]>::to_vec));
        }
        Ok(())
    }
}
