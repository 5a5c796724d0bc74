//! The filter of a table: of nearly every key that the table does not have, it says so with one
//! look.
//!
//! It is a blocked Bloom filter: a key has six bits in one block of 64 bytes. The blocks are in pages
//! of 4 KiB, each with a hash of its own behind it, seeded with the hash of the table's root, so
//! that pages are read one at a time and those of another table are found out.

use super::seed::seed;
use xxhash_rust::xxh64::xxh64;

/// Bytes of blocks in a page.
pub(crate) const PAGE_BYTES: usize = 4 << 10;

/// Bytes of a page in the file: its blocks and their hash.
pub(crate) const STORED_PAGE_BYTES: usize = PAGE_BYTES + 8;

const BLOCK_BYTES: usize = 64;

/// Bits of the filter for a key: with six of them set, about one look in a hundred is in vain.
const BITS_PER_KEY: u64 = 10;

/// Most keys of a table with a filter: 10 MiB are in memory while it is built. A table of more keys
/// is the only one of its size, and looked into for each key that the others do not have.
pub(crate) const MAX_FILTERED_KEYS: u64 = 8 << 20;

/// Most pages of a filter.
pub(crate) const MAX_PAGES: u32 = (MAX_FILTERED_KEYS * BITS_PER_KEY / 8 / PAGE_BYTES as u64) as u32 + 1;

/// The hash of a key that all filters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    pub(crate) fn of(key: &[u8]) -> Self {
        Self(xxh64(key, 0x6B76_7466))
    }

    /// Returns the page and the block in it.
    fn block(self, pages: u32) -> (u32, usize) {
        let blocks_per_page = (PAGE_BYTES / BLOCK_BYTES) as u64;
        // Less than the number of blocks, which fits a u32.
        let block = ((self.0 >> 32) * u64::from(pages) * blocks_per_page) >> 32;
        ((block / blocks_per_page) as u32, (block % blocks_per_page) as usize)
    }

    /// Returns the bits in the block.
    fn bits(self) -> impl Iterator<Item = usize> {
        let spread = (self.0 & u64::from(u32::MAX)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..6).map(move |number| (spread >> (10 + 9 * number)) as usize % (8 * BLOCK_BYTES))
    }

    /// Returns the page where a filter of so many pages has the key.
    pub(crate) fn page(self, pages: u32) -> u32 {
        self.block(pages).0
    }

    /// Returns whether its page says that the table may have the key.
    pub(crate) fn may_be_in(self, page: &[u8], pages: u32) -> bool {
        let at = self.block(pages).1 * BLOCK_BYTES;
        let Some(block) = page.get(at..).and_then(|rest| rest.get(..BLOCK_BYTES)) else { return true };
        self.bits().all(|bit| block.get(bit / 8).is_none_or(|byte| byte >> (bit % 8) & 1 == 1))
    }
}

/// A filter in the making, all of it in memory.
#[derive(Debug)]
pub(crate) struct FilterBuilder {
    pages: u32,
    bytes: Vec<u8>,
}

impl FilterBuilder {
    /// Begins a filter for up to so many keys; `None` if they are too many.
    pub(crate) fn new(max_keys: u64) -> Option<Self> {
        if max_keys == 0 || max_keys > MAX_FILTERED_KEYS {
            return None;
        }
        let pages = (max_keys * BITS_PER_KEY / 8).div_ceil(PAGE_BYTES as u64) as u32;
        Some(Self { pages, bytes: vec![0; pages as usize * PAGE_BYTES] })
    }

    pub(crate) fn add(&mut self, key: &[u8]) {
        let hash = KeyHash::of(key);
        let (page, block) = hash.block(self.pages);
        let at = page as usize * PAGE_BYTES + block * BLOCK_BYTES;
        for bit in hash.bits() {
            if let Some(byte) = self.bytes.get_mut(at + bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// Returns the number of pages.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// Returns a page.
    pub(crate) fn page(&self, number: u32) -> Option<&[u8]> {
        self.bytes.chunks(PAGE_BYTES).nth(number as usize)
    }
}

/// Returns the hash of a page at an offset of a table.
pub(crate) fn page_hash(page: &[u8], number: u64, offset: u64, root_hash: u64) -> u64 {
    xxh64(page, seed(number, offset) ^ root_hash)
}
