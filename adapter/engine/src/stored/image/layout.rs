//! The byte layout of an image. `FORMAT.md` describes it.

/// Starts every image.
pub(super) const MAGIC: [u8; 8] = *b"kvfs\x00im\x01";

/// Raised when older versions cannot read the layout.
pub(super) const FORMAT: u16 = 1;

/// Bytes of the header before the names.
pub(super) const HEADER_BYTES: usize = 48;

/// Bytes of the header that its checksum covers, together with the names.
pub(super) const HEADER_SUMMED_BYTES: usize = 40;

/// Records in each block but the last, which may have fewer. A block is the unit of checking.
pub(super) const BLOCK_RECORDS: usize = 32;

/// Bytes of each block's entry in the table of blocks.
pub(super) const BLOCK_ENTRY_BYTES: usize = 16;

/// Bytes of each record's entry at the start of a block.
pub(super) const RECORD_ENTRY_BYTES: usize = 10;
