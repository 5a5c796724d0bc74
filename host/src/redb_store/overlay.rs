//! The overlay: changes that wait in memory for the next commit, in front of the file.

use std::collections::{BTreeMap, btree_map};

use bytes::Bytes;
use kvfs_contract::{KeyRange, ScanBudget};
use redb::{AccessGuard, StorageError};

use crate::{Entry, Mutation};

/// Memory of an entry beside its bytes: two handles, the map's node, two allocations. A guest that
/// writes empty values must not escape the bound on memory.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// Changed keys with their new values; `None` where the key was removed.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    changes: BTreeMap<Bytes, Option<Bytes>>,
    size_bytes: usize,
}

impl Overlay {
    /// Memory that the changes take; 0 only if there are none.
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the change of a key: `None` if there is none, `Some(None)` if it was removed, or its
    /// new value.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        self.changes.get(key).map(Option::as_ref)
    }

    pub(super) fn iter(&self) -> btree_map::Iter<'_, Bytes, Option<Bytes>> {
        self.changes.iter()
    }

    /// Returns the changes as mutations.
    pub(super) fn mutations(&self) -> Vec<Mutation<'_>> {
        self.changes
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Mutation::Put { key, value },
                None => Mutation::Delete { key },
            })
            .collect()
    }

    /// Adds mutations; a later one on the same key replaces the earlier.
    pub(super) fn extend(&mut self, mutations: &[Mutation<'_>]) {
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

    /// Returns a page of the entries of `range`: those of the file with the changes applied.
    pub(super) fn merge(
        &self,
        range: KeyRange<'_>,
        mut stored: redb::Range<'_, &'static [u8], &'static [u8]>,
        mut budget: ScanBudget,
    ) -> Result<Vec<Entry>, StorageError> {
        let mut page = Vec::new();
        let mut changes = self.changes.range::<[u8], _>(range).peekable();
        let mut next_stored = stored.next().transpose()?;
        loop {
            let from_changes = match (&next_stored, changes.peek()) {
                (None, None) => return Ok(page),
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (Some((stored_key, _)), Some((key, _))) => {
                    let stored_key: &AccessGuard<'_, &'static [u8]> = stored_key;
                    if stored_key.value() == key.as_ref() {
                        next_stored = stored.next().transpose()?;
                        true
                    } else {
                        key.as_ref() < stored_key.value()
                    }
                }
            };
            let entry = if from_changes {
                match changes.next() {
                    Some((key, Some(value))) => Entry { key: key.clone(), value: value.clone() },
                    _ => continue,
                }
            } else {
                let Some((key, value)) = next_stored.take() else { continue };
                next_stored = stored.next().transpose()?;
                let (key, value) = (key.value(), value.value());
                Entry { key: Bytes::copy_from_slice(key), value: Bytes::copy_from_slice(value) }
            };
            if !budget.take(entry.key.len() + entry.value.len()) {
                return Ok(page);
            }
            page.push(entry);
        }
    }
}
