//! Lists of what is dirty, beside the flags on inodes, names and extents.

use super::slots::NameHash;
use crate::types::InodeNo;
use std::rc::Rc;

/// Entries of each list whose memory is kept from commit to commit.
const KEPT_ENTRIES: usize = 256;

/// The remains of a removed inode in the store, until the next commit deletes them.
#[derive(Debug)]
pub(crate) struct Removed {
    pub(crate) ino: InodeNo,
    pub(crate) inode_stored: bool,
    pub(crate) orphan_stored: bool,
    /// Entries of a removed directory that the store still holds.
    pub(crate) names: Vec<Rc<str>>,
    /// Extents to delete with it.
    pub(crate) extents: Vec<u64>,
}

/// Extents `[from, to)` in the store that belong to no file. They are deleted little by little.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingReap {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// A record may be in the store.
    pub(crate) stored: bool,
    /// The record in the store is missing, or another.
    pub(crate) dirty: bool,
}

/// A name of a directory whose entry is dirty.
#[derive(Debug)]
pub(crate) struct DirtyName {
    pub(crate) dir: InodeNo,
    pub(crate) hash: NameHash,
    pub(crate) name: Rc<str>,
}

/// Everything that is dirty. The lists may name things that were cleaned or removed since: the
/// flags in the cache decide.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) inodes: Vec<InodeNo>,
    pub(crate) dentries: Vec<DirtyName>,
    pub(crate) extents: Vec<(InodeNo, u64)>,
    pub(crate) removed: Vec<Removed>,
    /// Bytes in dirty extents.
    pub(crate) bytes: usize,
    /// Deletions in `removed` and `doomed`: one commit must hold them all.
    pub(crate) deletes: usize,
    /// Extents that must go with their inode, and the bytes in them.
    pub(crate) with_inode_extents: usize,
    pub(crate) with_inode_bytes: usize,
    /// Reap records to write.
    pub(crate) reaps: usize,
}

impl Dirty {
    pub(crate) fn is_empty(&self) -> bool {
        self.inodes.is_empty()
            && self.dentries.is_empty()
            && self.extents.is_empty()
            && self.removed.is_empty()
            && self.reaps == 0
    }

    /// Empties the lists and keeps their memory, since commits are frequent. Gives back what a
    /// large one took.
    pub(crate) fn empty(&mut self) {
        let Self { inodes, dentries, extents, removed, .. } = self;
        empty(inodes);
        empty(dentries);
        empty(extents);
        empty(removed);
        (self.bytes, self.deletes, self.reaps) = (0, 0, 0);
        (self.with_inode_extents, self.with_inode_bytes) = (0, 0);
    }

    /// An upper bound of the mutations that must go together in one apply.
    pub(crate) fn metadata_entries(&self) -> usize {
        // An inode may bring its record, an orphan record and a reap record.
        let inodes = 3 * self.inodes.len() + 2 * self.removed.len() + self.with_inode_extents;
        1 + inodes + self.dentries.len() + self.deletes + self.reaps
    }
}

fn empty<T>(list: &mut Vec<T>) {
    list.clear();
    if list.capacity() > KEPT_ENTRIES {
        list.shrink_to(KEPT_ENTRIES);
    }
}
