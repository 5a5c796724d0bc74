//! The tag of a sealed message: Poly1305 over what it is bound to and itself.

#[cfg(target_pointer_width = "64")]
use crate::poly1305::Poly1305;

pub(crate) const TAG_BYTES: usize = 16;

const KEY_BYTES: usize = 32;
const BLOCK_BYTES: usize = 16;

/// Returns the tag of a place and a message (RFC 8439, section 2.8): each is padded with zeros to
/// whole blocks, and a block with both lengths follows. `key` is used for no other message.
#[cfg(target_pointer_width = "64")]
pub(crate) fn tag(key: &[u8; KEY_BYTES], place: &[u8], message: &[u8]) -> [u8; TAG_BYTES] {
    let mut mac = Poly1305::new(key);
    mac.update_padded(place);
    mac.update_padded(message);
    mac.update(&lengths(place, message));
    mac.finish()
}

/// Returns the tag of a place and a message: see above. The crate's code for targets of 32 bits
/// multiplies numbers of 32 bits.
#[cfg(not(target_pointer_width = "64"))]
pub(crate) fn tag(key: &[u8; KEY_BYTES], place: &[u8], message: &[u8]) -> [u8; TAG_BYTES] {
    use poly1305::universal_hash::{KeyInit, UniversalHash};
    let mut mac = poly1305::Poly1305::new(key.into());
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
