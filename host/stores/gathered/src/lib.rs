//! Changes that wait in memory in front of a store: which may wait, what a reader sees of them, and
//! when they go to the store.
//!
//! [`Changes`] is in front of a redb file and of a directory that is had alone, in `kvfs-host`, and
//! of stores at a distance, in `kvfs-remote`.

#![warn(missing_docs)]

mod changes;

pub use changes::{Changes, MAX_BUFFERED_AGE, MAX_BUFFERED_BYTES, StoredEntry};
