//! The dirty state of a volume, beside what the cache marks.

use crate::stored::record::superblock::Superblock;
use crate::types::{InodeNo, Timestamp};

/// What waits for the next commit, and what became of the last ones.
pub(crate) struct Pending {
    /// The superblock as it will be with the next commit.
    pub(crate) superblock: Superblock,
    /// Removals that are dirty.
    pub(crate) removals: u32,
    /// When the oldest change that is not stored was made.
    pub(crate) since: Option<Timestamp>,
    /// A write has made room in this file, at this moment, and waits for its bytes.
    pub(crate) placing: Option<(InodeNo, Timestamp)>,
    /// The store has refused a commit for want of room, and no write was stored since.
    pub(crate) full: bool,
    /// The last commit failed, and nobody was told.
    pub(crate) untold: bool,
}

impl Pending {
    /// Nothing waits: the next superblock is the one that is stored.
    pub(crate) fn nothing(superblock: Superblock) -> Self {
        Self { superblock, removals: 0, since: None, placing: None, full: false, untold: false }
    }
}
