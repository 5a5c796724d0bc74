//! Small values in memory, so that the file system's records of files and names are read once.

use rustc_hash::FxHashMap;
use std::mem;
use xxhash_rust::xxh64::xxh64;

/// Longest value that is kept: the file system's records of files and names are shorter.
const MAX_VALUE_BYTES: usize = 256;

/// Longest key.
const MAX_KEY_BYTES: usize = u16::MAX as usize;

/// Most bytes of a generation; there are two.
const MAX_BYTES: usize = 16 << 20;

/// Most that an entry takes beside its key and value: a place, in a map that is half empty.
const OVERHEAD_BYTES: usize = 60;

/// Keys and values lie one behind another in pieces of memory of this size. They are not allocated one by
/// one, since memory that was freed in small pieces makes each later allocation of the process slower.
const CHUNK_BYTES: usize = 256 << 10;

/// Small values by key: the late ones, and the early ones that were late before.
///
/// Once there are too many late ones they become the early ones, and the memory of the early ones serves the
/// next. Those in use become late again. So nothing is freed, and no call takes long.
///
/// An entry is found by the hash of its key alone. Two keys with the same hash push each other out.
#[derive(Debug, Default)]
pub(crate) struct Small {
    seed: u64,
    late: Generation,
    /// An entry counts if no late one has its hash.
    early: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    /// By the hash of the key.
    places: FxHashMap<u64, Place>,
    chunks: Vec<Vec<u8>>,
    /// The chunk that is being filled. Those behind it are empty.
    filling: usize,
    bytes: usize,
}

/// Where a key lies, and its value behind it.
#[derive(Clone, Copy, Debug)]
struct Place {
    chunk: u32,
    at: u32,
    key_bytes: u16,
    value_bytes: u16,
}

impl Small {
    /// Makes an empty map whose hashes have a seed that no guest knows.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        xxh64(key, self.seed)
    }

    /// Returns the value of a key, which is in use then.
    pub(crate) fn get(&mut self, key: &[u8]) -> Option<&[u8]> {
        let hash = self.hash(key);
        if let Some(place) = self.late.places.get(&hash).copied() {
            return self.late.value(place, key);
        }
        let value = self.early.get(hash, key)?.to_vec();
        self.keep(key, &value);
        self.late.get(hash, key)
    }

    /// Returns the value of a key that is read beside many others, and is not in use for that.
    pub(crate) fn peek(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = self.hash(key);
        match self.late.places.get(&hash) {
            Some(place) => self.late.value(*place, key),
            None => self.early.get(hash, key),
        }
    }

    /// Keeps the value of a key if it is small.
    pub(crate) fn keep(&mut self, key: &[u8], value: &[u8]) {
        if value.len() > MAX_VALUE_BYTES || key.len() > MAX_KEY_BYTES {
            return self.forget(key);
        }
        let hash = self.hash(key);
        if let Some(old) = self.late.get_mut(hash, key)
            && old.len() == value.len()
        {
            old.copy_from_slice(value);
            return;
        }
        if self.late.bytes + OVERHEAD_BYTES + key.len() + value.len() > MAX_BYTES {
            mem::swap(&mut self.late, &mut self.early);
            self.late.clear();
        }
        self.late.add(hash, key, value);
    }

    /// Forgets all of them, which come back when they are used.
    pub(crate) fn clear(&mut self) {
        self.late.clear();
        self.early.clear();
    }

    pub(crate) fn forget(&mut self, key: &[u8]) {
        let hash = self.hash(key);
        // What is there may be of another key. Below it may be something old of this one.
        self.late.places.remove(&hash);
        self.early.places.remove(&hash);
    }
}

impl Generation {
    fn get(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        self.value(*self.places.get(&hash)?, key)
    }

    fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut [u8]> {
        let place = *self.places.get(&hash)?;
        let length = self.value(place, key)?.len();
        let start = place.at as usize + key.len();
        self.chunks.get_mut(place.chunk as usize)?.get_mut(start..start + length)
    }

    /// Returns the value at a place, if it is this key's.
    fn value(&self, place: Place, key: &[u8]) -> Option<&[u8]> {
        let chunk = self.chunks.get(place.chunk as usize)?;
        let (found, rest) = chunk.get(place.at as usize..)?.split_at_checked(place.key_bytes.into())?;
        if found == key { rest.get(..place.value_bytes.into()) } else { None }
    }

