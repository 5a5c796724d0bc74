//! What one change has replaced, noted so that the change can be taken back.

use super::dirty::PendingReap;
use super::node::Slot;
use crate::quota::Used;
use crate::stored::record::inode::Inode;
use crate::types::InodeNo;
use std::rc::Rc;

/// What the volume counts, as it was before.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) used: Used,
    pub(crate) next_inode: u64,
}

/// What a change that starts from a clean cache has replaced. Of extents nothing is kept: the store has them.
#[derive(Debug, Default)]
pub(crate) struct UndoLog {
    pub(super) armed: bool,
    pub(super) counts: Counts,
    /// With the bytes that were charged for each.
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

    /// Notes an inode that is not dirty, before its first change. Later changes find it kept: it is the last one then,
    /// or kept twice, of which the older counts.
    pub(super) fn keep_inode(&mut self, ino: InodeNo, inode: &Inode, charged: Option<u64>) {
        if self.armed && self.inodes.last().is_none_or(|(last, ..)| *last != ino) {
            self.inodes.push((ino, inode.clone(), charged));
        }
    }
}
