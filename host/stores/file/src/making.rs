//! The state of a checkpoint that goes on in steps.

use crate::chain::Covered;
use crate::table::TableBuilder;

/// A table in the making, of the changes that the index has set apart and of the newest tables.
#[derive(Debug)]
pub(crate) struct Making<F> {
    pub(crate) builder: TableBuilder<F>,
    /// Its number: the epoch of the segment that began when the changes were set apart.
    pub(crate) number: u64,
    /// How many of the newest tables it replaces.
    pub(crate) replaces: usize,
    /// Where the merge goes on; `None` once all entries are in the table.
    pub(crate) next: Option<Vec<u8>>,
    /// Most entries that it may have.
    pub(crate) most: u64,
    /// All that is to do: those entries, and what the pages of its filter cost, in entries.
    pub(crate) all: u64,
    /// How much of that is done.
    pub(crate) done: u64,
    /// What the tables will cover.
    pub(crate) covered: Covered,
    /// What an opening would have read when it was begun.
    pub(crate) replayed_bytes: u64,
}
