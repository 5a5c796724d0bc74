//! The seed of the hashes of a table.

/// Returns the seed of a hash: a block of another table, or one that lies elsewhere, has another.
pub(crate) fn seed(number: u64, offset: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(offset)
}
