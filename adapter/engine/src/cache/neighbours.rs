//! The hash by which inodes lie in memory.

use std::hash::Hasher;

/// Hashes inode numbers so that four made one after the other lie side by side in a table: they are mostly used so too,
/// and a line of the processor's cache holds them. Longer runs would leave no gaps, which removals need.
#[derive(Debug, Default)]
pub(super) struct Neighbours(u64);

impl Hasher for Neighbours {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let spread = (number >> 2).wrapping_mul(SPREAD);
        // The table takes the place from the low bits.
        self.0 = ((spread ^ (spread >> 32)) << 2) | (number & 3);
    }

    fn write(&mut self, bytes: &[u8]) {
        // No number comes here; any hash is a right one.
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }
}
