//! How much the bench does.

/// Sizes of the bench.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Times that everything is measured, stores in turn; the least time counts.
    pub rounds: u32,
    /// Bytes of an extent.
    pub extent_bytes: usize,
    /// MiB of extents that are streamed.
    pub stream_mib: u64,
    /// Reads of an extent at random; a quarter as many writes.
    pub random: u64,
    /// Batches of four small puts.
    pub small: u64,
    /// Durable puts.
    pub durable: u64,
    /// Files of 1,000 bytes.
    pub files: u64,
    /// Bytes on the disk of the large store that is opened; 0 leaves it out.
    pub large_bytes: u64,
    /// Keys of the store of many keys that is opened; 0 leaves it out.
    pub many_keys: u64,
}
