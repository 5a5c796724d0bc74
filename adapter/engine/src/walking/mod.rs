//! Walks along paths.

pub(crate) mod start;
pub mod steps;

pub(crate) mod path;
