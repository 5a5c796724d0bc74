//! What is in memory of a volume, and what of it is not stored yet.

// What there is.
pub(crate) mod dirty;
mod neighbours;
pub(crate) mod node;
mod undo_log;

// The table that holds it, and what is done with it.
mod table;

mod extents;
mod names;
mod reaps;
mod trim;
mod undo;

pub(crate) use node::{Extent, Node};
pub(crate) use table::Cache;
pub(crate) use undo_log::Counts;
