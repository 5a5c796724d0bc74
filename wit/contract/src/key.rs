//! Keys as ordered maps hold them: numbers first, so that comparing two takes a few instructions.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Deref;

/// Most bytes that lie in the map's own nodes. The file system's keys are a volume's name, a few
/// numbers and a file's name, so nearly all fit.
const INLINE_BYTES: usize = 40;
const WORDS: usize = INLINE_BYTES / 8;

/// A key that a map holds. It is found by a [`KeyRef`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(KeyRef<'static>);

impl Key {
    /// Makes a key of its bytes.
    #[inline]
    pub fn new(bytes: &[u8]) -> Self {
        let KeyRef { words, tail } = KeyRef::new(bytes);
        let tail = match tail {
            Tail::Ends(length) => Tail::Ends(length),
            Tail::Borrowed(rest) => Tail::Owned(rest.into()),
            Tail::Owned(rest) => Tail::Owned(rest),
        };
        Self(KeyRef { words, tail })
    }
}

impl Deref for Key {
    type Target = KeyRef<'static>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'a> Borrow<KeyRef<'a>> for Key {
    #[inline]
    fn borrow(&self) -> &KeyRef<'a> {
        &self.0
    }
}

/// A key to look up: its first bytes as big-endian numbers, padded with zeros, and the rest if it
/// is longer. The rest is borrowed, so that looking one up allocates nothing.
///
/// # Order
/// As unsigned bytes, a prefix first. If the numbers of two keys are equal and one of the keys
/// ends among them, only padding can hide a difference: the shorter key is a prefix of the longer
/// one.
#[derive(Clone, Debug)]
pub struct KeyRef<'a> {
    words: [u64; WORDS],
    tail: Tail<'a>,
}

/// The end of a key: its length, or the bytes behind the numbers.
#[derive(Clone, Debug)]
enum Tail<'a> {
    /// The key ends among the numbers, after so many bytes.
    Ends(u8),
    /// The bytes behind the numbers, at least one.
    Borrowed(&'a [u8]),
    Owned(Box<[u8]>),
}

impl Tail<'_> {
    /// Returns the bytes behind the numbers, or the length of a key that has none.
    fn rest(&self) -> Result<&[u8], u8> {
        match self {
            Self::Ends(length) => Err(*length),
            Self::Borrowed(rest) => Ok(rest),
            Self::Owned(rest) => Ok(rest),
        }
    }
}

impl<'a> KeyRef<'a> {
    /// Makes a key of its bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        let (head, tail) = match bytes.split_at_checked(INLINE_BYTES) {
            Some((head, rest)) if !rest.is_empty() => (head, Tail::Borrowed(rest)),
            _ => (bytes, Tail::Ends(bytes.len() as u8)),
        };
        // One copy of a length that is not known, and then words of one that is.
        let mut padded = [0; INLINE_BYTES];
        padded[..head.len()].copy_from_slice(head);
        let mut words = [0; WORDS];
        for (word, part) in words.iter_mut().zip(padded.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*part);
        }
        Self { words, tail }
    }

    /// Returns the number of its bytes.
    pub fn len(&self) -> usize {
        self.tail.rest().map_or_else(usize::from, |rest| INLINE_BYTES + rest.len())
    }

    /// Returns true if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns its bytes, in exactly as much memory as they take.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.append_to(&mut bytes);
        bytes
    }

    /// Appends its bytes to others.
    #[inline]
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        let mut head = [0; INLINE_BYTES];
        for (part, word) in head.chunks_mut(8).zip(self.words) {
            part.copy_from_slice(&word.to_be_bytes());
        }
        match self.tail.rest() {
            Ok(rest) => {
                bytes.extend_from_slice(&head);
                bytes.extend_from_slice(rest);
            }
            Err(length) => bytes.extend_from_slice(&head[..usize::from(length)]),
        }
    }
}

impl Ord for KeyRef<'_> {
    // A tree compares a key with a dozen others, from another crate.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        // The first difference decides; nearly always there is one.
        for (mine, theirs) in self.words.iter().zip(&other.words) {
            match mine.cmp(theirs) {
                Ordering::Equal => {}
                order => return order,
            }
        }
        match (self.tail.rest(), other.tail.rest()) {
            (Ok(mine), Ok(theirs)) => mine.cmp(theirs),
            (Ok(_), Err(_)) => Ordering::Greater,
            (Err(_), Ok(_)) => Ordering::Less,
            (Err(mine), Err(theirs)) => mine.cmp(&theirs),
        }
    }
}

impl PartialOrd for KeyRef<'_> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for KeyRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for KeyRef<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_bytes_are_those_of_slices() {
        // Every length around the places where words and the inline part end, with bytes that
        // padding and signs could be confused by.
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
            let owned = Key::new(a);
            assert_eq!(owned.to_vec(), *a);
            assert_eq!(owned.len(), a.len());
            for b in &keys {
                assert_eq!(owned.cmp(&Key::new(b)), a.cmp(b), "{a:?} {b:?}");
                assert_eq!(KeyRef::new(a) == KeyRef::new(b), a == b);
            }
        }
    }

    #[test]
    fn a_key_takes_64_bytes_of_a_node() {
        assert!(size_of::<Key>() <= 64);
    }
}
