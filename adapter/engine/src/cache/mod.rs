//! The cache: the part of a volume that is in memory, and what of it is dirty.

// Its parts.
mod ahead;
mod attributes;
pub(crate) mod dirty;
mod listed;
mod neighbours;
pub(crate) mod node;
pub(crate) mod slots;
mod undo_log;

// The table of all inodes, and what is done with it.
mod table;

mod extents;
mod names;
mod reaps;
mod trim;
mod undo;

pub(crate) use listed::Names;
pub(crate) use node::{Extent, Node, Way};
pub(crate) use table::Cache;
pub(crate) use undo_log::Counts;
