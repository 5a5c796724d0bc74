//! A store in memory.

use std::hint::black_box;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use bytes::Bytes;
use kvfs_contract::{ENTRY_OVERHEAD_BYTES, Entries, ScanBudget, gather, key_range};

use crate::contract::poisoned;
use crate::gate::Gate;
use crate::{Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};

/// A store in memory: an ordered map behind a lock.
///
/// A clone is another handle on the same data, so a second instance in the same process finds what
/// the first one wrote. The data goes with the last handle. Reading gives out shared bytes and
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
    gate: Arc<Gate>,
    /// `u64::MAX`: no limit.
    size_bytes: u64,
}

#[derive(Debug, Default)]
struct Held {
    entries: Entries<Bytes>,
    /// When the entries take so many bytes, memory is asked for ahead again.
    ahead_bytes: u64,
}

/// Memory that is asked for ahead of values.
const AHEAD_BYTES: usize = 4 << 20;

impl Held {
    /// Asks for memory ahead of the values to come, as the entries grow.
    ///
    /// On all threads but the first, glibc takes memory from the system for each value alone. These
    /// calls were a seventh of the time in which a large file is written. Memory that was asked for
    /// and given back is kept by the allocator, and takes no page before it is used.
    #[inline]
    fn ask_ahead(&mut self) {
        let used_bytes = self.entries.used_bytes();
        if used_bytes >= self.ahead_bytes {
            drop(black_box(Vec::<u8>::with_capacity(AHEAD_BYTES)));
            self.ahead_bytes = u64::MAX;
        }
        self.ahead_bytes = self.ahead_bytes.min(used_bytes + AHEAD_BYTES as u64);
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_size(u64::MAX)
    }
}

const LIMITS: Limits = Limits::standard(false);

impl MemoryStore {
    /// Bytes that an entry counts for beside its key and value: its place in the tree, and the heads
    /// of its allocations. The provider `memory` counts so too: one size means the same in both.
    pub const ENTRY_OVERHEAD_BYTES: u64 = ENTRY_OVERHEAD_BYTES;

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
        Self { held: Arc::default(), gate: Arc::default(), size_bytes }
    }

    /// Returns what the entries take, as [`MemoryStore::with_size`] counts.
    ///
    /// # Errors
    /// [`StoreError::Fault`] after a panic in another handle.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        self.read().map(|held| held.entries.used_bytes())
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, Held>, StoreError> {
        self.held.read().map_err(|_| poisoned("a memory store"))
    }
}

impl SyncStore for MemoryStore {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        LIMITS.check_get(keys)?;
        let held = self.read()?;
        gather(keys, |key| Ok(held.entries.get(key).cloned()))
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        let mut page = ScanBudget::new(max_entries, max_bytes);
        let held = self.read()?;
        let entries = held.entries.range(range).take_while(|(key, value)| page.take(key.len() + value.len()));
        Ok(entries.map(|(key, value)| Entry { key: key.to_vec().into(), value: value.clone() }).collect())
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        self.gate.pass();
        let mut held = self.held.write().map_err(|_| poisoned("a memory store"))?;
        held.entries.check(guards, mutations, self.size_bytes)?;
        for mutation in mutations {
            match mutation {
                Mutation::Put { key, value } => {
                    held.ask_ahead();
                    held.entries.put_with(key, |old| replaced(old, value));
                }
                Mutation::Delete { key } => held.entries.remove(key),
            }
        }
        Ok(())
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        self.gate.behind(work);
        true
    }
}

/// Returns a value that has replaced `old`: in place if it has the same length and no reader holds
/// it. The records that most commits write again, a volume's superblock and a directory's inode,
/// keep their lengths.
fn replaced(old: Bytes, value: &[u8]) -> Bytes {
    if old.len() == value.len()
        && let Ok(mut own) = old.try_into_mut()
    {
        own.copy_from_slice(value);
        return own.freeze();
    }
    Bytes::copy_from_slice(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &MemoryStore, value: &[u8]) {
        store.apply(&[], &[Mutation::Put { key: b"k", value }], Durability::Buffered).unwrap();
    }

    fn get(store: &MemoryStore) -> Bytes {
        SyncStore::get(store, &[b"k"]).unwrap().remove(0).unwrap()
    }

    #[test]
    fn bytes_that_a_reader_holds_stay_as_they_were() {
        let store = MemoryStore::new();
        put(&store, b"one");
        let held = get(&store);
        put(&store, b"two");
        put(&store, b"six");
        assert_eq!((held.as_ref(), get(&store).as_ref()), (&b"one"[..], &b"six"[..]));
    }

    #[test]
    fn a_value_of_the_same_length_takes_the_place_of_the_old_one() {
        let store = MemoryStore::new();
        put(&store, b"one");
        let place = get(&store).as_ptr();
        put(&store, b"two");
        assert_eq!((get(&store).as_ptr(), get(&store).as_ref()), (place, &b"two"[..]));
        let used = store.used_bytes().unwrap();
        put(&store, b"three");
        assert_eq!(store.used_bytes().unwrap(), used + 2);
    }
}
