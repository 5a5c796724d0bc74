//! Sealing and opening values, and tags for names.

use crate::layout::NAME_TAG_BYTES;
use crate::secret::Key;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use kvfs_contract::StoreError;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The form of sealed values that this program writes and knows.
const FORM: u8 = 1;

pub(crate) const NONCE_BYTES: usize = 24;
/// Random bytes that are used once.
pub(crate) type Nonce = [u8; NONCE_BYTES];

pub(crate) const TAG_BYTES: usize = 16;

/// Bytes that sealing adds: the form, a nonce and a tag.
pub(crate) const SEAL_OVERHEAD: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is too short, or fails its check: changed, moved, or sealed with another key.
    Changed,
    /// It has a form that this program does not know.
    Form(u8),
}

/// Seals and opens values with one key. The place that a value belongs to is part of the check.
pub(crate) struct Cipher(XChaCha20Poly1305);

impl Cipher {
    pub(crate) fn new(key: &Key) -> Self {
        Self(XChaCha20Poly1305::new(key.as_slice().try_into().expect("a key of 32 bytes")))
    }

    /// Appends the sealed form of `parts`, one after the other, to `out`. No two calls have the
    /// same nonce.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: over the limit of the cipher, 256 GiB.
    pub(crate) fn seal(
        &self,
        place: &[u8],
        parts: &[&[u8]],
        nonce: &Nonce,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        out.reserve(SEAL_OVERHEAD + parts.iter().map(|part| part.len()).sum::<usize>());
        out.push(FORM);
        out.extend_from_slice(nonce);
        let start = out.len();
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let tag = self
            .0
            .encrypt_inout_detached(&XNonce::from(*nonce), place, (&mut out[start..]).into())
            .map_err(|_| StoreError::TooLarge)?;
        out.extend_from_slice(&tag);
        Ok(())
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
        self.0
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                place,
                value.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| Broken::Changed)?;
        Ok(value)
    }
}

/// The keys of one prefix.
pub(crate) struct PrefixKeys {
    pub(crate) values: Cipher,
    names: Key,
}

impl PrefixKeys {
    /// Derives the keys for values and for names from a prefix's random key.
    pub(crate) fn new(key: &Key) -> Self {
        let derived = Hkdf::<Sha256>::new(None, key.as_slice());
        Self {
            values: Cipher::new(&expand(&derived, b"kvfs sealed values 1")),
            names: expand(&derived, b"kvfs sealed names 1"),
        }
    }

    /// Returns what stands in a key in the place of a name. Names of two directories have nothing
    /// in common, even if they are the same.
    pub(crate) fn name_tag(&self, group: &[u8], name: &[u8]) -> [u8; NAME_TAG_BYTES] {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(self.names.as_slice()).expect("any length will do");
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
