//! Random numbers that can be repeated.

/// SplitMix64: any seed is a good one.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Starts from several numbers, such as a seed and what the numbers are for.
    pub(crate) fn new(parts: &[u64]) -> Self {
        let mut random = Self(0x6b76_6673);
        for part in parts {
            random.0 ^= *part;
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_repeat_for_the_same_seed_and_differ_for_another() {
        let numbers = |parts: &[u64]| {
            let mut random = Random::new(parts);
            [random.next(), random.next(), random.below(10)]
        };
        assert_eq!(numbers(&[1, 2]), numbers(&[1, 2]));
        assert_ne!(numbers(&[1, 2])[..2], numbers(&[2, 1])[..2]);
        assert!(numbers(&[7])[2] < 10);
        let mut bytes = [0; 13];
        Random::new(&[3]).fill(&mut bytes);
        assert!(bytes[8..].iter().any(|byte| *byte != 0));
    }
}
