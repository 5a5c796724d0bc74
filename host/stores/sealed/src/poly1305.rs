//! Poly1305 (RFC 8439, section 2.5) for targets of 64 bits.
//!
//! The crate `poly1305` sets up multipliers for AVX2 before each message, about 1 µs: most of the
//! time of a short one. Only its whole build can be told otherwise. This code has nothing to set
//! up, and is as fast as that for AVX2 on long messages.

use zeroize::Zeroize;

const KEY_BYTES: usize = 32;
const BLOCK_BYTES: usize = 16;

/// The state between two blocks, in numbers of 64 and 128 bits.
///
/// With h the sum so far, r the multiplier and p = 2¹³⁰ − 5, a block m makes (h + m + 2¹²⁸)·r of h,
/// modulo p.
pub(crate) struct Poly1305 {
    /// r. The bits that the standard clears keep each half below 2⁶⁰.
    multiplier: [u64; 2],
    /// The lower 128 bits of h.
    low: u128,
    /// The bits of h above them: at most 5, so h stays below 2p.
    high: u64,
    pad: u128,
}

impl Poly1305 {
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        let multiplier = half(key, 0) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        Self { multiplier: limbs(multiplier), low: 0, high: 0, pad: half(key, BLOCK_BYTES) }
    }

    #[inline]
    pub(crate) fn update(&mut self, block: &[u8; BLOCK_BYTES]) {
        let (low, carry) = self.low.overflowing_add(u128::from_le_bytes(*block));
        let high = self.high + 1 + u64::from(carry);

        // The product, by the powers of 2⁶⁴. As h < 2¹³¹ and r < 2¹²⁴, nothing overflows.
        let ([h0, h1], [r0, r1]) = (limbs(low), self.multiplier);
        let first = wide(h0, r0);
        let second = wide(h0, r1) + wide(h1, r0) + (first >> 64);
        let third = wide(h1, r1) + u128::from(high * r0) + (second >> 64);
        let above = third + (u128::from(high * r1) << 64);
        let low = second << 64 | first & u128::from(u64::MAX);

        // `above` counts 2¹²⁸, of which four are 2¹³⁰, which is 5: 4q + q for each q of them.
        let (low, carry) = low.overflowing_add(above & !3);
        let (low, again) = low.overflowing_add(above >> 2);
        self.low = low;
        self.high = (above as u64 & 3) + u64::from(carry) + u64::from(again);
    }

    /// Adds bytes, padded with zeros to whole blocks.
    pub(crate) fn update_padded(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks();
        blocks.iter().for_each(|block| self.update(block));
        if !rest.is_empty() {
            let mut block = [0; BLOCK_BYTES];
            block[..rest.len()].copy_from_slice(rest);
            self.update(&block);
        }
    }

    pub(crate) fn finish(self) -> [u8; BLOCK_BYTES] {
        // h − p, if h is not below p: h + 5 has a bit of 2¹³⁰ then.
        let (less, carry) = self.low.overflowing_add(5);
        let reduces = u128::from((self.high + u64::from(carry)) >> 2);
        let mask = reduces.wrapping_neg();
        (self.low & !mask | less & mask).wrapping_add(self.pad).to_le_bytes()
    }
}

/// Whoever knows these forges the tag of this message.
impl Drop for Poly1305 {
    fn drop(&mut self) {
        self.multiplier.zeroize();
        self.pad.zeroize();
    }
}

/// Reads 16 bytes of at least so many.
fn half(bytes: &[u8], at: usize) -> u128 {
    let mut half = [0; BLOCK_BYTES];
    half.copy_from_slice(&bytes[at..at + BLOCK_BYTES]);
    u128::from_le_bytes(half)
}

fn limbs(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::cipher::{KeyIvInit, StreamCipher};

    /// Poly1305 of whole blocks, with nothing added.
    fn plain(multiplier: [u8; 16], pad: [u8; 16], blocks: &[[u8; 16]]) -> [u8; BLOCK_BYTES] {
        let mut key = [0; KEY_BYTES];
        key[..16].copy_from_slice(&multiplier);
        key[16..].copy_from_slice(&pad);
        let mut mac = Poly1305::new(&key);
        blocks.iter().for_each(|block| mac.update(block));
        mac.finish()
    }

    fn first(bytes: &[u8]) -> [u8; 16] {
        let mut block = [0; 16];
        block[..bytes.len()].copy_from_slice(bytes);
        block
    }

    fn then(begin: &[u8], rest: u8) -> [u8; 16] {
        let mut block = [rest; 16];
        block[..begin.len()].copy_from_slice(begin);
        block
    }

    #[test]
    fn sums_at_the_edges_of_the_field_are_reduced() {
        // RFC 8439, section A.3: what goes wrong where a carry or the last reduction is left out.
        let (one, two, zero, ones) = (first(&[1]), first(&[2]), [0; 16], [0xff; 16]);
        assert_eq!(plain(two, zero, &[ones]), first(&[3]));
        assert_eq!(plain(two, ones, &[two]), first(&[3]));
        assert_eq!(plain(two, zero, &[then(&[0xfd], 0xff)]), then(&[0xfa], 0xff));
        assert_eq!(plain(one, zero, &[ones, then(&[0xf0], 0xff), first(&[0x11])]), first(&[5]));
        assert_eq!(plain(one, zero, &[ones, then(&[0xfb], 0xfe), [1; 16]]), zero);
        let multiplier = first(&[1, 0, 0, 0, 0, 0, 0, 0, 4]);
        let blocks = [
            first(&[0xe3, 0x35, 0x94, 0xd7, 0x50, 0x5e, 0x43, 0xb9]),
            first(&[0x33, 0x94, 0xd7, 0x50, 0x5e, 0x43, 0x79, 0xcd, 1]),
            zero,
            one,
        ];
        assert_eq!(plain(multiplier, zero, &blocks), first(&[0x14, 0, 0, 0, 0, 0, 0, 0, 0x55]));
        assert_eq!(plain(multiplier, zero, &blocks[..3]), first(&[0x13]));
    }

    #[test]
    fn tags_are_those_of_the_crate() {
        use poly1305::universal_hash::{KeyInit, UniversalHash};
        let mut random = chacha20::ChaCha20::new(&[5; 32].into(), &[0; 12].into());
        let mut message = vec![0; 4200];
        let mut key = [0; KEY_BYTES];
        for length in (0..400).chain(4000..message.len()) {
            for fill in [None, Some(0xff), Some(0)] {
                match fill {
                    None => random.apply_keystream(&mut message),
                    Some(fill) => message.fill(fill),
                }
                random.apply_keystream(&mut key);
                // A multiplier of ones makes the largest numbers.
                for ones in [false, true] {
                    if ones {
                        key[..16].fill(0xff);
                    }
                    let mut crates = poly1305::Poly1305::new((&key).into());
                    crates.update_padded(&message[..length]);
                    let mut ours = Poly1305::new(&key);
                    ours.update_padded(&message[..length]);
                    assert_eq!(ours.finish()[..], crates.finalize()[..], "{length} bytes, {fill:?}, {ones}");
                }
            }
        }
    }
}
