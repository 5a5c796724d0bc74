//! What is in memory of a volume, and what of it is not stored yet.

pub(crate) mod dirty;
mod neighbours;
mod reaps;
mod table;
mod trim;
mod undo;

pub use table::CacheLimits;
pub(crate) use table::{Cache, Extent, Node, Slot};
pub(crate) use undo::Counts;
