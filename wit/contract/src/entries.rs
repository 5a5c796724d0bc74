//! The entries of a store in memory.

use crate::{Guard, Key, KeyRange, KeyRef, Mutation, StoreError};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

/// Bytes that an entry counts for beside its key and value: its place in the tree, whose nodes are
/// half full at worst, and the heads of its allocations. So a bound on the sum holds for memory
/// also when values are empty.
pub const ENTRY_OVERHEAD_BYTES: u64 = 160;

/// A value whose bytes are counted, wherever they are.
pub trait Counted {
    /// Returns its length.
    fn size_bytes(&self) -> usize;
}

impl<V: AsRef<[u8]>> Counted for V {
    #[inline]
    fn size_bytes(&self) -> usize {
        self.as_ref().len()
    }
}

/// An ordered map that counts what its entries take: the core of every store in memory.
///
/// `V` is a value, or tells where it is: owned bytes, or shared ones that are given out without a copy, or a
/// place in memory that is not the map's.
#[derive(Clone, Debug)]
pub struct Entries<V> {
    map: BTreeMap<Key, V>,
    used_bytes: u64,
}

impl<V> Default for Entries<V> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), used_bytes: 0 }
    }
}

impl<V: Counted> Entries<V> {
    /// Returns what the entries take: the bytes of all keys and values, and
    /// [`ENTRY_OVERHEAD_BYTES`] for each.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.map.get(&KeyRef::new(key))
    }

    /// Returns all entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &V)> {
        self.map.iter()
    }

    /// Returns the entries of a range in order.
    pub fn range(&self, (start, end): KeyRange<'_>) -> impl Iterator<Item = (&Key, &V)> {
        self.map.range::<KeyRef<'_>, _>((start.map(KeyRef::new), end.map(KeyRef::new)))
    }

    /// Sets a key to a value, or removes it if there is none.
    pub fn set(&mut self, key: &[u8], value: Option<V>)
    where
        V: Default,
    {
        match value {
            Some(value) => self.put_with(key, |_| value),
            None => drop(self.remove(key)),
        }
    }

    /// Sets a key to the value that `make` returns. It gets the old value, or an empty one, whose
    /// memory it may use again.
    pub fn put_with(&mut self, key: &[u8], make: impl FnOnce(V) -> V)
    where
        V: Default,
    {
        let value = match self.map.entry(Key::new(key)) {
            Slot::Occupied(slot) => {
                let value = slot.into_mut();
                self.used_bytes -= cost(key, value.size_bytes());
                value
            }
            Slot::Vacant(slot) => slot.insert(V::default()),
        };
        *value = make(std::mem::take(value));
        self.used_bytes += cost(key, value.size_bytes());
    }

    /// Removes a key, if it is there, and returns its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<V> {
        let old = self.map.remove(&KeyRef::new(key))?;
        self.used_bytes -= cost(key, old.size_bytes());
        Some(old)
    }

    /// Checks that mutations do not make the store both larger than it is and larger than `size_bytes`.
    ///
    /// # Errors
    /// [`StoreError::QuotaExceeded`].
    pub fn check_size<B: AsRef<[u8]>>(
        &self,
        mutations: &[Mutation<B>],
        size_bytes: u64,
    ) -> Result<(), StoreError> {
        if size_bytes == u64::MAX {
            return Ok(());
        }
        // At least what the mutations add, and nearly always far from the size.
        let most: u64 =
            mutations.iter().map(|mutation| ENTRY_OVERHEAD_BYTES + mutation.size_bytes() as u64).sum();
        if self.used_bytes.saturating_add(most) <= size_bytes {
            return Ok(());
        }
        // Exactly: of several mutations of one key the last one counts.
        let mutations = mutations.iter().map(Mutation::borrowed);
        let last: BTreeMap<&[u8], Option<&[u8]>> = mutations.map(|m| (m.key(), m.value())).collect();
        let (mut before, mut after) = (0, 0);
        for (key, value) in last {
            before += self.get(key).map_or(0, |old| cost(key, old.size_bytes()));
            after += value.map_or(0, |value| cost(key, value.len()));
        }
        if after > before && self.used_bytes - before + after > size_bytes {
            return Err(StoreError::QuotaExceeded);
        }
        Ok(())
    }
}

impl<V: AsRef<[u8]>> Entries<V> {
    /// Checks the guards of an `apply`, and that its mutations do not make the store both larger
    /// than it is and larger than `size_bytes`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::QuotaExceeded`].
    pub fn check<B: AsRef<[u8]>>(
        &self,
        guards: &[Guard<B>],
        mutations: &[Mutation<B>],
        size_bytes: u64,
    ) -> Result<(), StoreError> {
        if !guards.iter().all(|guard| guard.holds(self.get(guard.key.as_ref()).map(V::as_ref))) {
            return Err(StoreError::Conflict);
        }
        self.check_size(mutations, size_bytes)
    }
}

