//! A store whose changes stay in memory.

use kvfs::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A store that is read, with changes above it that it never gets.
pub(super) struct Held<S> {
    below: S,
    /// New values; `None` for a key that is removed.
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<S> Held<S> {
    pub(super) fn new(below: S) -> Self {
        Self { below, changes: BTreeMap::new() }
    }
}

impl<S: KvStore> KvStore for Held<S> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.below.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut values = self.below.get(keys)?;
        for (key, value) in keys.iter().zip(&mut values) {
            if let Some(change) = self.changes.get(*key) {
                value.clone_from(change);
            }
        }
        Ok(values)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut start = start.to_vec();
        loop {
            let page = self.below.scan(&start, end, max_entries, max_bytes)?;
            // The page tells of all keys up to its last one, and an empty page of all that are left.
            let upper = match page.last() {
                Some(last) => Bound::Included(last.key.clone()),
                None if end.is_empty() => Bound::Unbounded,
                None if end <= start.as_slice() => return Ok(Vec::new()),
                None => Bound::Excluded(end.to_vec()),
            };
            let is_last = page.is_empty();
            let mut merged: BTreeMap<Vec<u8>, Vec<u8>> =
                page.into_iter().map(|entry| (entry.key, entry.value)).collect();
            for (key, change) in self.changes.range((Bound::Included(start), upper.clone())) {
                match change {
                    Some(value) => drop(merged.insert(key.clone(), value.clone())),
                    None => drop(merged.remove(key)),
                }
            }
            match upper {
                // All of the page is removed, and more may follow.
                Bound::Included(last) if merged.is_empty() && !is_last => start = [&last[..], &[0]].concat(),
                _ => {
                    let entries = merged.into_iter().take(max_entries as usize);
                    return Ok(entries.map(|(key, value)| Entry { key, value }).collect());
                }
            }
        }
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        _: Durability,
    ) -> Result<(), StoreError> {
        for guard in guards {
            let found = self.get(&[guard.key])?.into_iter().next().flatten();
            if !guard.holds(found.as_deref()) {
                return Err(StoreError::Conflict);
            }
        }
        let changes = mutations.iter().map(|mutation| match mutation {
            Mutation::Put { key, value } => (key.to_vec(), Some(value.to_vec())),
            Mutation::Delete { key } => (key.to_vec(), None),
        });
        self.changes.extend(changes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfs::MemoryStore;

    fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Mutation<'a> {
        Mutation::Put { key, value }
    }

    #[test]
    fn changes_are_seen_above_and_never_below() {
        let mut below = MemoryStore::default();
        for key in [b"a", b"b", b"c", b"d"] {
            below.apply(&[], &[put(key, b"1")], Durability::Buffered).unwrap();
        }
        let before = below.dump();
        let mut held = Held::new(below.clone());
        let changes = [
            Mutation::Delete { key: b"a" },
            Mutation::Delete { key: b"b" },
            put(b"c", b"2"),
            put(b"e", b"3"),
        ];
        held.apply(&[], &changes, Durability::Durable).unwrap();
        assert_eq!(held.get(&[b"a", b"c", b"d"]).unwrap(), [None, Some(b"2".to_vec()), Some(b"1".to_vec())]);
        for page in 1..5 {
            let (mut found, mut start) = (Vec::new(), Vec::new());
            loop {
                let entries = held.scan(&start, b"", page, 1 << 20).unwrap();
                let Some(last) = entries.last() else { break };
                start = [&last.key[..], &[0]].concat();
                found.extend(entries.into_iter().map(|entry| [entry.key, entry.value].concat()));
            }
            assert_eq!(found, [b"c2".to_vec(), b"d1".to_vec(), b"e3".to_vec()], "{page} a page");
        }
        assert_eq!(held.scan(b"x", b"c", 9, 1 << 20).unwrap(), []);
        let guard = Guard { key: &b"c"[..], expected: Some(&b"1"[..]) };
        assert_eq!(held.apply(&[guard], &[], Durability::Durable), Err(StoreError::Conflict));
        assert_eq!(below.dump(), before);
    }
}
