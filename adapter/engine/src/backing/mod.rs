//! The store behind a volume, and what it is read through.

pub(crate) mod batch;
pub(crate) mod journal_view;
pub(crate) mod overlay;
