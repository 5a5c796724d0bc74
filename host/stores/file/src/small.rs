//! Small values in memory, so that the file system's records of files and names are read once.

use std::collections::HashMap;
use std::collections::hash_map::IntoIter;
use std::hash::{BuildHasher, Hasher};
use xxhash_rust::xxh64::xxh64;

/// Longest value that is kept: the file system's records of files and names are shorter.
const MAX_VALUE_BYTES: usize = 256;

/// Most bytes of all.
const MAX_BYTES: usize = 32 << 20;

/// What an entry takes beside its key and value.
const OVERHEAD_BYTES: usize = 96;

/// Forgotten values that go for each new one. More than one, or they would still be there when the
/// next ones are forgotten.
const FREED_PER_VALUE: usize = 8;

/// What is left of forgotten values.
type Spent = IntoIter<Box<[u8]>, Box<[u8]>>;

/// Small values by key.
#[derive(Debug, Default)]
pub(crate) struct Small {
    values: HashMap<Box<[u8]>, Box<[u8]>, Seeded>,
    bytes: usize,
    /// Values that were forgotten, on their way out of memory.
    spent: Option<Spent>,
}

impl Small {
    /// Makes an empty map whose hashes have a seed that no guest knows.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { values: HashMap::with_hasher(Seeded(seed)), bytes: 0, spent: None }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.values.get(key).map(|value| &**value)
    }

    /// Keeps the value of a key if it is small. If there are too many, forgets the others: those in
    /// use come back.
    pub(crate) fn keep(&mut self, key: &[u8], value: &[u8]) {
        if value.len() > MAX_VALUE_BYTES {
            return self.forget(key);
        }
        if let Some(old) = self.values.get_mut(key)
            && old.len() == value.len()
        {
            old.copy_from_slice(value);
            return;
        }
        self.free_spent();
        let bytes = OVERHEAD_BYTES + key.len() + value.len();
        if self.bytes + bytes > MAX_BYTES {
            self.clear();
        }
        self.bytes += bytes;
        if let Some(old) = self.values.insert(key.into(), value.into()) {
            self.bytes -= OVERHEAD_BYTES + key.len() + old.len();
        }
    }

    /// Forgets all of them, which come back when they are used. Their memory is given back little by
    /// little: all of it at once takes milliseconds.
    pub(crate) fn clear(&mut self) {
        // As many will come again, and a map that grows moves all of them at once.
        let empty = HashMap::with_capacity_and_hasher(self.values.len(), *self.values.hasher());
        self.spent = Some(std::mem::replace(&mut self.values, empty).into_iter());
        self.bytes = 0;
    }

    fn free_spent(&mut self) {
        let freed = |spent: &mut Spent| spent.by_ref().take(FREED_PER_VALUE).count();
        if self.spent.as_mut().is_some_and(|spent| freed(spent) < FREED_PER_VALUE) {
            self.spent = None;
        }
    }

    pub(crate) fn forget(&mut self, key: &[u8]) {
        if let Some(old) = self.values.remove(key) {
            self.bytes -= OVERHEAD_BYTES + key.len() + old.len();
        }
    }
}

/// Hashes keys with a seed: a guest that chooses names cannot make them collide.
#[derive(Clone, Copy, Debug, Default)]
struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0)
    }
}

#[derive(Debug)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh64(bytes, self.0);
    }

    fn write_usize(&mut self, length: usize) {
        self.0 = self.0.wrapping_add(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_bytes_are_bounded_and_counted_and_large_values_push_nothing_out() {
        let mut small = Small::default();
        for number in 0..400_000u32 {
            small.keep(&number.to_be_bytes(), &[1; 100]);
            assert!(small.bytes <= MAX_BYTES);
        }
        small.keep(&399_999u32.to_be_bytes(), &[2; 300]);
        assert_eq!(small.get(&399_999u32.to_be_bytes()), None, "an old value must not stay");
        assert_eq!(small.get(&399_998u32.to_be_bytes()), Some(&[1; 100][..]));
        for number in 0..400_000u32 {
            small.forget(&number.to_be_bytes());
        }
        assert_eq!((small.bytes, small.values.len()), (0, 0));
    }

    #[test]
    fn a_value_takes_the_place_of_another_of_any_length() {
        let mut small = Small::seeded(7);
        for (length, value) in [(3, 1), (3, 2), (0, 3), (200, 4), (257, 5), (9, 6)] {
            small.keep(b"key", &vec![value; length]);
            let kept = (length <= MAX_VALUE_BYTES).then(|| vec![value; length]);
            assert_eq!(small.get(b"key"), kept.as_deref(), "{length} bytes");
            assert_eq!(small.bytes, kept.map_or(0, |kept| OVERHEAD_BYTES + 3 + kept.len()));
        }
    }
}
