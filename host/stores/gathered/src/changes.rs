//! The gathered changes: what waits in memory for the next commit, in front of a store.

use std::collections::{BTreeMap, btree_map};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs_contract::{Durability, KeyRange, ScanBudget};

type Entry = kvfs_contract::Entry<Bytes>;
type Guard<'a> = kvfs_contract::Guard<&'a [u8]>;
type Mutation<'a> = kvfs_contract::Mutation<&'a [u8]>;

/// Most bytes of buffered changes in memory; an apply that would exceed it commits. It bounds the
/// host's memory, and is one batch of the largest size.
pub const MAX_BUFFERED_BYTES: usize = 16 << 20;

/// Age at which the next apply commits a buffered change: as long as ext4 leaves data in memory by
/// default.
pub const MAX_BUFFERED_AGE: Duration = Duration::from_secs(5);

/// Memory of an entry beside its bytes: two handles, the map's node, two allocations. A guest that
/// writes empty values must not escape the bound on memory.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// Changed keys with their new values; `None` where the key was removed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    changes: BTreeMap<Bytes, Option<Bytes>>,
    size_bytes: usize,
    /// When the oldest of them was made.
    since: Option<Instant>,
}

/// An entry of the store behind, which is copied only if it is returned.
pub trait StoredEntry {
    /// Returns its key.
    fn key(&self) -> &[u8];
    /// Returns the entry itself.
    fn into_entry(self) -> Entry;
}

impl StoredEntry for Entry {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn into_entry(self) -> Entry {
        self
    }
}

impl Changes {
    /// Memory that the changes take; 0 only if there are none.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the change of a key: `None` if there is none, `Some(None)` if it was removed, or its
    /// new value.
    pub fn get(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        self.changes.get(key).map(Option::as_ref)
    }

    /// Returns the changes in the order of their keys.
    pub fn iter(&self) -> btree_map::Iter<'_, Bytes, Option<Bytes>> {
        self.changes.iter()
    }

    /// Returns the changes of a range in the order of their keys.
    pub fn range(&self, range: KeyRange<'_>) -> btree_map::Range<'_, Bytes, Option<Bytes>> {
        self.changes.range::<[u8], _>(range)
    }

    /// Returns how many keys have changed.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Returns whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns the bytes of all keys and values, as a batch counts them.
    pub fn batch_bytes(&self) -> usize {
        self.size_bytes - self.changes.len() * ENTRY_OVERHEAD_BYTES
    }

    /// Returns when the oldest of them was made.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Adds the changes of `later`, which replace those of the same keys.
    pub fn append(&mut self, later: &Self) {
        self.since = self.since.or(later.since);
        for (key, value) in &later.changes {
            self.set(key.clone(), value.clone());
        }
    }

    fn set(&mut self, key: Bytes, value: Option<Bytes>) {
        self.size_bytes += value.as_ref().map_or(0, Bytes::len);
        match self.changes.entry(key) {
            btree_map::Entry::Occupied(mut slot) => {
                self.size_bytes -= slot.get().as_ref().map_or(0, Bytes::len);
                slot.insert(value);
            }
            btree_map::Entry::Vacant(slot) => {
                self.size_bytes += slot.key().len() + ENTRY_OVERHEAD_BYTES;
                slot.insert(value);
            }
        }
    }

    /// Returns the changes as mutations.
    pub fn mutations(&self) -> Vec<Mutation<'_>> {
        self.changes
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Mutation::Put { key, value },
                None => Mutation::Delete { key },
            })
            .collect()
    }

    /// Returns whether nothing in a range has changed.
    pub fn is_unchanged(&self, range: KeyRange<'_>) -> bool {
        self.changes.range::<[u8], _>(range).next().is_none()
    }

    /// Returns whether so many more bytes may wait, or go to the store with all that waits.
    pub fn has_room(&self, new_bytes: usize) -> bool {
        self.size_bytes + new_bytes <= MAX_BUFFERED_BYTES
    }

    /// Returns whether the next change must go to the store now, with all that waits: because it is
    /// to be durable, or because so much waits, or for so long.
    pub fn must_commit(&self, new_bytes: usize, level: Durability) -> bool {
        level == Durability::Durable
            || !self.has_room(new_bytes)
            || self.since.is_some_and(|since| since.elapsed() >= MAX_BUFFERED_AGE)
    }

    /// Returns whether a guard holds; asks the store behind only if no change tells.
    pub fn holds<E>(&self, guard: &Guard<'_>, behind: impl FnOnce() -> Result<bool, E>) -> Result<bool, E> {
        match self.get(guard.key) {
            Some(changed) => Ok(guard.holds(changed.map(Bytes::as_ref))),
            None => behind(),
        }
    }

    /// Returns the value of a key; asks the store behind only if no change tells.
    pub fn value<E>(
        &self,
        key: &[u8],
        behind: impl FnOnce() -> Result<Option<Bytes>, E>,
    ) -> Result<Option<Bytes>, E> {
        match self.get(key) {
            Some(changed) => Ok(changed.cloned()),
            None => behind(),
        }
    }

    /// Adds mutations; a later one on the same key replaces the earlier.
    pub fn extend(&mut self, mutations: &[Mutation<'_>]) {
        if !mutations.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
        for mutation in mutations {
            let value = mutation.value().map(Bytes::copy_from_slice);
            self.size_bytes += value.as_ref().map_or(0, Bytes::len);
            match self.changes.get_mut(mutation.key()) {
                Some(slot) => {
                    self.size_bytes -= slot.as_ref().map_or(0, Bytes::len);
                    *slot = value;
                }
                None => {
                    self.size_bytes += mutation.key().len() + ENTRY_OVERHEAD_BYTES;
                    self.changes.insert(Bytes::copy_from_slice(mutation.key()), value);
                }
            }
        }
    }

    /// Returns a page of the entries of `range`: those of the store behind, with the changes applied.
    pub fn merge<S: StoredEntry, E>(
        &self,
        range: KeyRange<'_>,
        mut stored: impl Iterator<Item = Result<S, E>>,
        mut budget: ScanBudget,
    ) -> Result<Vec<Entry>, E> {
        let mut page = Vec::new();
        let mut changes = self.changes.range::<[u8], _>(range).peekable();
        let mut next_stored = stored.next().transpose()?;
        loop {
            let from_changes = match (&next_stored, changes.peek()) {
                (None, None) => return Ok(page),
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (Some(stored_entry), Some((key, _))) => {
                    if stored_entry.key() == key.as_ref() {
                        next_stored = stored.next().transpose()?;
                        true
                    } else {
                        key.as_ref() < stored_entry.key()
                    }
                }
            };
            let entry = if from_changes {
                match changes.next() {
                    Some((key, Some(value))) => Entry { key: key.clone(), value: value.clone() },
                    _ => continue,
                }
            } else {
                let Some(entry) = next_stored.take() else { continue };
                next_stored = stored.next().transpose()?;
                entry.into_entry()
            };
            if !budget.take(entry.key.len() + entry.value.len()) {
                return Ok(page);
            }
            page.push(entry);
        }
    }
}
