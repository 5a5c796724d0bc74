//! Whether a volume can be used, and what an apply of unknown outcome leaves to be done.

use crate::stored::record::journal::Changes;
use crate::types::InodeNo;

/// Whether a volume can be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    Live,
    /// An apply may have been applied.
    InDoubt(Doubt),
    /// Another opener has raised the epoch.
    Fenced,
}

/// An apply that may have been applied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// The superblock that it carried.
    pub(super) value: Vec<u8>,
    /// What ends the commit if it was, for the last apply of a commit.
    pub(super) completes: Option<Completion>,
}

/// What the end of a commit has to note besides that everything is clean.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// Inodes whose announcement of garbage was taken back.
    pub(crate) announced: Vec<InodeNo>,
    /// Garbage that went along, and where the rest of it starts.
    pub(crate) step: Option<(InodeNo, u64)>,
    /// The changes of the journal that was committed.
    pub(crate) journalled: Changes,
}

/// What is known of an apply of unknown outcome once the store was asked.
pub(crate) enum Resolved {
    /// There was none, or it did not take.
    NotApplied,
    /// It took, and ends a commit if there is a completion.
    Applied(Option<Completion>),
}
