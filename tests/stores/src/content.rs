//! What the trials store: entries of the shapes that the file system has, each of which says what
//! it is, so that a reader can tell a right value from an old one and from a wrong one.

use std::collections::{BTreeMap, HashMap};

use kvfs_host::{Durability, Mutation};
use xxhash_rust::xxh64::xxh64;

use crate::random::Random;

/// An extent of 32 KiB with the 16 bytes that the file system puts in front.
pub(crate) const EXTENT_BYTES: usize = 32_784;

/// Checksum and version in front of each value.
pub(crate) const HEAD_BYTES: usize = 16;

/// Every so many applies of a history one is durable.
const DURABLE_EVERY: u64 = 8;

/// The key that each apply of a history writes, with its number.
pub(crate) const MARK: &[u8] = b"v\0s";

/// A key of the shape that extents have: volume, kind, inode and index.
pub(crate) fn key(kind: u8, inode: u64, index: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(19);
    key.extend_from_slice(b"v\0");
    key.push(kind);
    key.extend_from_slice(&inode.to_be_bytes());
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// Returns the value of `key` that the apply `version` of the history `seed` wrote. It cannot be
/// compressed.
pub(crate) fn value(seed: u64, key: &[u8], version: u64, length: usize) -> Vec<u8> {
    let mut value = vec![0; length.max(HEAD_BYTES)];
    Random::new(&[seed, xxh64(key, seed), version]).fill(&mut value[HEAD_BYTES..]);
    value[8..HEAD_BYTES].copy_from_slice(&version.to_le_bytes());
    let sum = frame(key, &value);
    value[..8].copy_from_slice(&sum.to_le_bytes());
    value
}

/// The checksum that the file system would keep in front of a value: of the value and its key.
fn frame(key: &[u8], value: &[u8]) -> u64 {
    xxh64(&value[8..], xxh64(key, 0))
}

/// Returns whether the file system would take a value for a whole one.
pub(crate) fn passes_frame(key: &[u8], value: &[u8]) -> bool {
    value.len() >= HEAD_BYTES && value[..8] == frame(key, value).to_le_bytes()
}

/// Returns the version that a value claims.
pub(crate) fn version_of(value: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(value.get(8..HEAD_BYTES)?.try_into().ok()?))
}

/// One key's change by one apply; without a length it is removed.
pub(crate) type Change = (Vec<u8>, Option<usize>);

/// Applies one after the other, all of which follow from the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) keys: u64,
}

/// The versions of each key in order, with their lengths.
pub(crate) type Versions = HashMap<Vec<u8>, Vec<(u64, Option<usize>)>>;

impl History {
    /// The level of the apply `number`. The first is 1.
    pub(crate) fn level(number: u64) -> Durability {
        if number.is_multiple_of(DURABLE_EVERY) { Durability::Durable } else { Durability::Buffered }
    }

    /// Returns what the apply `number` changes. The mark is in the middle, so that no half of the
    /// apply looks whole.
    pub(crate) fn changes(&self, number: u64) -> Vec<Change> {
        let mut random = Random::new(&[self.seed, number]);
        let mut changes = BTreeMap::new();
        for _ in 0..1 + random.below(6) {
            let which = random.below(self.keys);
            let length = match random.below(100) {
                0..10 => None,
                10..65 => Some(60 + random.below(141) as usize),
                65..88 => Some(1_016),
                _ => Some(EXTENT_BYTES),
            };
            changes.insert(key(b'e', which % 17, which), length);
        }
        let mut changes: Vec<Change> = changes.into_iter().collect();
        changes.insert(changes.len() / 2, (MARK.to_vec(), Some(HEAD_BYTES + 8)));
        changes
    }

    /// Calls `apply` with the mutations of the apply `number`.
    pub(crate) fn mutations<R>(&self, number: u64, apply: impl FnOnce(&[Mutation<'_>]) -> R) -> R {
        let changes: Vec<_> = self
            .changes(number)
            .into_iter()
            .map(|(key, length)| {
                let value = length.map(|length| value(self.seed, &key, number, length));
                (key, value)
            })
            .collect();
        let mutations: Vec<Mutation<'_>> = changes
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Mutation::Put { key, value },
                None => Mutation::Delete { key },
            })
            .collect();
        apply(&mutations)
    }

    /// Returns what the applies from 1 to `last` made of each key.
    pub(crate) fn versions(&self, last: u64) -> Versions {
        let mut versions = Versions::new();
        for number in 1..=last {
            for (key, length) in self.changes(number) {
                versions.entry(key).or_default().push((number, length));
            }
        }
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_what_it_is_and_any_changed_bit_shows() {
        let key = key(b'e', 1, 2);
        let whole = value(7, &key, 3, 200);
        assert!(passes_frame(&key, &whole));
        assert_eq!(version_of(&whole), Some(3));
        assert!(!passes_frame(b"another", &whole), "the key belongs to it");
        for bit in 0..whole.len() * 8 {
            let mut wrong = whole.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!passes_frame(&key, &wrong), "bit {bit}");
        }
        assert!(!passes_frame(&key, &whole[..8]) && version_of(&whole[..8]).is_none());
    }

    #[test]
    fn a_history_repeats_and_each_apply_writes_the_mark_once() {
        let history = History { seed: 5, keys: 50 };
        for number in 1..200 {
            assert_eq!(history.changes(number), history.changes(number));
            assert_eq!(history.changes(number).iter().filter(|(key, _)| key == MARK).count(), 1);
        }
        let versions = history.versions(300);
        assert_eq!(versions[MARK].len(), 300);
        assert!(versions.values().flatten().any(|(_, length)| length.is_none()), "some are removed");
        assert!(versions.values().flatten().any(|(_, length)| *length == Some(EXTENT_BYTES)));
    }
}
