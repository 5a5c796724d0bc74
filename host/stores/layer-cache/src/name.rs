//! Names of answers in the cache: of which layer of which store, and to which question.

use kvfs::frozen::Stamp;
use xxhash_rust::xxh64::xxh64;

/// Tells a store from others whose layers could have the same stamps: copies of it that somebody else
/// can write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreId([u8; 16]);

impl StoreId {
    /// The store at a place.
    pub(crate) fn of(place: &str) -> Self {
        let mut id = [0; 16];
        for (half, seed) in id.chunks_exact_mut(8).zip(1..) {
            half.copy_from_slice(&xxh64(place.as_bytes(), seed).to_be_bytes());
        }
        Self(id)
    }
}

/// A frozen layer of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) store: StoreId,
    pub(crate) stamp: Stamp,
    /// Its answers may be kept on disk.
    pub(crate) on_disk: bool,
}

/// Bytes of a name before the question.
pub(crate) const LAYER_BYTES: usize = 32;

const GET: u8 = 0;
const SCAN: u8 = 1;

impl Layer {
    /// What the names of all answers of the layer begin with.
    pub(crate) fn bytes(&self) -> [u8; LAYER_BYTES] {
        let mut bytes = [0; LAYER_BYTES];
        let (store, stamp) = bytes.split_at_mut(LAYER_BYTES / 2);
        store.copy_from_slice(&self.store.0);
        stamp.copy_from_slice(&self.stamp);
        bytes
    }

    /// Names the answer for a key.
    pub(crate) fn name_of(&self, key: &[u8]) -> Vec<u8> {
        [&self.bytes(), &[GET][..], key].concat()
    }

    /// Names the answer of a scan. Another limit is another question, as its answer may be another one.
    pub(crate) fn name_of_scan(&self, start: &[u8], end: &[u8], max_entries: u32, max_bytes: u32) -> Vec<u8> {
        let (entries, bytes) = (max_entries.to_be_bytes(), max_bytes.to_be_bytes());
        let start_bytes = u32::try_from(start.len()).unwrap_or(u32::MAX).to_be_bytes();
        [&self.bytes(), &[SCAN][..], &entries, &bytes, &start_bytes, start, end].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_questions_have_one_name() {
        let layer =
            |place: &str, stamp| Layer { store: StoreId::of(place), stamp: [stamp; 16], on_disk: false };
        let mut names = Vec::new();
        for layer in [layer("a", 1), layer("a", 2), layer("b", 1)] {
            for (one, other) in [(&b"a"[..], &b"bc"[..]), (b"ab", b"c"), (b"", b"abc"), (b"abc", b"")] {
                names.push(layer.name_of(&[one, other].concat()));
                names.push(layer.name_of_scan(one, other, 1, 2));
                names.push(layer.name_of_scan(one, other, 2, 1));
            }
        }
        names.sort();
        let all = names.len();
        names.dedup();
        // Only the four keys `abc` of each layer are the same.
        assert_eq!(names.len(), all - 9);
    }
}