    /// Adds a key and a value that [`Small::keep`] takes.
    fn add(&mut self, hash: u64, key: &[u8], value: &[u8]) {
        let entry_bytes = key.len() + value.len();
        let is_full = |chunk: &Vec<u8>| chunk.len() + entry_bytes > CHUNK_BYTES;
        if self.chunks.get(self.filling).is_some_and(is_full) {
            self.filling += 1;
        }
        if self.filling >= self.chunks.len() {
            // The first one grows: most stores are small.
            let chunk_bytes = if self.chunks.is_empty() { 0 } else { CHUNK_BYTES };
            self.chunks.push(Vec::with_capacity(chunk_bytes));
        }
        let Some(chunk) = self.chunks.get_mut(self.filling) else { return };
        let (number, at) = (self.filling as u32, chunk.len() as u32);
        let (key_bytes, value_bytes) = (key.len() as u16, value.len() as u16);
        chunk.extend_from_slice(key);
        chunk.extend_from_slice(value);
        self.bytes += OVERHEAD_BYTES + entry_bytes;
        self.places.insert(hash, Place { chunk: number, at, key_bytes, value_bytes });
    }

    /// Empties it and keeps its memory.
    fn clear(&mut self) {
        self.places.clear();
        self.chunks.iter_mut().for_each(Vec::clear);
        (self.filling, self.bytes) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// The memory that is taken.
    fn taken_bytes(generation: &Generation) -> usize {
        let chunks: usize = generation.chunks.iter().map(Vec::capacity).sum();
        chunks + generation.places.capacity() * (size_of::<(u64, Place)>() + 1)
    }

    #[test]
    fn their_memory_is_bounded_and_the_latest_stay() {
        let mut small = Small::default();
        for number in 0..600_000_u32 {
            small.keep(&number.to_be_bytes(), &[1; 100]);
            // One that is in use stays.
            assert_eq!(small.get(&[0; 4]), Some(&[1; 100][..]), "{number}");
        }
        for number in 500_000..600_000_u32 {
            assert_eq!(small.get(&number.to_be_bytes()), Some(&[1; 100][..]), "{number}");
        }
        assert_eq!(small.peek(&9_u32.to_be_bytes()), None);
        for generation in [&small.late, &small.early] {
            assert!(generation.bytes <= MAX_BYTES);
            assert!(taken_bytes(generation) <= MAX_BYTES + 2 * CHUNK_BYTES, "{}", taken_bytes(generation));
        }
        small.clear();
        assert_eq!(small.peek(&599_999_u32.to_be_bytes()), None);
    }

    /// Keeps, forgets and reads in a random order, through many generations, and compares with a map.
    #[test]
    fn nothing_old_comes_back() {
        let mut small = Small::seeded(7);
        let mut expected: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        let (mut state, mut found) = (1_u64, 0);
        for step in 0..1_500_000_u64 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let random = state >> 33;
            // Most keys are few, some are many.
            let key = match random % 4 {
                0 => (random >> 2) % 300_000,
                _ => (random >> 2) % 1000,
            };
            let key = key.to_be_bytes().to_vec();
            let value = vec![step as u8; [0, 9, 100, 100, 256, 257][(random >> 20) as usize % 6]];
            match random >> 8 & 7 {
                0 => {
                    small.forget(&key);
                    expected.remove(&key);
                }
                1..4 => {
                    small.keep(&key, &value);
                    if value.len() > MAX_VALUE_BYTES {
                        expected.remove(&key);
                    } else {
                        expected.insert(key, value);
                    }
                }
                4 => {
                    if let Some(value) = small.peek(&key) {
                        assert_eq!(Some(value), expected.get(&key).map(Vec::as_slice), "{step}");
                    }
                }
                _ => {
                    if let Some(value) = small.get(&key) {
                        assert_eq!(Some(value), expected.get(&key).map(Vec::as_slice), "{step}");
                        found += 1;
                    }
                }
            }
        }
        assert!(found > 100_000, "{found}");
    }

    #[test]
    fn two_keys_with_one_hash_are_not_mistaken_for_each_other() {
        let (first, second): (&[u8], &[u8]) = (b"first", b"second");
        let mut generation = Generation::default();
        generation.add(3, first, b"one");
        assert_eq!((generation.get(3, first), generation.get(3, second)), (Some(&b"one"[..]), None));
        assert_eq!(generation.get_mut(3, second), None);
        generation.add(3, second, b"two");
        assert_eq!((generation.get(3, first), generation.get(3, second)), (None, Some(&b"two"[..])));
    }

    #[test]
    fn a_value_takes_the_place_of_another_of_any_length() {
        let mut small = Small::seeded(7);
        for (length, value) in [(3, 1), (3, 2), (0, 3), (200, 4), (257, 5), (9, 6)] {
            small.keep(b"key", &vec![value; length]);
            let kept = (length <= MAX_VALUE_BYTES).then(|| vec![value; length]);
            assert_eq!(small.get(b"key"), kept.as_deref(), "{length} bytes");
        }
        small.forget(b"key");
        assert_eq!(small.get(b"key"), None);
    }
}
