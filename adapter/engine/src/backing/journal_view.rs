//! A store seen through its journal, whose changes are committed and not in place yet.

use crate::error::Error;
use crate::limits::MAX_JOURNAL_BYTES;
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::key::KeySpace;
use crate::stored::record::journal::{Changes, damaged, decode_changes, decode_commit, decode_part, sum};
use std::collections::BTreeMap;
use std::ops::Bound;

pub(crate) fn get(
    store: &mut dyn KvStore,
    changes: &Changes,
    keys: &[&[u8]],
) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let mut values = store.get(keys)?;
    if !changes.is_empty() {
        for (key, value) in keys.iter().zip(&mut values) {
            if let Some(change) = changes.get(*key) {
                value.clone_from(change);
            }
        }
    }
    Ok(values)
}

/// Scans as [`KvStore::scan`]. An empty answer means that there is nothing more.
pub(crate) fn scan(
    store: &mut dyn KvStore,
    changes: &Changes,
    start: &[u8],
    end: &[u8],
    max_entries: u32,
    max_bytes: u32,
) -> Result<Vec<Entry>, StoreError> {
    if changes.is_empty() {
        return store.scan(start, end, max_entries, max_bytes);
    }
    let mut start = start.to_vec();
    loop {
        let page = store.scan(&start, end, max_entries, max_bytes)?;
        // A page covers the range up to its last key, an empty one all of it.
        let upper = match page.last() {
            Some(last) => Bound::Included(last.key.clone()),
            None if end.is_empty() => Bound::Unbounded,
            None if end <= start.as_slice() => return Ok(page),
            None => Bound::Excluded(end.to_vec()),
        };
        let was_last = page.is_empty();
        let mut merged = BTreeMap::new();
        // Not collected: that would sort what is sorted.
        merged.extend(page.into_iter().map(|entry| (entry.key, entry.value)));
        for (key, change) in changes.range((Bound::Included(start), upper.clone())) {
            match change {
                Some(value) => drop(merged.insert(key.clone(), value.clone())),
                None => drop(merged.remove(key)),
            }
        }
        match upper {
            // The changes delete all of this page: go on behind it.
            Bound::Included(last) if merged.is_empty() && !was_last => start = [&*last, &[0]].concat(),
            _ => {
                let first = merged.into_iter().take(max_entries as usize);
                return Ok(first.map(|(key, value)| Entry { key, value }).collect());
            }
        }
    }
}

/// A read-only view of a store, with the changes in place.
pub(crate) struct View<'s> {
    pub(crate) store: &'s mut dyn KvStore,
    pub(crate) changes: Changes,
}

impl KvStore for View<'_> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.store.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        get(self.store, &self.changes, keys)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        scan(self.store, &self.changes, start, end, max_entries, max_bytes)
    }

    fn apply(&mut self, _: &[Guard<'_>], _: &[Mutation<'_>], _: Durability) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

/// A journal in the store.
pub(crate) struct StoredJournal {
    /// Its changes, if it has a commit record.
    pub(crate) committed: Option<Changes>,
    /// The keys of its parts.
    pub(crate) parts: Vec<Vec<u8>>,
}

/// Reads the journal of a volume whose superblock announces one.
///
/// # Errors
/// The store's, and [`Error::Damaged`] for a committed journal that is not whole.
pub(crate) fn read_journal(
    store: &mut dyn KvStore,
    keys: &KeySpace,
    max_entries: u32,
    max_bytes: u32,
) -> Result<StoredJournal, Error> {
    let mut key = Vec::new();
    keys.journal_commit(&mut key);
    let value = store.get(&[&key])?.into_iter().next().flatten();
    let commit = value.as_deref().map(|value| decode_commit(&key, value)).transpose()?;
    let (mut parts, mut bytes) = (Vec::new(), Vec::new());
    let (mut start, end) = keys.journal_parts();
    loop {
        let page = store.scan(&start, &end, max_entries, max_bytes)?;
        let Some(last) = page.last() else { break };
        start = [&*last.key, &[0]].concat();
        for entry in page {
            let index = parts.len() as u64;
            if commit.is_some_and(|commit| index < commit.parts) {
                let mut expected = Vec::new();
                keys.journal_part(index, &mut expected);
                if entry.key != expected {
                    return Err(damaged("a part is missing"));
                }
                bytes.extend_from_slice(decode_part(&entry.key, &entry.value)?);
                if bytes.len() > MAX_JOURNAL_BYTES {
                    return Err(damaged("longer than any journal"));
                }
            }
            parts.push(entry.key);
        }
    }
    let Some(commit) = commit else { return Ok(StoredJournal { committed: None, parts }) };
    if (parts.len() as u64) < commit.parts {
        return Err(damaged("a part is missing"));
    }
    if bytes.len() as u64 != commit.parts_bytes || sum(&bytes) != commit.parts_sum {
        return Err(damaged("its parts are not those that were committed"));
    }
    bytes.extend_from_slice(commit.rest);
    Ok(StoredJournal { committed: Some(decode_changes(keys, &bytes)?), parts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;

    fn entry(key: &str) -> (Vec<u8>, Vec<u8>) {
        (key.into(), b"old".to_vec())
    }

    /// Every page size, over a store in which changes add, replace and delete at every place.
    #[test]
    fn a_scan_in_pages_sees_what_a_scan_of_the_changed_store_sees() {
        let keys = ["b", "c", "d", "f", "h"];
        for bits in 0..1 << 9_u32 {
            let store = MemoryStore::from_entries(keys.map(entry));
            let mut expected: BTreeMap<Vec<u8>, Vec<u8>> = keys.map(entry).into_iter().collect();
            let mut changes = Changes::new();
            for (place, key) in ["a", "b", "c", "d", "e", "f", "g", "h", "i"].into_iter().enumerate() {
                if bits >> place & 1 == 0 {
                    continue;
                }
                let value = (place % 3 == 0).then(|| b"new".to_vec());
                match &value {
                    Some(value) => drop(expected.insert(key.into(), value.clone())),
                    None => drop(expected.remove(key.as_bytes())),
                }
                changes.insert(key.into(), value);
            }
            for end in ["", "h", "d\0"] {
                let inside = |key: &Vec<u8>| end.is_empty() || key.as_slice() < end.as_bytes();
                let expected: Vec<_> = expected.clone().into_iter().filter(|(key, _)| inside(key)).collect();
                for size in 1..4 {
                    let (mut found, mut start) = (Vec::new(), Vec::new());
                    loop {
                        let page = scan(&mut store.clone(), &changes, &start, end.as_bytes(), size, 1 << 20)
                            .unwrap();
                        assert!(page.len() <= size as usize);
                        let Some(last) = page.last() else { break };
                        start = [&*last.key, &[0]].concat();
                        found.extend(page.into_iter().map(|entry| (entry.key, entry.value)));
                    }
                    assert_eq!(found, expected, "changes {bits:b}, pages of {size}, end {end:?}");
                }
            }
            let asked: Vec<&[u8]> = vec![b"a", b"b", b"c", b"g"];
            let values = get(&mut store.clone(), &changes, &asked).unwrap();
            let at = |key: &&[u8]| expected.get(*key).cloned();
            assert_eq!(values, asked.iter().map(at).collect::<Vec<_>>());
        }
    }
}
