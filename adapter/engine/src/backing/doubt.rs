//! The state of an open volume: live, fenced, or in doubt after an apply of unknown outcome.

use crate::stored::record::journal::Changes;
use crate::stored::record::settings::SettingsRecord;
use crate::types::InodeNo;

/// The state of an open volume.
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
    /// The settings that it carried.
    pub(super) settings: Option<SettingsRecord>,
    /// The completion of the commit, if this was its last apply.
    pub(super) completes: Option<Completion>,
}

/// The notes for the end of a commit, after which everything is clean.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// Inodes whose announcement of garbage the commit took back.
    pub(crate) announced: Vec<InodeNo>,
    /// The inode whose garbage the commit deleted in part, and where the rest starts.
    pub(crate) step: Option<(InodeNo, u64)>,
    /// The changes of the journal that was committed.
    pub(crate) journalled: Changes,
}

/// The outcome of a doubtful apply, once the store was asked.
pub(crate) enum Resolved {
    /// There was none, or it was not applied.
    NotApplied,
    /// It was applied. With a completion, it ended a commit.
    Applied(Option<Completion>),
}
