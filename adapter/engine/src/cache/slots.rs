//! The table of the names of a directory.

use crate::types::Dentry;
use hashbrown::hash_table::{HashTable, OccupiedEntry};
use rustc_hash::FxHasher;
use std::hash::Hasher;
use std::rc::Rc;

/// The known state of a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    /// The entry; `None`: the name does not exist.
    pub(crate) entry: Option<Dentry>,
    /// It differs from the store.
    pub(crate) dirty: bool,
    /// An entry may be in the store.
    pub(crate) stored: bool,
    /// The entry is the image's, which is free.
    pub(crate) below: bool,
}

/// The hash of a name, by which a commit finds it again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NameHash(u64);

impl NameHash {
    #[inline]
    pub(super) fn of(name: &str) -> Self {
        let mut hasher = FxHasher::default();
        hasher.write(name.as_bytes());
        Self(hasher.finish())
    }
}

/// Names, and what is known of each.
///
/// A rename looks names up ten times on its way to the store. A map of the standard library would
/// hash the name each time, and in wasm compare names byte by byte.
#[derive(Debug, Default)]
pub(crate) struct Slots(HashTable<(Rc<str>, Slot)>);

impl Slots {
    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<&Slot> {
        self.get_hashed(NameHash::of(name), name)
    }

    /// As [`Slots::get`], of a name whose hash is known.
    #[inline]
    pub(crate) fn get_hashed(&self, hash: NameHash, name: &str) -> Option<&Slot> {
        self.0.find(hash.0, |(other, _)| is_same(other, name)).map(|(_, slot)| slot)
    }

    /// Returns the name as memory has it.
    pub(super) fn name(&self, hash: NameHash, name: &str) -> Option<&Rc<str>> {
        self.0.find(hash.0, |(other, _)| is_same(other, name)).map(|(name, _)| name)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, hash: NameHash, name: &str) -> Option<(&Rc<str>, &mut Slot)> {
        self.0.find_mut(hash.0, |(other, _)| is_same(other, name)).map(|(name, slot)| (&*name, slot))
    }

    /// Adds a name that is not there.
    pub(super) fn add(&mut self, hash: NameHash, name: Rc<str>, slot: Slot) {
        debug_assert!(self.name(hash, &name).is_none(), "a name twice");
        self.0.insert_unique(hash.0, (name, slot), rehash);
    }

    /// Puts back what was known of a name.
    pub(super) fn put(&mut self, name: Rc<str>, slot: Slot) {
        let hash = NameHash::of(&name);
        match self.get_mut(hash, &name) {
            Some((_, known)) => *known = slot,
            None => self.add(hash, name, slot),
        }
    }

    /// Removes a name, and returns whether it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.find(NameHash::of(name), name).map(OccupiedEntry::remove).is_some()
    }

    /// Notes that the store has what memory knows of a name. Returns whether the name was dropped: a
    /// name that does not exist needs no slot in a `complete` directory.
    pub(super) fn clean(&mut self, hash: NameHash, name: &str, complete: bool) -> bool {
        let Some(mut found) = self.find(hash, name) else { return false };
        let (_, slot) = found.get_mut();
        slot.dirty = false;
        slot.stored = slot.entry.is_some();
        let dropped = complete && slot.entry.is_none();
        if dropped {
            found.remove();
        }
        dropped
    }

    #[inline]
    fn find(&mut self, hash: NameHash, name: &str) -> Option<OccupiedEntry<'_, (Rc<str>, Slot)>> {
        self.0.find_entry(hash.0, |(other, _)| is_same(other, name)).ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Rc<str>, &Slot)> {
        self.0.iter().map(|(name, slot)| (name, slot))
    }

    pub(super) fn into_names_of(
        self,
        mut wanted: impl FnMut(&Slot) -> bool,
    ) -> impl Iterator<Item = Rc<str>> {
        self.0.into_iter().filter(move |(_, slot)| wanted(slot)).map(|(name, _)| name)
    }

    /// Drops all names but the dirty ones, and the memory of a table that becomes empty.
    pub(super) fn keep_dirty(&mut self) {
        self.0.retain(|(_, slot)| slot.dirty);
        if self.0.is_empty() {
            self.0.shrink_to_fit(rehash);
        }
    }
}

fn rehash((name, _): &(Rc<str>, Slot)) -> u64 {
    NameHash::of(name).0
}

/// Whether two names are equal, by words: the comparison of slices goes byte by byte in wasm.
#[inline]
fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    // A commit looks for the very name that memory has.
    if std::ptr::eq(one.as_ptr(), other.as_ptr()) {
        return true;
    }
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    match (one.last_chunk(), other.last_chunk()) {
        (Some(end), Some(other_end)) => {
            let (words, _) = one.as_chunks();
            let (other_words, _) = other.as_chunks();
            word(end) == word(other_end)
                && words.iter().zip(other_words).all(|(one, other)| word(one) == word(other))
        }
        _ => one.iter().zip(other).all(|(one, other)| one == other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{InodeNo, Kind};

    fn slot(ino: u64) -> Slot {
        Slot { entry: Some(Dentry::new(Kind::File, InodeNo(ino))), dirty: false, stored: true, below: false }
    }

    #[test]
    fn names_are_equal_if_all_bytes_are() {
        for length in 0..40 {
            let name = "x".repeat(length);
            assert!(is_same(&name, &name.clone()));
            assert!(!is_same(&name, &format!("{name}x")) && !is_same(&format!("{name}x"), &name));
            for at in 0..length {
                let mut other = name.clone();
                other.replace_range(at..=at, "y");
                assert!(!is_same(&name, &other), "{length} bytes, of which byte {at} differs");
            }
        }
    }

    #[test]
    fn a_table_knows_what_was_put_and_not_what_was_removed() {
        let mut slots = Slots::default();
        let names: Vec<Rc<str>> = (0..1000).map(|number| Rc::from(format!("name-{number}"))).collect();
        for (number, name) in names.iter().enumerate() {
            slots.add(NameHash::of(name), Rc::clone(name), slot(number as u64));
        }
        slots.put(Rc::clone(&names[7]), slot(7_000));
        assert!(names.iter().step_by(2).all(|name| slots.remove(name)));
        assert!(names.iter().step_by(2).all(|name| !slots.remove(name)));
        assert_eq!(slots.len(), 500);
        for (number, name) in names.iter().enumerate() {
            let expected = if number == 7 { 7_000 } else { number as u64 };
            // Another copy of the name, which does not lie where the table's does.
            let copy = String::from(&**name);
            let found = slots.get(&copy).and_then(|slot| slot.entry).map(|entry| entry.ino.0);
            assert_eq!(found, (number % 2 == 1).then_some(expected), "{name}");
        }
    }

    #[test]
    fn a_clean_name_without_an_entry_is_dropped_from_a_complete_directory_alone() {
        let mut slots = Slots::default();
        let hash = NameHash::of("gone");
        for complete in [false, true] {
            slots.put(Rc::from("gone"), Slot { entry: None, dirty: true, ..slot(1) });
            assert_eq!(slots.clean(hash, "gone", complete), complete);
            assert_eq!(
                slots.get("gone").map(|slot| (slot.dirty, slot.stored)),
                (!complete).then_some((false, false))
            );
        }
        slots.put(Rc::from("here"), Slot { dirty: true, stored: false, ..slot(1) });
        assert!(!slots.clean(NameHash::of("here"), "here", true));
        assert_eq!(slots.get("here").map(|slot| (slot.dirty, slot.stored)), Some((false, true)));
    }
}
