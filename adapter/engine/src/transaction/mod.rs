//! Operations as transactions: a half that reads and may fail, then a half that writes and cannot.

pub(crate) mod file;
pub(crate) mod txn;