/// Returns the bytes that an entry counts for.
fn cost(key: &[u8], value_bytes: usize) -> u64 {
    ENTRY_OVERHEAD_BYTES + key.len() as u64 + value_bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_range;

    type Change<'a> = (&'a [u8], Option<&'a [u8]>);

    fn mutations<'a>(changes: &[Change<'a>]) -> Vec<Mutation<&'a [u8]>> {
        let mutation = |&(key, value): &Change<'a>| match value {
            Some(value) => Mutation::Put { key, value },
            None => Mutation::Delete { key },
        };
        changes.iter().map(mutation).collect()
    }

    #[test]
    fn what_is_set_is_found_in_order_and_counted() {
        let long = [b'k'; 100];
        let mut entries = Entries::default();
        for key in [&long[..], b"b", b"a", b"b"] {
            entries.set(key, Some(b"value".to_vec()));
        }
        entries.set(b"a", Some(Vec::new()));
        let keys = |entries: &Entries<Vec<u8>>, start: &[u8], end: &[u8]| -> Vec<Vec<u8>> {
            entries.range(key_range(start, end).unwrap()).map(|(key, _)| key.to_vec()).collect()
        };
        assert_eq!(keys(&entries, b"", b""), [&b"a"[..], b"b", &long]);
        assert_eq!(keys(&entries, b"b", &long), [b"b"]);
        assert_eq!(entries.get(&long).map(Vec::as_slice), Some(&b"value"[..]));
        assert_eq!(entries.used_bytes(), 3 * ENTRY_OVERHEAD_BYTES + 1 + (1 + 5) + (100 + 5));
        // Bounds may be longer than every key, and the empty key is a key like others.
        entries.set(b"", Some(Vec::new()));
        assert_eq!(keys(&entries, b"", &[b'b'; 5000]), [&b""[..], b"a", b"b"]);
        assert_eq!(keys(&entries, &[b'b'; 5000], b""), [&long[..]]);
        for key in [&long[..], b"b", b"a", b"", b"never"] {
            entries.set(key, None);
        }
        assert_eq!((entries.iter().count(), entries.used_bytes()), (0, 0));
    }

    #[test]
    fn a_value_made_of_the_old_one_is_counted_as_it_becomes() {
        let mut entries = Entries::default();
        let longer = |mut old: Vec<u8>| {
            old.push(b'x');
            old
        };
        for length in 1..4 {
            entries.put_with(b"key", longer);
            assert_eq!(entries.get(b"key").map(Vec::len), Some(length));
            assert_eq!(entries.used_bytes(), ENTRY_OVERHEAD_BYTES + 3 + length as u64);
        }
        entries.put_with(b"key", |_| Vec::new());
        assert_eq!(entries.used_bytes(), ENTRY_OVERHEAD_BYTES + 3);
        entries.remove(b"key");
        entries.remove(b"never");
        assert_eq!((entries.iter().count(), entries.used_bytes()), (0, 0));
    }

    #[test]
    fn growth_ends_exactly_at_the_size_and_shrinking_always_passes() {
        let entry = |value_bytes: u64| ENTRY_OVERHEAD_BYTES + 1 + value_bytes;
        let (hundred, more) = (vec![7; 100], vec![7; 101]);
        let mut entries = Entries::default();
        entries.set(b"a", Some(hundred.clone()));
        let check = |changes: &[Change<'_>], size| entries.check(&[], &mutations(changes), size);
        let size = entry(100) + entry(100);
        assert_eq!(check(&[(b"b", Some(&hundred))], size), Ok(()));
        assert_eq!(check(&[(b"b", Some(&more))], size), Err(StoreError::QuotaExceeded));
        assert_eq!(
            check(&[(b"a", None), (b"b", Some(&hundred))], entry(100)),
            Ok(()),
            "a removal makes room"
        );
        let twice: [Change<'_>; 2] = [(b"b", Some(&[0; 500])), (b"b", Some(&hundred))];
        assert_eq!(check(&twice, size), Ok(()), "the last mutation of a key counts");
        assert_eq!(check(&[(b"a", Some(b"")), (b"never", None)], 0), Ok(()), "over the size, but shrinking");
        assert_eq!(check(&[(b"a", Some(&more))], 0), Err(StoreError::QuotaExceeded));
    }

    #[test]
    fn a_guard_that_does_not_hold_is_a_conflict_before_all_else() {
        let mut entries = Entries::default();
        entries.set(b"a", Some(b"1".to_vec()));
        let check = |key: &[u8], expected: Option<&[u8]>| {
            entries.check(&[Guard { key, expected }], &mutations(&[(b"b", Some(&[0; 500]))]), 200)
        };
        assert_eq!(check(b"a", Some(b"1")), Err(StoreError::QuotaExceeded));
        assert_eq!(check(b"z", None), Err(StoreError::QuotaExceeded));
        for (key, expected) in [(&b"a"[..], None), (b"a", Some(&b"2"[..])), (b"z", Some(b""))] {
            assert_eq!(check(key, expected), Err(StoreError::Conflict));
        }
    }
}
