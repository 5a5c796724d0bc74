//! A store in memory: for tests, and for a file system that is to leave nothing behind.

use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

/// Keeps everything in an ordered map. Clones share it, so a volume can be opened again.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    entries: Rc<RefCell<BTreeMap<Vec<u8>, Vec<u8>>>>,
}

impl MemoryStore {
    /// Returns a copy of all entries, in order.
    pub fn dump(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.entries.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Returns a store that starts with these entries.
    pub fn from_entries(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> MemoryStore {
        MemoryStore { entries: Rc::new(RefCell::new(entries.into_iter().collect())) }
    }
}

impl KvStore for MemoryStore {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(Limits {
            max_key_bytes: 1 << 10,
            max_value_bytes: 2 << 20,
            max_batch_entries: 10_000,
            max_batch_bytes: 16 << 20,
            durable: false,
        })
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let entries = self.entries.borrow();
        Ok(keys.iter().map(|key| entries.get(*key).cloned()).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let entries = self.entries.borrow();
        let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
        if !end.is_empty() && end <= start {
            return Ok(Vec::new());
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (key, value) in
            entries.range::<[u8], _>((Bound::Included(start), upper)).take(max_entries as usize)
        {
            bytes += key.len() + value.len();
            if bytes > max_bytes as usize && !found.is_empty() {
                break;
            }
            found.push(Entry { key: key.clone(), value: value.clone() });
        }
        Ok(found)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        let mut entries = self.entries.borrow_mut();
        if guards.iter().any(|guard| entries.get(guard.key).map(Vec::as_slice) != guard.expected) {
            return Err(StoreError::Conflict);
        }
        for mutation in mutations {
            match *mutation {
                Mutation::Put { key, value } => entries.insert(key.to_vec(), value.to_vec()),
                Mutation::Delete { key } => entries.remove(key),
            };
        }
        Ok(())
    }
}
