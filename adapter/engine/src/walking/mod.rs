//! Walks along paths.

pub(crate) mod start;

pub(crate) mod path;
