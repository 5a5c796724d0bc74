//! The salt of a segment: random bytes that its own headers are hashed with.
//!
//! Guests choose the bytes of values. Without a secret they could write what would be a whole header
//! at that offset of that segment, and a crash or damage might leave it where a reader looks for
//! one.

use crate::directory::Directory;
use kvfs_contract::StoreError;
use xxhash_rust::xxh64::xxh64;

/// Bytes of a salt.
pub(crate) const SALT_BYTES: usize = 16;

/// Bytes of a header in front of its hash.
const HASHED_BYTES: usize = 56;

/// The salt of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Salt {
    seed: u64,
    tail: u64,
}

impl Salt {
    /// No salt: of segments that older versions wrote, and of each start. No guest decides what a
    /// segment begins with.
    pub(crate) const NONE: Self = Self { seed: 0, tail: 0 };

    /// Makes a salt of the directory's randomness.
    pub(crate) fn random<D: Directory>(directory: &D) -> Result<Self, StoreError> {
        directory.random().map(Self::from_bytes).map_err(|error| error.at("random bytes"))
    }

    pub(crate) fn from_bytes(bytes: [u8; SALT_BYTES]) -> Self {
        let number = u128::from_le_bytes(bytes);
        Self { seed: number as u64, tail: (number >> 64) as u64 }
    }

    pub(crate) fn to_bytes(self) -> [u8; SALT_BYTES] {
        (u128::from(self.tail) << 64 | u128::from(self.seed)).to_le_bytes()
    }

    /// Returns its numbers as a list has them.
    pub(crate) fn to_numbers(self) -> [u64; 2] {
        [self.seed, self.tail]
    }

    /// Reads what [`Self::to_numbers`] returned.
    pub(crate) const fn from_numbers([seed, tail]: [u64; 2]) -> Self {
        Self { seed, tail }
    }

    /// Returns the hash of a header's bytes at an offset of the segment.
    pub(crate) fn hash(self, header: &[u8], offset: u64) -> u64 {
        if self == Self::NONE {
            return xxh64(header, offset);
        }
        let mut salted = [0; HASHED_BYTES + 8];
        let (front, tail) = salted.split_at_mut(HASHED_BYTES);
        for (to, from) in front.iter_mut().zip(header) {
            *to = *from;
        }
        tail.copy_from_slice(&self.tail.to_le_bytes());
        xxh64(&salted, self.seed.wrapping_add(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_of_a_salt_and_of_the_offset_changes_the_hash() {
        let (salt, header) = (Salt::from_bytes([7; SALT_BYTES]), [1; HASHED_BYTES]);
        assert_eq!(Salt::from_bytes(salt.to_bytes()), salt);
        assert_eq!(Salt::from_numbers(salt.to_numbers()), salt);
        let mut hashes =
            vec![salt.hash(&header, 640), salt.hash(&header, 641), Salt::NONE.hash(&header, 640)];
        for bit in 0..SALT_BYTES * 8 {
            let mut bytes = salt.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            hashes.push(Salt::from_bytes(bytes).hash(&header, 640));
        }
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 3 + SALT_BYTES * 8);
    }
}
