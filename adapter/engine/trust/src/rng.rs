//! Random numbers, drawn from a seed or from the bytes of a fuzzer.

/// Where the numbers come from.
#[derive(Debug, Clone)]
enum Source {
    /// SplitMix64. A seed always names the same run.
    Seed(u64),
    /// Each number takes the bytes that it needs; zeros follow the last byte. A fuzzer that changes
    /// one place of its input changes the run in one place.
    Bytes { bytes: Vec<u8>, at: usize },
}

#[derive(Debug, Clone)]
pub struct Rng(Source);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(Source::Seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d))
    }

    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Source::Bytes { bytes: bytes.to_vec(), at: 0 })
    }

    /// Returns whether all bytes are used up. A seed never ends.
    pub fn is_done(&self) -> bool {
        matches!(&self.0, Source::Bytes { bytes, at } if *at >= bytes.len())
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        let bound = bound.max(1);
        let number = match &mut self.0 {
            Source::Seed(state) => split_mix(state),
            Source::Bytes { bytes, at } => {
                let mut number = 0;
                let mut room = bound - 1;
                while room > 0 {
                    number = number << 8 | u64::from(bytes.get(*at).copied().unwrap_or_default());
                    (*at, room) = (*at + 1, room >> 8);
                }
                number
            }
        };
        number % bound
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
