//! The two kinds of entry payloads: places of values, and children in the tree of blocks.

use super::varint::{put, take, unzigzag, zigzag};
use crate::record::MAX_VALUES_BYTES;

/// What a table knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The value is in a segment. `length` is one that a record may have, and the sum of `offset` and
    /// `length` fits a `u64`; nothing else is known of the numbers, which come from a file.
    At { epoch: u64, offset: u64, length: u32 },
    /// The key was removed: a tombstone.
    Gone,
}

/// The end of the value before, from which the next place is counted.
///
/// Values that were written one after the other take a byte or two each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behind {
    epoch: u64,
    end: u64,
}

impl Behind {
    pub(crate) fn put_place(&mut self, bytes: &mut Vec<u8>, place: Place) {
        let Place::At { epoch, offset, length } = place else { return put(bytes, 0) };
        put(bytes, u64::from(length) + 1);
        put(bytes, zigzag(epoch.wrapping_sub(self.epoch)));
        let base = if epoch == self.epoch { self.end } else { 0 };
        put(bytes, zigzag(offset.wrapping_sub(base)));
        *self = Self { epoch, end: offset.wrapping_add(u64::from(length)) };
    }

    pub(crate) fn take_place(&mut self, bytes: &[u8], at: &mut usize) -> Option<Place> {
        let Some(length) = take(bytes, at)?.checked_sub(1) else { return Some(Place::Gone) };
        let length = u32::try_from(length).ok().filter(|&length| length <= MAX_VALUES_BYTES)?;
        let epoch = self.epoch.wrapping_add(unzigzag(take(bytes, at)?));
        let base = if epoch == self.epoch { self.end } else { 0 };
        let offset = base.wrapping_add(unzigzag(take(bytes, at)?));
        *self = Self { epoch, end: offset.checked_add(u64::from(length))? };
        Some(Place::At { epoch, offset, length })
    }
}

/// A block of the level below: where it is, and the hash of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) hash: u64,
}

impl Child {
    pub(crate) fn put(self, bytes: &mut Vec<u8>) {
        put(bytes, self.offset);
        put(bytes, u64::from(self.length));
        bytes.extend_from_slice(&self.hash.to_le_bytes());
    }

    pub(crate) fn take(bytes: &[u8], at: &mut usize) -> Option<Self> {
        let offset = take(bytes, at)?;
        let length = u32::try_from(take(bytes, at)?).ok()?;
        let hash = u64::from_le_bytes(*bytes.get(*at..)?.first_chunk()?);
        *at += 8;
        Some(Self { offset, length, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_were_put_and_runs_are_small() {
        let at = |epoch, offset, length| Place::At { epoch, offset, length };
        let places = [
            at(5, 4096, 32784),
            at(5, 4096 + 32784, 32784),
            Place::Gone,
            at(5, 4096 + 2 * 32784, 0),
            at(u64::MAX, 0, MAX_VALUES_BYTES),
            at(0, u64::MAX - 7, 7),
        ];
        let (mut bytes, mut behind, mut lengths) = (Vec::new(), Behind::default(), Vec::new());
        for place in places {
            behind.put_place(&mut bytes, place);
            lengths.push(bytes.len());
        }
        assert_eq!(lengths[1] - lengths[0], 5, "3 for the length, one each for segment and offset");
        let (mut at, mut behind) = (0, Behind::default());
        for (place, length) in places.into_iter().zip(lengths) {
            assert_eq!(behind.take_place(&bytes, &mut at), Some(place));
            assert_eq!(at, length);
        }
    }

    #[test]
    fn a_value_behind_the_end_of_all_numbers_is_refused() {
        let mut bytes = Vec::new();
        let place = Place::At { epoch: 1, offset: u64::MAX, length: 1 };
        Behind::default().put_place(&mut bytes, place);
        assert_eq!(Behind::default().take_place(&bytes, &mut 0), None);
    }

    #[test]
    fn a_value_that_is_longer_than_a_record_may_be_is_refused() {
        for length in [MAX_VALUES_BYTES + 1, u32::MAX] {
            let mut bytes = Vec::new();
            Behind::default().put_place(&mut bytes, Place::At { epoch: 1, offset: 64, length });
            assert_eq!(Behind::default().take_place(&bytes, &mut 0), None, "{length} bytes");
        }
    }
}
