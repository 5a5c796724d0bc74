//! Applies that are to be sent as one.

use std::collections::BTreeMap;

use bytes::Bytes;
use kvfs_contract::{Guard, Limits, Mutation};
use kvfs_gathered::{Changes, MAX_BUFFERED_BYTES};

/// Memory of a guard beside its bytes.
const GUARD_OVERHEAD_BYTES: usize = 128;

/// Several applies, one after another, as one: the last value of each key, and the guards that the
/// store has to check, which are those of the first touch of each key.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Changes,
    guards: BTreeMap<Bytes, Option<Bytes>>,
    guard_bytes: usize,
}

impl Batch {
    /// Makes a batch of one apply.
    pub(super) fn of(guards: &[Guard<&[u8]>], mutations: &[Mutation<&[u8]>]) -> Self {
        let mut batch = Self::default();
        batch.add(guards, mutations);
        batch
    }

    /// Adds an apply whose guards hold after those before it.
    pub(super) fn add(&mut self, guards: &[Guard<&[u8]>], mutations: &[Mutation<&[u8]>]) {
        for guard in guards {
            let expected = || guard.expected.map(Bytes::copy_from_slice);
            if self.is_first_touch(guard.key) {
                self.guard(Bytes::copy_from_slice(guard.key), expected());
            }
        }
        self.changes.extend(mutations);
    }

    /// Adds a later batch.
    pub(super) fn append(&mut self, later: &Self) {
        for (key, expected) in &later.guards {
            if self.is_first_touch(key) {
                self.guard(key.clone(), expected.clone());
            }
        }
        self.changes.append(&later.changes);
    }

    /// Returns whether the store would see the value of a key that a guard asks for.
    fn is_first_touch(&self, key: &[u8]) -> bool {
        self.changes.get(key).is_none() && !self.guards.contains_key(key)
    }

    fn guard(&mut self, key: Bytes, expected: Option<Bytes>) {
        self.guard_bytes += GUARD_OVERHEAD_BYTES + key.len() + expected.as_ref().map_or(0, Bytes::len);
        self.guards.insert(key, expected);
    }

    /// Returns the guards, as an apply takes them.
    pub(super) fn guards(&self) -> Vec<Guard<&[u8]>> {
        let guard = |(key, expected)| Guard { key: Bytes::as_ref(key), expected: Option::as_deref(expected) };
        self.guards.iter().map(guard).collect()
    }

    /// Returns whether it changes nothing and asks for nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.guards.is_empty()
    }

    /// Returns whether so many mutations more, of so many bytes, may be sent with it.
    pub(super) fn has_room(&self, limits: &Limits, entries: usize, bytes: usize) -> bool {
        let (batch_entries, batch_bytes) = (self.changes.len() + entries, self.changes.batch_bytes() + bytes);
        batch_entries <= limits.max_batch_entries as usize
            && batch_bytes <= limits.max_batch_bytes as usize
            && self.changes.size_bytes() + self.guard_bytes + bytes <= MAX_BUFFERED_BYTES
    }

    /// Returns whether a later batch may be sent with it.
    pub(super) fn has_room_for(&self, limits: &Limits, later: &Self) -> bool {
        self.has_room(limits, later.changes.len(), later.changes.batch_bytes())
    }

    /// Returns the value that a key has after the batch, if the batch tells: `None` if not.
    pub(super) fn tells(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        self.changes.get(key).or_else(|| self.guards.get(key).map(Option::as_ref))
    }

    /// Returns whether it has a guard.
    pub(super) fn is_guarded(&self) -> bool {
        !self.guards.is_empty()
    }

    /// Returns whether the store takes it once and not again: a key that it guards has another value
    /// afterwards.
    pub(super) fn applies_once(&self) -> bool {
        self.guards
            .iter()
            .any(|(key, expected)| self.changes.get(key).is_some_and(|changed| changed != expected.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Mutation<&'a [u8]> {
        Mutation::Put { key, value }
    }

    fn guard<'a>(key: &'a [u8], expected: &'a [u8]) -> Guard<&'a [u8]> {
        Guard { key, expected: Some(expected) }
    }

    #[test]
    fn the_last_value_of_a_key_and_the_guard_of_its_first_touch_remain() {
        let mut batch = Batch::of(&[guard(b"s", b"1")], &[put(b"s", b"2"), put(b"a", b"x")]);
        batch
            .add(&[guard(b"s", b"2"), guard(b"t", b"7")], &[put(b"s", b"3"), Mutation::Delete { key: b"a" }]);
        batch.append(&Batch::of(
            &[guard(b"s", b"3"), guard(b"u", b"9"), guard(b"t", b"7")],
            &[put(b"s", b"4")],
        ));
        assert_eq!(batch.guards(), [guard(b"s", b"1"), guard(b"t", b"7"), guard(b"u", b"9")]);
        assert_eq!(batch.changes.mutations(), [Mutation::Delete { key: &b"a"[..] }, put(b"s", b"4")]);
        assert!(batch.applies_once());
    }

    #[test]
    fn a_batch_that_would_apply_again_is_known() {
        assert!(!Batch::of(&[], &[put(b"a", b"x")]).applies_once());
        assert!(!Batch::of(&[guard(b"s", b"1")], &[put(b"a", b"x")]).applies_once());
        assert!(!Batch::of(&[guard(b"s", b"1")], &[put(b"s", b"1")]).applies_once());
        assert!(Batch::of(&[guard(b"s", b"1")], &[Mutation::Delete { key: b"s" }]).applies_once());
        let absent = Guard { key: &b"s"[..], expected: None };
        assert!(Batch::of(&[absent], &[put(b"s", b"")]).applies_once());
        assert!(!Batch::of(&[absent], &[Mutation::Delete { key: b"s" }]).applies_once());
    }

    #[test]
    fn a_batch_keeps_within_the_limits_of_an_apply() {
        let limits = Limits { max_batch_entries: 3, max_batch_bytes: 8, ..Limits::standard(true) };
        let batch = Batch::of(&[], &[put(b"a", b"x"), put(b"b", b"y")]);
        assert!(batch.has_room(&limits, 1, 4));
        assert!(!batch.has_room(&limits, 2, 4) && !batch.has_room(&limits, 1, 5));
        assert!(!batch.has_room(&Limits::standard(true), 1, MAX_BUFFERED_BYTES));
    }
}
