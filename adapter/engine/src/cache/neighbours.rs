//! The hash of inode numbers.

use std::hash::Hasher;

/// Places four consecutive inode numbers side by side in a table. They are usually used together,
/// and share a cache line of the processor. Longer runs would leave no gaps, which removals need.
#[derive(Debug, Default)]
pub(super) struct Neighbours(u64);

impl Hasher for Neighbours {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let spread = (number >> 2).wrapping_mul(SPREAD);
        // The table takes its index from the low bits.
        self.0 = ((spread ^ (spread >> 32)) << 2) | (number & 3);
    }

    fn write(&mut self, bytes: &[u8]) {
        // Never called for inode numbers; any hash will do.
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }
}
