//! Operations as transactions: a half that reads and may fail, then a half that writes and cannot.

pub(crate) mod txn;

// What of it is about what the quota counts, and about the bytes of files.
mod charge;

mod extents;

mod read;
mod resize;
mod write;
