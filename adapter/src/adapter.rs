//! The type that the exported interfaces are implemented for.

/// Implements the exported interfaces.
pub(crate) struct Adapter;
