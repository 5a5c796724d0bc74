//! Operations as transactions: a half that reads and may fail, then a half that writes and cannot.

pub(crate) mod txn;

mod charge;

pub(crate) mod file;
