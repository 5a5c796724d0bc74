//! Walks along paths.

pub(crate) mod path;
