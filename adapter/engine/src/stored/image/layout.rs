//! What the bytes of an image are. `FORMAT.md` has the whole of it.

/// Starts every image.
pub(super) const MAGIC: [u8; 8] = *b"kvfs\x00im\x01";

/// Raised when older versions cannot read the layout.
pub(super) const FORMAT: u16 = 1;

/// Bytes of the header before the names.
pub(super) const HEADER_BYTES: usize = 48;

/// Bytes of the header that its checksum covers, together with the names.
pub(super) const HEADER_SUMMED_BYTES: usize = 40;

/// Records of a block, but of the last one, which may have fewer: a search reads one block to its
/// end, and checks it once.
pub(super) const BLOCK_RECORDS: usize = 32;

/// Bytes of the table of blocks for each.
pub(super) const BLOCK_ENTRY_BYTES: usize = 16;

/// Bytes of a block for each record, before the keys.
pub(super) const RECORD_ENTRY_BYTES: usize = 10;
