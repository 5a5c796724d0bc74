//! Poly1305 (RFC 8439, section 2.5) over associated data and a message.
//!
//! The crate `poly1305` sets up multipliers for AVX2 first, about 1 µs. That is most of the time
//! of a short message, and only its whole build can be told otherwise. Short messages on x86-64
//! therefore take [`Short`], whose field arithmetic is that of `fiat-crypto`: generated with a
//! proof that it is right and that its numbers stay in their bounds.

use fiat_crypto::poly1305_64::{
    fiat_poly1305_add, fiat_poly1305_carry_mul, fiat_poly1305_loose_field_element as Loose,
    fiat_poly1305_relax, fiat_poly1305_tight_field_element as Tight, fiat_poly1305_to_bytes,
};
use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit, UniversalHash};
use zeroize::Zeroize;

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const TAG_BYTES: usize = 16;

const BLOCK_BYTES: usize = 16;

/// Longest message that is better off without AVX2.
const MAX_SHORT_BYTES: usize = 4096;

/// Returns the tag of associated data and a message as AEADs have it: each padded with zeros to
/// whole blocks, and a block with both lengths. `key` is used for no other message.
pub(crate) fn tag(key: &[u8; KEY_BYTES], place: &[u8], message: &[u8]) -> [u8; TAG_BYTES] {
    if cfg!(target_arch = "x86_64") && message.len() <= MAX_SHORT_BYTES {
        short_tag(key, place, message)
    } else {
        long_tag(key, place, message)
    }
}

fn short_tag(key: &[u8; KEY_BYTES], place: &[u8], message: &[u8]) -> [u8; TAG_BYTES] {
    let mut mac = Short::new(key);
    mac.update_padded(place);
    mac.update_padded(message);
    mac.update(&lengths(place, message));
    mac.finish()
}

fn long_tag(key: &[u8; KEY_BYTES], place: &[u8], message: &[u8]) -> [u8; TAG_BYTES] {
    let mut mac = Poly1305::new(key.into());
    mac.update_padded(place);
    mac.update_padded(message);
    mac.update(&[lengths(place, message).into()]);
    mac.finalize().into()
}

fn lengths(place: &[u8], message: &[u8]) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    block[..8].copy_from_slice(&(place.len() as u64).to_le_bytes());
    block[8..].copy_from_slice(&(message.len() as u64).to_le_bytes());
    block
}

/// Poly1305 one block at a time.
struct Short {
    multiplier: Loose,
    sum: Tight,
    pad: u128,
}

impl Short {
    fn new(key: &[u8; KEY_BYTES]) -> Self {
        let key = [half(key, 0), half(key, BLOCK_BYTES)];
        let clamped = key[0] & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        Self { multiplier: relaxed(&number(clamped, 0)), sum: Tight([0; 3]), pad: key[1] }
    }

    fn update(&mut self, block: &[u8; BLOCK_BYTES]) {
        let mut sum = Loose([0; 3]);
        fiat_poly1305_add(&mut sum, &self.sum, &number(u128::from_le_bytes(*block), 1));
        fiat_poly1305_carry_mul(&mut self.sum, &sum, &self.multiplier);
    }

    fn update_padded(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks();
        blocks.iter().for_each(|block| self.update(block));
        if !rest.is_empty() {
            let mut block = [0; BLOCK_BYTES];
            block[..rest.len()].copy_from_slice(rest);
            self.update(&block);
        }
    }

    fn finish(self) -> [u8; TAG_BYTES] {
        let mut sum = [0; 17];
        fiat_poly1305_to_bytes(&mut sum, &self.sum);
        half(&sum, 0).wrapping_add(self.pad).to_le_bytes()
    }
}

/// Whoever knows these forges the tag of this message.
impl Drop for Short {
    fn drop(&mut self) {
        self.multiplier.0.zeroize();
        self.pad.zeroize();
    }
}

/// Reads 16 bytes of at least so many.
fn half(bytes: &[u8], at: usize) -> u128 {
    let mut half = [0; BLOCK_BYTES];
    half.copy_from_slice(&bytes[at..at + BLOCK_BYTES]);
    u128::from_le_bytes(half)
}

/// Returns a number of 128 bits, and one bit above them, as limbs of 44, 43 and 43 bits.
fn number(low: u128, high: u64) -> Tight {
    let limb = |from: u32, bits: u32| (low >> from) as u64 & ((1 << bits) - 1);
    Tight([limb(0, 44), limb(44, 43), limb(87, 41) | high << 41])
}

fn relaxed(number: &Tight) -> Loose {
    let mut relaxed = Loose([0; 3]);
    fiat_poly1305_relax(&mut relaxed, number);
    relaxed
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::cipher::{KeyIvInit, StreamCipher};

    /// Poly1305 of whole blocks, with nothing added.
    fn plain(multiplier: [u8; 16], pad: [u8; 16], blocks: &[[u8; 16]]) -> [u8; TAG_BYTES] {
        let mut key = [0; KEY_BYTES];
        key[..16].copy_from_slice(&multiplier);
        key[16..].copy_from_slice(&pad);
        let mut mac = Short::new(&key);
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
    fn short_and_long_tags_are_the_same() {
        let mut random = chacha20::ChaCha20::new(&[5; 32].into(), &[0; 12].into());
        let mut message = vec![0; MAX_SHORT_BYTES + 40];
        let (mut key, mut place) = ([0; KEY_BYTES], [0; 100]);
        for length in (0..300).chain(MAX_SHORT_BYTES - 40..message.len()) {
            for fill in [None, Some(0xff), Some(0)] {
                random.apply_keystream(&mut key);
                random.apply_keystream(&mut place);
                match fill {
                    None => random.apply_keystream(&mut message),
                    Some(fill) => message.fill(fill),
                }
                let (place, message) = (&place[..length % 100], &message[..length]);
                let long = long_tag(&key, place, message);
                assert_eq!(short_tag(&key, place, message), long, "{length} bytes, {fill:?}");
                assert_eq!(tag(&key, place, message), long);
            }
        }
    }
}
