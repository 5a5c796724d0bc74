//! A store in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::limits::{ScanBudget, key_range, values};
use crate::{Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};

/// A store in memory: an ordered map behind a lock.
///
/// A clone is another handle on the same data, so that a second instance in the same process finds
/// what the first one wrote. The data goes with the last handle. Reading gives out shared bytes and
/// copies no values; writing copies each value once.
///
/// ```
/// use kvfs_host::{Durability, MemoryStore, Mutation, SyncStore};
///
/// let store = MemoryStore::new();
/// let second = store.clone();
/// store.apply(&[], &[Mutation::Put { key: b"k", value: b"v" }], Durability::Buffered)?;
/// assert_eq!(SyncStore::get(&second, &[b"k"])?, [Some("v".into())]);
/// # Ok::<(), kvfs_host::StoreError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    entries: Arc<RwLock<BTreeMap<Key, Bytes>>>,
}

/// Most keys are short: a few numbers and a file's name. Kept in the tree's own nodes they are compared
/// without a look elsewhere in memory.
type Key = SmallVec<[u8; 40]>;

const LIMITS: Limits = Limits::of_this_crate(false);

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, BTreeMap<Key, Bytes>>, StoreError> {
        self.entries.read().map_err(|_| StoreError::poisoned("a memory store"))
    }
}

impl SyncStore for MemoryStore {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        LIMITS.check_get(keys)?;
        let entries = self.read()?;
        values(keys, |key| Ok::<_, StoreError>(entries.get::<[u8]>(key).cloned()))?
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        let mut budget = ScanBudget::new(max_entries, max_bytes);
        let entries = self.read()?;
        Ok(entries
            .range::<[u8], _>(range)
            .take_while(|(key, value)| budget.take(key, value))
            .map(|(key, value)| Entry { key: Bytes::copy_from_slice(key), value: value.clone() })
            .collect())
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        let mut entries = self.entries.write().map_err(|_| StoreError::poisoned("a memory store"))?;
        if !guards.iter().all(|guard| guard.holds(entries.get::<[u8]>(guard.key).map(Bytes::as_ref))) {
            return Err(StoreError::Conflict);
        }
        for mutation in mutations {
            match mutation.value() {
                Some(value) => {
                    let value = Bytes::copy_from_slice(value);
                    match entries.entry(Key::from_slice(mutation.key())) {
                        Place::Occupied(mut place) => drop(place.insert(value)),
                        Place::Vacant(place) => drop(place.insert(value)),
                    }
                }
                None => drop(entries.remove::<[u8]>(mutation.key())),
            }
        }
        Ok(())
    }
}
