//! The keys that were written to a top layer that was empty.

use std::collections::BTreeSet;
use std::ops::Bound;

/// Most keys that are known of a top layer, and most bytes of them. Beyond, the store is asked.
const MAX_TOP_KEYS: usize = 1 << 14;
const MAX_TOP_KEY_BYTES: usize = 1 << 20;

/// A top layer that has no records but perhaps those under these keys. Their values are not kept: they
/// change.
#[derive(Debug)]
pub(crate) struct TopKeys {
    /// What the layer's keys begin with.
    pub(crate) layer: Vec<u8>,
    keys: BTreeSet<Box<[u8]>>,
    bytes: usize,
    is_full: bool,
}

impl TopKeys {
    /// A layer without records.
    pub(crate) fn none(layer: Vec<u8>) -> Self {
        Self { layer, keys: BTreeSet::new(), bytes: 0, is_full: false }
    }

    /// Notes that there may be a record under a key of the layer from now on.
    pub(crate) fn add(&mut self, key: &[u8]) {
        if self.is_full || self.keys.contains(key) {
            return;
        }
        if self.keys.len() >= MAX_TOP_KEYS || self.bytes + key.len() > MAX_TOP_KEY_BYTES {
            self.is_full = true;
            self.keys = BTreeSet::new();
            return;
        }
        self.bytes += key.len();
        self.keys.insert(key.into());
    }

    /// Whether there certainly is no record under `key`.
    pub(crate) fn lacks(&self, key: &[u8]) -> bool {
        !self.is_full && !self.keys.contains(key)
    }

    /// Whether there certainly is no record in a range of the layer's keys.
    pub(crate) fn lacks_all(&self, start: &[u8], end: &[u8]) -> bool {
        let range = (Bound::Included(start), Bound::Excluded(end));
        // A range that ends before it starts is empty, and no question for a set.
        !self.is_full && (end <= start || self.keys.range::<[u8], _>(range).next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_not_lacking_and_a_full_set_lacks_nothing() {
        let mut top = TopKeys::none(b"t".to_vec());
        assert!(top.lacks(b"tb") && top.lacks_all(b"t", b"u"));
        top.add(b"tb");
        assert!(!top.lacks(b"tb") && top.lacks(b"ta"));
        assert!(!top.lacks_all(b"t", b"u") && !top.lacks_all(b"tb", b"tc"));
        assert!(top.lacks_all(b"ta", b"tb") && top.lacks_all(b"tc", b"tb") && top.lacks_all(b"tb", b"tb"));
        for number in 0..=MAX_TOP_KEYS as u32 {
            top.add(&number.to_be_bytes());
        }
        assert!(!top.lacks(b"ta") && !top.lacks_all(b"ta", b"tb"));
    }
}
