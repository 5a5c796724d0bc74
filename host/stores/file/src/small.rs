//! Small values in memory, so that the file system's records of files and names are read once.

use kvfs_contract::{Key, KeyRef};
use std::collections::BTreeMap;

/// Longest value that is kept: the file system's records of files and names are shorter.
const MAX_VALUE_BYTES: usize = 256;

/// Most bytes of all.
const MAX_BYTES: usize = 32 << 20;

/// What an entry takes beside its key and value.
const OVERHEAD_BYTES: usize = 96;

/// Small values by key.
#[derive(Debug, Default)]
pub(crate) struct Small {
    values: BTreeMap<Key, Box<[u8]>>,
    bytes: usize,
}

impl Small {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.values.get(&KeyRef::new(key)).map(|value| &**value)
    }

    /// Keeps the value of a key if it is small. If there are too many, forgets the others: those in
    /// use come back.
    pub(crate) fn keep(&mut self, key: &[u8], value: &[u8]) {
        if value.len() > MAX_VALUE_BYTES {
            return self.forget(key);
        }
        let bytes = OVERHEAD_BYTES + key.len() + value.len();
        if self.bytes + bytes > MAX_BYTES {
            self.values.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        if let Some(old) = self.values.insert(Key::new(key), value.into()) {
            self.bytes -= OVERHEAD_BYTES + key.len() + old.len();
        }
    }

    pub(crate) fn forget(&mut self, key: &[u8]) {
        if let Some(old) = self.values.remove(&KeyRef::new(key)) {
            self.bytes -= OVERHEAD_BYTES + key.len() + old.len();
        }
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
}
