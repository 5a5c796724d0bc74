//! The log of one change: the state that it has replaced, so that it can be undone.

use super::dirty::PendingReap;
use super::slots::Slot;
use crate::quota::Used;
use crate::stored::record::inode::Inode;
use crate::types::InodeNo;
use std::rc::Rc;

/// The counts of the volume before the change.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) used: Used,
    pub(crate) next_inode: u64,
}

/// The state that a change of a clean cache has replaced. Extents are not logged: the store has
/// them.
#[derive(Debug, Default)]
pub(crate) struct UndoLog {
    pub(super) armed: bool,
    pub(super) counts: Counts,
    /// Each with its charged bytes.
    pub(super) inodes: Vec<(InodeNo, Inode, Option<u64>)>,
    pub(super) names: Vec<(InodeNo, Rc<str>, Option<Slot>)>,
    pub(super) reaps: Vec<(InodeNo, Option<PendingReap>)>,
}

impl UndoLog {
    pub(super) fn start(&mut self, armed: bool, counts: Counts) {
        (self.armed, self.counts) = (armed, counts);
        self.inodes.clear();
        self.names.clear();
        self.reaps.clear();
    }

    /// Logs a clean inode before its first change. An inode may be logged twice: the older entry
    /// counts.
    pub(super) fn keep_inode(&mut self, ino: InodeNo, inode: &Inode, charged: Option<u64>) {
        if self.armed && self.inodes.last().is_none_or(|(last, ..)| *last != ino) {
            self.inodes.push((ino, inode.clone(), charged));
        }
    }
}
