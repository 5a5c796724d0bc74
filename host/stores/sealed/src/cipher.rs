//! Sealing and opening values, and tags for names.

use crate::aead;
use crate::layout::{FORM, NAME_TAG_BYTES, SEAL_OVERHEAD};
use crate::mac::TAG_BYTES;
use crate::secret::Key;
use chacha20::R20;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use kvfs_contract::StoreError;
use sha2::Sha256;
use zeroize::Zeroizing;

pub(crate) const NONCE_BYTES: usize = SEAL_OVERHEAD - 1 - TAG_BYTES;
/// Random bytes that are used once.
pub(crate) type Nonce = [u8; NONCE_BYTES];

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is too short, or fails its check: changed, moved, or sealed with another key.
    Changed,
    /// It has a form that this program does not know.
    Form(u8),
}

/// The bytes of a nonce from which the subkey is derived.
const SUBKEY_BYTES: usize = 16;

/// Opens values with one key, XChaCha20-Poly1305, and derives what seals them. The place that a
/// value belongs to is part of the check.
pub(crate) struct Cipher(Key);

/// Seals the values of one apply, with nonces that have their first 16 bytes in common. XChaCha20
/// derives a subkey from these (draft-irtf-cfrg-xchacha-03, section 2.3), so it is derived once.
pub(crate) struct Sealer {
    subkey: Key,
    nonce: Nonce,
}

/// Returns the nonce of the value with a number among those of one apply.
///
/// The nonces of an apply are different, as the number goes into the last 8 bytes. Those of two
/// applies are the same only if both the first 16 bytes are and the ranges of the last 8 meet.
fn numbered(base: &Nonce, number: u64) -> Nonce {
    let mut nonce = *base;
    if let Some(last) = nonce.last_chunk_mut() {
        *last = u64::from_be_bytes(*last).wrapping_add(number).to_be_bytes();
    }
    nonce
}

/// The nonce of ChaCha20 under a subkey: zeros, and the rest of a long nonce.
fn short(nonce: &Nonce) -> [u8; aead::NONCE_BYTES] {
    let mut short = [0; aead::NONCE_BYTES];
    short[4..].copy_from_slice(&nonce[SUBKEY_BYTES..]);
    short
}

impl Cipher {
    pub(crate) fn new(key: Key) -> Self {
        Self(key)
    }

    fn subkey(&self, nonce: &Nonce) -> Key {
        let mut input = [0; SUBKEY_BYTES];
        input.copy_from_slice(&nonce[..SUBKEY_BYTES]);
        Zeroizing::new(chacha20::hchacha::<R20>((&*self.0).into(), &input.into()).into())
    }

    /// Returns what seals the values of one apply. `nonce` is random, and used for no other.
    pub(crate) fn sealer(&self, nonce: &Nonce) -> Sealer {
        Sealer { subkey: self.subkey(nonce), nonce: *nonce }
    }

    /// Opens what was sealed for `place`.
    pub(crate) fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let (&form, rest) = sealed.split_first().ok_or(Broken::Changed)?;
        if form != FORM {
            return Err(Broken::Form(form));
        }
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Broken::Changed)?;
        let (body, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Broken::Changed)?;
        let mut value = body.to_vec();
        aead::open(&self.subkey(nonce), &short(nonce), place, &mut value, tag)
            .map_err(|aead::Changed| Broken::Changed)?;
        Ok(value)
    }
}

impl Sealer {
    /// Appends the sealed form of `parts`, one after the other, to `out`. No two calls have the
    /// same number.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: over the limit of the cipher, 256 GiB.
    pub(crate) fn seal(
        &self,
        number: u64,
        place: &[u8],
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let nonce = numbered(&self.nonce, number);
        out.reserve(SEAL_OVERHEAD + parts.iter().map(|part| part.len()).sum::<usize>());
        out.push(FORM);
        out.extend_from_slice(&nonce);
        let start = out.len();
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let tag = aead::seal(&self.subkey, &short(&nonce), place, &mut out[start..])
            .map_err(|aead::TooLong| StoreError::TooLarge)?;
        out.extend_from_slice(&tag);
        Ok(())
    }
}

/// The keys of one prefix.
pub(crate) struct PrefixKeys {
    pub(crate) values: Cipher,
    /// With its key set up: that is half of the work of a short name.
    names: Hmac<Sha256>,
}

impl PrefixKeys {
    /// Derives the keys for values and for names from a prefix's random key.
    pub(crate) fn new(key: &Key) -> Self {
        let derived = Hkdf::<Sha256>::new(None, key.as_slice());
        let names = expand(&derived, b"kvfs sealed names 1");
        Self {
            values: Cipher::new(expand(&derived, b"kvfs sealed values 1")),
            names: <Hmac<Sha256> as KeyInit>::new_from_slice(names.as_slice()).expect("any length will do"),
        }
    }

    /// Returns what stands in a key in the place of a name. Names of two directories have nothing
    /// in common, even if they are the same.
    pub(crate) fn name_tag(&self, group: &[u8], name: &[u8]) -> [u8; NAME_TAG_BYTES] {
        let mut mac = self.names.clone();
        // A group says its own length: see `layout::split`.
        mac.update(group);
        mac.update(name);
        let full = mac.finalize().into_bytes();
        *full.first_chunk().expect("a MAC of 32 bytes")
    }
}

pub(crate) fn expand(derived: &Hkdf<Sha256>, purpose: &[u8]) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    derived.expand(purpose, key.as_mut_slice()).expect("32 bytes can be had");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nonces_of_an_apply_are_different_wherever_they_begin() {
        for last in [0, 5, u64::MAX - 3, u64::MAX] {
            let mut base = [7; NONCE_BYTES];
            base[SUBKEY_BYTES..].copy_from_slice(&last.to_be_bytes());
            let nonces: std::collections::BTreeSet<Nonce> =
                (0..16_384).map(|number| numbered(&base, number)).collect();
            assert_eq!(nonces.len(), 16_384);
            assert!(nonces.iter().all(|nonce| nonce[..SUBKEY_BYTES] == base[..SUBKEY_BYTES]));
        }
    }

    #[test]
    fn opens_the_example_of_the_draft() {
        // draft-irtf-cfrg-xchacha-03, section A.3.1.
        let hex = |text: &str| -> Vec<u8> {
            let digits: Vec<u8> =
                text.bytes().map(|digit| char::from(digit).to_digit(16).unwrap() as u8).collect();
            digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
        };
        let mut sealed = vec![FORM];
        sealed.extend(0x40..0x58);
        sealed.extend(hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
             731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
             2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
             21f9664c97637da9768812f615c68b13b52e"));
        sealed.extend(hex("c0875924c1c7987947deafd8780acf49"));
        let mut key = Key::default();
        key.iter_mut().zip(0x80..).for_each(|(byte, value)| *byte = value);
        let place = hex("50515253c0c1c2c3c4c5c6c7");
        let opened = Cipher::new(key).open(&place, &sealed).unwrap();
        let text = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                    sunscreen would be it.";
        assert_eq!(opened, text.as_bytes());
    }
}
