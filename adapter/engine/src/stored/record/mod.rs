//! Records: the frame around every value, and one module per record.
//!
//! Every stored byte may be hostile. Decoding checks the frame's checksum first and then every
//! field. Its errors name the record.

pub(crate) mod dentry;
#[cfg(test)]
mod golden;
pub(crate) mod inode;
pub(crate) mod journal;
pub(crate) mod layer;
pub(crate) mod reap;
pub(crate) mod settings;
pub(crate) mod superblock;

use crate::error::{Error, Result};
use crate::stored::key::tag;
use std::borrow::Cow;
use xxhash_rust::xxh64::xxh64;

/// A value: borrowed from an image, or owned, from a store.
pub(crate) type Value = Cow<'static, [u8]>;

/// Bytes before the body of every value.
///
/// `[0..8)` checksum, `[8]` frame version, `[9]` tag, `[10..12)` zero, `[12..16)` length of the
/// body. Numbers are big-endian. The checksum is XXH64 of everything behind it, seeded with XXH64
/// of the key, so that a value under a wrong key is damaged too.
pub(crate) const FRAME_BYTES: usize = 16;

const FRAME_VERSION: u8 = 1;

/// Names a record in an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordId {
    pub(crate) tag: u8,
    pub(crate) name: &'static str,
    pub(crate) ino: u64,
}

impl RecordId {
    pub(crate) fn damaged(self, found: &'static str) -> Error {
        Error::damaged(self.name, self.ino, found)
    }
}

fn checksum(key: &[u8], rest: &[u8]) -> [u8; 8] {
    xxh64(rest, xxh64(key, 0)).to_be_bytes()
}

/// Makes a value of one key one of another key: the frame is sealed anew. A value that fails its check
/// is left as it is, and fails it under the other key too.
pub(crate) fn move_to(from: &[u8], to: &[u8], value: &mut [u8]) {
    if let (true, Some((sum, rest))) = (is_sealed(from, value), value.split_first_chunk_mut::<8>()) {
        *sum = checksum(to, rest);
    }
}

/// Starts a value in `out`, which must be empty, with room for the frame. [`seal`] fills it.
pub(crate) fn begin(out: &mut Vec<u8>) {
    out.resize(FRAME_BYTES, 0);
}

/// Fills the frame of a complete value, which [`begin`] started.
pub(crate) fn seal(key: &[u8], tag: u8, value: &mut [u8]) {
    let body_length = u32::try_from(value.len().saturating_sub(FRAME_BYTES)).unwrap_or(u32::MAX);
    if let Some((sum, rest)) = value.split_first_chunk_mut::<8>() {
        if let Some((head, _)) = rest.split_first_chunk_mut::<8>() {
            head[0] = FRAME_VERSION;
            head[1] = tag;
            head[2..4].fill(0);
            head[4..8].copy_from_slice(&body_length.to_be_bytes());
        }
        *sum = checksum(key, rest);
    }
}

/// Appends a value to `out`: the frame, around the body that `body` appends.
pub(crate) fn framed(key: &[u8], tag: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    body(out);
    if let Some(value) = out.get_mut(start..) {
        seal(key, tag, value);
    }
}

/// Fields of a fixed length together. They are appended to a value at once: most commits encode an
/// inode or two and a superblock, and appending field by field checks the room for each.
pub(crate) struct Fixed<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Fixed<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    #[inline(always)]
    pub(crate) fn put<const M: usize>(&mut self, field: [u8; M]) {
        if let Some(place) = self.bytes.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut) {
            *place = field;
        }
        self.at += M;
    }

    pub(crate) fn append_to(self, out: &mut Vec<u8>) {
        debug_assert_eq!(self.at, N, "fields that do not fill their bytes");
        out.extend_from_slice(&self.bytes);
    }
}

/// Bytes of a tombstone: a frame without a body.
pub(crate) const TOMBSTONE_BYTES: usize = FRAME_BYTES;

/// Returns the value that hides the image's value of this key.
pub(crate) fn tombstone(key: &[u8]) -> [u8; TOMBSTONE_BYTES] {
    let mut value = [0; TOMBSTONE_BYTES];
    seal(key, tag::TOMBSTONE, &mut value);
    value
}

/// Returns whether a value is a tombstone. A damaged one is not, and fails the check as another record.
pub(crate) fn is_tombstone(key: &[u8], value: &[u8]) -> bool {
    // The tag comes first: nearly all values are no tombstones.
    value.len() == TOMBSTONE_BYTES && value.get(9) == Some(&tag::TOMBSTONE) && value == tombstone(key)
}

/// Checks the frame of a stored value and returns its body.
pub(crate) fn unseal<'v>(key: &[u8], id: RecordId, value: &'v [u8]) -> Result<&'v [u8]> {
    let Some((sum, rest)) = value.split_first_chunk::<8>() else {
        return Err(id.damaged("shorter than a frame"));
    };
    let Some((head, body)) = rest.split_first_chunk::<8>() else {
        return Err(id.damaged("shorter than a frame"));
    };
    if *sum != checksum(key, rest) {
        return Err(id.damaged("checksum mismatch"));
    }
    let [version, tag, zero_a, zero_b, length @ ..] = *head;
    if version != FRAME_VERSION {
        return Err(id.damaged("unknown frame version"));
    }
    if tag != id.tag || zero_a != 0 || zero_b != 0 {
        return Err(id.damaged("a record of another kind"));
    }
    if usize::try_from(u32::from_be_bytes(length)) != Ok(body.len()) {
        return Err(id.damaged("length mismatch"));
    }
    Ok(body)
}

/// Whether the checksum in a value's frame holds, whatever record it is.
pub(crate) fn is_sealed(key: &[u8], value: &[u8]) -> bool {
    value.split_first_chunk::<8>().is_some_and(|(sum, rest)| *sum == checksum(key, rest))
}

/// Reads fields from a body. Its errors name the record.
pub(crate) struct Fields<'b> {
    rest: &'b [u8],
    id: RecordId,
}

impl<'b> Fields<'b> {
    pub(crate) fn new(body: &'b [u8], id: RecordId) -> Self {
        Fields { rest: body, id }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(self.id.damaged("too short"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn id16(&mut self) -> Result<[u8; 16]> {
        self.array()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'b [u8]> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(self.id.damaged("too short"))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(self) -> &'b [u8] {
        self.rest
    }

    pub(crate) fn end(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.id.damaged("too long")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RecordId = RecordId { tag: 0x10, name: "inode", ino: 7 };

    fn sealed(key: &[u8], body: &[u8]) -> Vec<u8> {
        let mut value = Vec::new();
        begin(&mut value);
        value.extend_from_slice(body);
        seal(key, 0x10, &mut value);
        value
    }

    #[test]
    fn a_sealed_value_gives_its_body_back() {
        assert_eq!(unseal(b"key", ID, &sealed(b"key", b"body")).unwrap(), b"body");
        assert_eq!(unseal(b"key", ID, &sealed(b"key", b"")).unwrap(), b"");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let value = sealed(b"key", b"some body");
        for byte in 0..value.len() {
            for bit in 0..8 {
                let mut bad = value.clone();
                bad[byte] ^= 1 << bit;
                assert!(unseal(b"key", ID, &bad).is_err(), "byte {byte} bit {bit}");
            }
            assert!(unseal(b"key", ID, &value[..byte]).is_err());
        }
    }

    #[test]
    fn a_value_under_another_key_is_damaged() {
        assert!(unseal(b"kez", ID, &sealed(b"key", b"body")).is_err());
    }
}
