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
#[derive(Clone, Debug)]
pub struct MemoryStore {
    held: Arc<RwLock<Held>>,
    /// `u64::MAX`: no limit.
    size_bytes: u64,
}

#[derive(Debug, Default)]
struct Held {
    entries: BTreeMap<Key, Bytes>,
    used_bytes: u64,
}

/// What an entry counts for.
fn cost(key: &[u8], value: &[u8]) -> u64 {
    MemoryStore::ENTRY_OVERHEAD_BYTES + key.len() as u64 + value.len() as u64
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_size(u64::MAX)
    }
}

/// Most keys are short: a few numbers and a file's name. Kept in the tree's own nodes they are compared
/// without a look elsewhere in memory.
type Key = SmallVec<[u8; 40]>;

const LIMITS: Limits = Limits::of_this_crate(false);

impl MemoryStore {
    /// What an entry counts for beside its bytes: its place in the tree, and the heads of its allocations. The provider
    /// `memory` counts so too: one size means the same in both.
    pub const ENTRY_OVERHEAD_BYTES: u64 = 160;

    /// Makes an empty store, as large as memory is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store that holds at most so many bytes of keys and values, with
    /// [`MemoryStore::ENTRY_OVERHEAD_BYTES`] for each entry.
    ///
    /// # Errors
    /// An `apply` that would make it both larger than it is and larger than that is refused with
    /// [`StoreError::QuotaExceeded`]; what shrinks it is always taken.
    pub fn with_size(size_bytes: u64) -> Self {
        Self { held: Arc::default(), size_bytes }
    }

    /// Returns what the entries take, as [`MemoryStore::with_size`] counts.
    ///
    /// # Errors
    /// [`StoreError::Fault`] after a panic in another handle.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        self.read().map(|held| held.used_bytes)
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, Held>, StoreError> {
        self.held.read().map_err(|_| StoreError::poisoned("a memory store"))
    }
}

impl Held {
    /// Checks that mutations do not make the store both larger than it is and larger than its size.
    fn check_growth(&self, mutations: &[Mutation<'_>], size_bytes: u64) -> Result<(), StoreError> {
        if size_bytes == u64::MAX {
            return Ok(());
        }
        // More than any of it can add, and nearly always far from the size.
        let added = |mutation: &Mutation<'_>| mutation.value().map_or(0, |value| cost(mutation.key(), value));
        if self.used_bytes.saturating_add(mutations.iter().map(added).sum()) <= size_bytes {
            return Ok(());
        }
        // Exactly: of several mutations on one key the last one counts.
        let last: BTreeMap<&[u8], Option<&[u8]>> =
            mutations.iter().map(|mutation| (mutation.key(), mutation.value())).collect();
        let (mut before, mut after) = (0, 0);
        for (key, value) in last {
            before += self.entries.get::<[u8]>(key).map_or(0, |old| cost(key, old));
            after += value.map_or(0, |value| cost(key, value));
        }
        if after > before && self.used_bytes - before + after > size_bytes {
            return Err(StoreError::QuotaExceeded);
        }
        Ok(())
    }
}

impl SyncStore for MemoryStore {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        LIMITS.check_get(keys)?;
        let held = self.read()?;
        values(keys, |key| Ok::<_, StoreError>(held.entries.get::<[u8]>(key).cloned()))?
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
        let held = self.read()?;
        Ok(held
            .entries
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
        let mut held = self.held.write().map_err(|_| StoreError::poisoned("a memory store"))?;
        if !guards.iter().all(|guard| guard.holds(held.entries.get::<[u8]>(guard.key).map(Bytes::as_ref))) {
            return Err(StoreError::Conflict);
        }
        held.check_growth(mutations, self.size_bytes)?;
        let Held { entries, used_bytes } = &mut *held;
        for mutation in mutations {
            let key = mutation.key();
            let old = match mutation.value() {
                Some(value) => {
                    *used_bytes += cost(key, value);
                    let value = Bytes::copy_from_slice(value);
                    match entries.entry(Key::from_slice(key)) {
                        Place::Occupied(mut place) => Some(place.insert(value)),
                        Place::Vacant(place) => {
                            place.insert(value);
                            None
                        }
                    }
                }
                None => entries.remove::<[u8]>(key),
            };
            if let Some(old) = old {
                *used_bytes -= cost(key, &old);
            }
        }
        Ok(())
    }
}
