//! ChaCha20-Poly1305 (RFC 8439, section 2.8), made for short messages.
//!
//! Most sealed values have some 100 bytes. ChaCha20's code for AVX2 computes four blocks at once
//! and takes as long for fewer, so the key of Poly1305 and the beginning of the message come from
//! one computation of four blocks, where the crate `chacha20poly1305` takes one for each.

use crate::mac::{self, TAG_BYTES};
use crate::secret::Key;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use ctutils::CtEq;

pub(crate) const NONCE_BYTES: usize = 12;

const BLOCK_BYTES: usize = 64;

/// The key stream that is computed at once.
const WINDOW_BYTES: usize = 4 * BLOCK_BYTES;

/// The cipher counts the blocks of a message, and that of Poly1305's key, in 32 bits.
const MAX_MESSAGE_BYTES: u64 = (u32::MAX as u64 - 1) * BLOCK_BYTES as u64;

/// A message is too long for the cipher: 256 GiB.
#[derive(Debug)]
pub(crate) struct TooLong;

/// A message fails its check.
#[derive(Debug)]
pub(crate) struct Changed;

/// The next blocks of the key stream. Wiped when dropped.
struct Window([u8; WINDOW_BYTES]);

impl Window {
    fn next(cipher: &mut ChaCha20) -> Self {
        let mut window = Self([0; WINDOW_BYTES]);
        cipher.apply_keystream(&mut window.0);
        window
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.0.fill(0);
        // `zeroize` itself would write these bytes one by one, which takes as long as the cipher.
        zeroize::optimization_barrier(&self.0);
    }
}

/// The key stream of one message.
struct Stream {
    cipher: ChaCha20,
    /// The first blocks: Poly1305's key, unused bytes, and the beginning of the message's stream.
    first: Window,
}

impl Stream {
    fn new(key: &Key, nonce: &[u8; NONCE_BYTES]) -> Self {
        let mut cipher = ChaCha20::new((&**key).into(), nonce.into());
        let first = Window::next(&mut cipher);
        Self { cipher, first }
    }

    fn tag(&self, place: &[u8], sealed: &[u8]) -> [u8; TAG_BYTES] {
        let key = self.first.0.first_chunk().expect("a window is longer than a key");
        mac::tag(key, place, sealed)
    }

    /// Adds the stream to a message, which makes a sealed one of a plain one and the reverse.
    fn add_to(&mut self, message: &mut [u8]) {
        let stream = &self.first.0[BLOCK_BYTES..];
        let (head, rest) = message.split_at_mut(message.len().min(stream.len()));
        add(head, stream);
        let (whole, tail) = rest.split_at_mut(rest.len() - rest.len() % WINDOW_BYTES);
        self.cipher.apply_keystream(whole);
        if !tail.is_empty() {
            add(tail, &Window::next(&mut self.cipher).0);
        }
    }
}

fn add(bytes: &mut [u8], stream: &[u8]) {
    bytes.iter_mut().zip(stream).for_each(|(byte, stream)| *byte ^= stream);
}

/// Seals a message in place for `place`, and returns its tag. No two messages that are sealed with
/// a key have the same nonce.
pub(crate) fn seal(
    key: &Key,
    nonce: &[u8; NONCE_BYTES],
    place: &[u8],
    message: &mut [u8],
) -> Result<[u8; TAG_BYTES], TooLong> {
    if message.len() as u64 > MAX_MESSAGE_BYTES {
        return Err(TooLong);
    }
    let mut stream = Stream::new(key, nonce);
    stream.add_to(message);
    Ok(stream.tag(place, message))
}

/// Opens a message in place that was sealed for `place`. One that fails its check stays as it is.
pub(crate) fn open(
    key: &Key,
    nonce: &[u8; NONCE_BYTES],
    place: &[u8],
    message: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), Changed> {
    if message.len() as u64 > MAX_MESSAGE_BYTES {
        return Err(Changed);
    }
    let mut stream = Stream::new(key, nonce);
    if !stream.tag(place, message).ct_eq(tag).to_bool() {
        return Err(Changed);
    }
    stream.add_to(message);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20poly1305::aead::AeadInOut;
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

    #[test]
    fn seals_and_opens_what_the_crate_does() {
        let mut random = ChaCha20::new(&[9; 32].into(), &[0; 12].into());
        let near = |at: usize| at.saturating_sub(3)..at + 4;
        let lengths = (0..1100).chain(near(4096)).chain(near(65_536)).chain(near(1 << 20));
        let mut plain = vec![0; (1 << 20) + 4];
        for length in lengths {
            let (mut key, mut nonce, mut place) = (Key::new([0; 32]), [0; NONCE_BYTES], vec![0; length % 90]);
            random.apply_keystream(key.as_mut_slice());
            random.apply_keystream(&mut nonce);
            random.apply_keystream(&mut place);
            let plain = &mut plain[..length];
            random.apply_keystream(plain);
            let (mut ours, mut theirs) = (plain.to_vec(), plain.to_vec());

            let tag = seal(&key, &nonce, &place, &mut ours).unwrap();
            let expected = ChaCha20Poly1305::new((&*key).into())
                .encrypt_inout_detached(&nonce.into(), &place, theirs.as_mut_slice().into())
                .unwrap();
            assert_eq!(tag[..], expected[..], "{length} bytes");
            assert!(ours == theirs, "{length} bytes");
            open(&key, &nonce, &place, &mut ours, &tag).unwrap();
            assert!(ours == plain, "{length} bytes");
        }
    }

    #[test]
    fn a_changed_bit_anywhere_does_not_open_and_changes_nothing() {
        let (key, nonce) = (Key::new([3; 32]), [4; NONCE_BYTES]);
        for length in [0, 1, 16, 191, 192, 193, 448, 4096, 4097] {
            let mut sealed = vec![7; length];
            let tag = seal(&key, &nonce, b"place", &mut sealed).unwrap();
            for bit in
                (0..length * 8).step_by(1 + length / 50).chain((length * 8).saturating_sub(1)..length * 8)
            {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let before = changed.clone();
                assert!(open(&key, &nonce, b"place", &mut changed, &tag).is_err(), "bit {bit} of {length}");
                assert!(changed == before);
            }
            for bit in 0..TAG_BYTES * 8 {
                let mut tag = tag;
                tag[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    open(&key, &nonce, b"place", &mut sealed.clone(), &tag).is_err(),
                    "bit {bit} of the tag"
                );
            }
            let mut other = nonce;
            other[0] ^= 1;
            assert!(open(&key, &other, b"place", &mut sealed.clone(), &tag).is_err());
            assert!(open(&key, &nonce, b"place\0", &mut sealed.clone(), &tag).is_err());
            assert!(open(&Key::new([2; 32]), &nonce, b"place", &mut sealed.clone(), &tag).is_err());
            open(&key, &nonce, b"place", &mut sealed, &tag).unwrap();
        }
    }
}
