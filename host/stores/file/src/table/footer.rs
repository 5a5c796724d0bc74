//! The end of a table: what it is and where its root is.
//!
//! ```text
//!  0 magic "kvt2"       16 entries     u64        40 root bytes  u32
//!  4 levels     u32     24 tombstones  u64        44 filter pages u32
//!  8 number     u64     32 root offset u64        48 hash of the root    u64
//!                                                 56 hash of bytes 0..56 u64
//! ```
//!
//! A table without a filter has the magic "kvt1", as all had once. The pages of a filter lie between
//! the root and the footer. Numbers are little-endian, hashes XXH64, seeded as [`seed`] says: so a footer is whole only at
//! its own offset, and a file that is longer or shorter has none at its end.

use super::block::MAX_BLOCK_BYTES;
use super::error::TableError;
use super::filter::{MAX_PAGES, STORED_PAGE_BYTES};
use super::place::Child;
use super::seed::seed;
use xxhash_rust::xxh64::xxh64;

pub(crate) const FOOTER_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"kvt1";
const MAGIC_WITH_FILTER: [u8; 4] = *b"kvt2";

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
    /// The pages of the filter; 0 if there is none.
    pub(crate) filter_pages: u32,
}

impl Footer {
    /// Returns the bytes for this offset, and the table's digest.
    pub(crate) fn to_bytes(self, number: u64, at: u64) -> ([u8; FOOTER_BYTES], u64) {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[0..4].copy_from_slice(if self.filter_pages == 0 { &MAGIC } else { &MAGIC_WITH_FILTER });
        bytes[4..8].copy_from_slice(&self.levels.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.entries.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.tombstones.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.root.offset.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.root.length.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.filter_pages.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.root.hash.to_le_bytes());
        let digest = xxh64(&bytes[..56], seed(number, at));
        bytes[56..64].copy_from_slice(&digest.to_le_bytes());
        (bytes, digest)
    }

    /// Returns where the filter begins, if the footer lies at an offset.
    fn filter_at(&self, at: u64) -> Option<u64> {
        at.checked_sub(u64::from(self.filter_pages) * STORED_PAGE_BYTES as u64)
    }

    /// Returns where a page of the filter lies, if the file has so many bytes.
    pub(crate) fn page_at(&self, page: u32, size_bytes: u64) -> Option<u64> {
        let filter_at = self.filter_at(size_bytes.checked_sub(FOOTER_BYTES as u64)?)?;
        Some(filter_at + u64::from(page) * STORED_PAGE_BYTES as u64)
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
            let filter_pages = u32_at(44)?;
            let magic = if filter_pages == 0 { MAGIC } else { MAGIC_WITH_FILTER };
            let whole = bytes[..4] == magic && digest == xxh64(&bytes[..56], seed(number, at));
            let root = Child { offset: u64_at(32)?, length: u32_at(40)?, hash: u64_at(48)? };
            let (levels, entries, tombstones) = (u32_at(4)?, u64_at(16)?, u64_at(24)?);
            let footer = Self { levels, entries, tombstones, root, filter_pages };
            (whole && u64_at(8)? == number).then_some((footer, digest))
        };
        let (footer, digest) = parse().ok_or_else(|| damaged("it does not end in a whole footer"))?;
        let in_bounds = (1..=MAX_LEVELS).contains(&footer.levels)
            && footer.tombstones <= footer.entries
            && footer.filter_pages <= MAX_PAGES
            && footer.filter_at(at).is_some_and(|filter_at| is_below(footer.root, filter_at));
        if in_bounds { Ok((footer, digest)) } else { Err(damaged("a number in its footer is out of bounds")) }
    }
}

/// Returns whether a block lies in front of the offset and has a length that a block may have.
pub(crate) fn is_below(block: Child, offset: u64) -> bool {
    let end = block.offset.checked_add(u64::from(block.length));
    block.length as usize <= MAX_BLOCK_BYTES && end.is_some_and(|end| end <= offset)
}
