//! The contract's types, with the bytes that a host uses.
//!
//! Calls take borrowed bytes, straight from the guest's memory when a guest calls, so a store
//! copies a value once, to where it keeps it. Answers carry [`Bytes`], so a store that already
//! holds the value gives it away without a copy.

use bytes::Bytes;

pub use kvfs_contract::{
    Durability, Limits, MAX_ANSWER_BYTES, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_KEY_BYTES, MAX_SCAN_BYTES,
    MAX_SCAN_ENTRIES, MAX_VALUE_BYTES, ScanBudget, StoreError, gather, key_range,
};

/// A key with its value, as `scan` returns it.
pub type Entry = kvfs_contract::Entry<Bytes>;

/// A condition of an `apply`.
pub type Guard<'a> = kvfs_contract::Guard<&'a [u8]>;

/// One change of one key.
pub type Mutation<'a> = kvfs_contract::Mutation<&'a [u8]>;

/// Returns the error for a lock whose owner panicked: the data behind it may be half changed.
pub(crate) fn poisoned(what: &str) -> StoreError {
    StoreError::Fault(format!("a thread panicked while it changed {what}; open the store anew"))
}
