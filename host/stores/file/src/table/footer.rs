//! The end of a table: what it is and where its root is.
//!
//! ```text
//!  0 magic "kvt1"       16 entries     u64        40 root bytes  u32
//!  4 levels     u32     24 tombstones  u64        44 zero        u32
//!  8 number     u64     32 root offset u64        48 hash of the root    u64
//!                                                 56 hash of bytes 0..56 u64
//! ```
//!
//! Numbers are little-endian, hashes XXH64, seeded as [`seed`] says: so a footer is whole only at
//! its own offset, and a file that is longer or shorter has none at its end.

use super::block::MAX_BLOCK_BYTES;
use super::error::TableError;
use super::place::Child;
use xxhash_rust::xxh64::xxh64;

pub(crate) const FOOTER_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"kvt1";

/// Most levels of blocks. Each has at most half as many blocks as the one below.
pub(crate) const MAX_LEVELS: u32 = 32;

/// What the footer of a table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The levels of blocks, the root's included: 1 if the root has the places itself.
    pub(crate) levels: u32,
    pub(crate) entries: u64,
    /// How many of the entries are tombstones.
    pub(crate) tombstones: u64,
    pub(crate) root: Child,
}

impl Footer {
    /// Returns the bytes for this offset, and the table's digest.
    pub(crate) fn to_bytes(self, number: u64, at: u64) -> ([u8; FOOTER_BYTES], u64) {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.levels.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.entries.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.tombstones.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.root.offset.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.root.length.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.root.hash.to_le_bytes());
        let digest = xxh64(&bytes[..56], seed(number, at));
        bytes[56..64].copy_from_slice(&digest.to_le_bytes());
        (bytes, digest)
    }

    /// Reads the footer at the end of a file of `size_bytes`, and the table's digest.
    pub(crate) fn read(bytes: &[u8], number: u64, size_bytes: u64) -> Result<(Self, u64), TableError> {
        let at = size_bytes.saturating_sub(FOOTER_BYTES as u64);
        let damaged = |why| TableError::Damaged { number, at, why };
        let parse = || {
            let bytes: &[u8; FOOTER_BYTES] = bytes.try_into().ok()?;
            let u32_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
            let u64_at = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
            let digest = u64_at(56)?;
            let whole = bytes[..4] == MAGIC && digest == xxh64(&bytes[..56], seed(number, at));
            let root = Child { offset: u64_at(32)?, length: u32_at(40)?, hash: u64_at(48)? };
            let footer = Self { levels: u32_at(4)?, entries: u64_at(16)?, tombstones: u64_at(24)?, root };
            (whole && u64_at(8)? == number).then_some((footer, digest))
        };
        let (footer, digest) = parse().ok_or_else(|| damaged("it does not end in a whole footer"))?;
        let in_bounds = (1..=MAX_LEVELS).contains(&footer.levels)
            && footer.tombstones <= footer.entries
            && is_below(footer.root, at);
        if in_bounds { Ok((footer, digest)) } else { Err(damaged("a number in its footer is out of bounds")) }
    }
}

/// Returns whether a block lies in front of the offset and has a length that a block may have.
pub(crate) fn is_below(block: Child, offset: u64) -> bool {
    let end = block.offset.checked_add(u64::from(block.length));
    block.length as usize <= MAX_BLOCK_BYTES && end.is_some_and(|end| end <= offset)
}

/// Returns the seed of a hash: a block of another table, or one that lies elsewhere, has another.
pub(crate) fn seed(number: u64, offset: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(offset)
}
