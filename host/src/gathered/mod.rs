//! Buffered changes that are gathered in memory in front of a store: which changes a store may hold
//! back, what a reader sees of them, and when they go to the store.

mod changes;
mod room;

pub(crate) use changes::{Changes, StoredEntry};
pub use changes::{MAX_BUFFERED_AGE, MAX_BUFFERED_BYTES};
pub(crate) use room::{DiskRoom, changes_within, free_bytes, grows};
