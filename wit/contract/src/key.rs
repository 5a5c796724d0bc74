//! Keys as ordered maps of a provider hold them: numbers first, so that comparing two takes a few
//! instructions.

use std::cmp::Ordering;

/// Most bytes that lie in the tree's own nodes. The file system's keys are a volume's name, a few numbers
/// and a file's name, so nearly all fit.
const INLINE_BYTES: usize = 40;
const WORDS: usize = INLINE_BYTES / 8;

/// A key: its first bytes as big-endian numbers, padded with zeros, and the rest if it is longer.
///
/// # Order
///
/// That of unsigned bytes, a prefix first. Where the padded numbers of two keys are equal and one is no
/// longer than they reach, it equals the other up to its own end, so the shorter is a prefix of the longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    words: [u64; WORDS],
    length: u32,
    rest: Option<Box<[u8]>>,
}

impl Key {
    /// Makes a key of its bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let (head, rest) = match bytes.split_at_checked(INLINE_BYTES) {
            Some((head, rest)) if !rest.is_empty() => (head, Some(rest.into())),
            _ => (bytes, None),
        };
        let mut words = [0; WORDS];
        for (word, part) in words.iter_mut().zip(head.chunks(8)) {
            let mut padded = [0; 8];
            padded[..part.len()].copy_from_slice(part);
            *word = u64::from_be_bytes(padded);
        }
        Self { words, length: bytes.len() as u32, rest }
    }

    /// Returns the number of its bytes.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Returns true if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len().max(INLINE_BYTES));
        for word in self.words {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(self.rest.as_deref().unwrap_or_default());
        bytes.truncate(self.len());
        bytes
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // The first difference decides; nearly always there is one.
        for (mine, theirs) in self.words.iter().zip(&other.words) {
            match mine.cmp(theirs) {
                Ordering::Equal => {}
                order => return order,
            }
        }
        match (&self.rest, &other.rest) {
            (Some(mine), Some(theirs)) => mine.cmp(theirs),
            _ => self.length.cmp(&other.length),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_bytes_are_those_of_slices() {
        // Every length around the places where words and the inline part end, with bytes that padding
        // and signs could be confused by.
        let mut keys = Vec::new();
        for length in (0..=18).chain(30..=50).chain([1024]) {
            for fill in [0, 1, 0x7f, 0x80, 0xff] {
                for last in [0, 1, 0xff] {
                    let mut key = vec![fill; length];
                    if let Some(end) = key.last_mut() {
                        *end = last;
                    }
                    keys.push(key);
                }
            }
        }
        for a in &keys {
            assert_eq!(Key::new(a).to_vec(), *a);
            for b in &keys {
                assert_eq!(Key::new(a).cmp(&Key::new(b)), a.cmp(b), "{a:?} {b:?}");
                assert_eq!(Key::new(a) == Key::new(b), a == b);
            }
        }
    }
}
