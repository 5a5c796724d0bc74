//! The gathered changes: what waits in memory for the next commit, in front of a store.

use std::collections::{BTreeMap, btree_map};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs_contract::{KeyRange, ScanBudget};

use crate::{Durability, Entry, Guard, Mutation};

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
#[derive(Debug, Default)]
pub(crate) struct Changes {
    changes: BTreeMap<Bytes, Option<Bytes>>,
    size_bytes: usize,
    /// When the oldest of them was made.
    since: Option<Instant>,
}

/// An entry of the store behind, which is copied only if it is returned.
pub(crate) trait StoredEntry {
    fn key(&self) -> &[u8];
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
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the change of a key: `None` if there is none, `Some(None)` if it was removed, or its
    /// new value.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        self.changes.get(key).map(Option::as_ref)
    }

    pub(crate) fn iter(&self) -> btree_map::Iter<'_, Bytes, Option<Bytes>> {
        self.changes.iter()
    }

    /// Returns the changes as mutations.
    pub(crate) fn mutations(&self) -> Vec<Mutation<'_>> {
        self.changes
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Mutation::Put { key, value },
                None => Mutation::Delete { key },
            })
            .collect()
    }

    /// Returns whether nothing in a range has changed.
    pub(crate) fn is_unchanged(&self, range: KeyRange<'_>) -> bool {
        self.changes.range::<[u8], _>(range).next().is_none()
    }

    /// Returns whether so many more bytes may wait, or go to the store with all that waits.
    pub(crate) fn has_room(&self, new_bytes: usize) -> bool {
        self.size_bytes + new_bytes <= MAX_BUFFERED_BYTES
    }

    /// Returns whether the next change must go to the store now, with all that waits: because it is
    /// to be durable, or because so much waits, or for so long.
    pub(crate) fn must_commit(&self, new_bytes: usize, level: Durability) -> bool {
        level == Durability::Durable
            || !self.has_room(new_bytes)
            || self.since.is_some_and(|since| since.elapsed() >= MAX_BUFFERED_AGE)
    }

    /// Returns whether a guard holds; asks the store behind only if no change tells.
    pub(crate) fn holds<E>(
        &self,
        guard: &Guard<'_>,
        behind: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        match self.get(guard.key) {
            Some(changed) => Ok(guard.holds(changed.map(Bytes::as_ref))),
            None => behind(),
        }
    }

    /// Returns the value of a key; asks the store behind only if no change tells.
    pub(crate) fn value<E>(
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
    pub(crate) fn extend(&mut self, mutations: &[Mutation<'_>]) {
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
    pub(crate) fn merge<S: StoredEntry, E>(
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
