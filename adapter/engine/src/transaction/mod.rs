//! Operations as transactions: a half that reads and may fail, then a half that writes and cannot.

pub(crate) mod txn;

// Their parts for quotas, and for the bytes of files.
mod charge;

mod extents;

mod read;
mod resize;
mod scrub;
mod write;
