//! Undoes one change, so that memory is again as the store.

use super::table::Cache;
use super::undo_log::Counts;
use crate::types::InodeNo;

/// The part of an undo that is left to the volume.
pub(crate) struct Undone {
    pub(crate) counts: Counts,
    /// Orphans whose removal was undone.
    pub(crate) orphans: Vec<InodeNo>,
}

impl Cache {
    /// Starts to log for [`Cache::undo`], if `wanted` and nothing is dirty.
    pub(crate) fn prepare_undo(&mut self, wanted: bool, counts: Counts) {
        let armed = wanted && self.dirty.is_empty();
        if armed || self.undo.armed {
            self.undo.start(armed, counts);
        }
    }

    /// Stops logging: the store has changed, so nothing can be undone.
    pub(crate) fn forget_undo(&mut self) {
        self.undo.armed = false;
    }

    /// Logs an inode before it is changed.
    pub(crate) fn keep_inode(&mut self, ino: InodeNo) {
        if self.undo.armed
            && let Some(node) = self.nodes.get(&ino).filter(|node| !node.dirty)
        {
            self.undo.keep_inode(ino, &node.inode, node.charged);
        }
    }

    /// Undoes everything that is dirty. Returns `None`, and does nothing, if it may be more than
    /// one change.
    pub(crate) fn undo(&mut self, extent_bytes: u64) -> Option<Undone> {
        if !self.undo.armed {
            return None;
        }
        let mut undo = std::mem::take(&mut self.undo);
        let dirty = std::mem::take(&mut self.dirty);
        for (ino, index) in &dirty.extents {
            let Some(node) = self.nodes.get_mut(ino) else { continue };
            if node.extents.get(index).is_some_and(|extent| extent.dirty)
                && let Some(extent) = node.extents.remove(index)
            {
                self.forget_extent(&extent);
            }
        }
        for (dir, name, before) in undo.names.drain(..).rev() {
            let Some(known) = self.nodes.get_mut(&dir).and_then(|node| node.dir.as_mut()) else { continue };
            match before {
                Some(slot) => known.slots.put(name, slot),
                None => {
                    let removed = known.slots.remove(&name);
                    self.dentries = self.dentries.saturating_sub(usize::from(removed));
                }
            }
        }
        for ino in &dirty.inodes {
            if self.nodes.get(ino).is_some_and(|node| node.dirty && !node.stored) {
                self.forget_node(*ino);
            }
        }
        for (ino, inode, charged) in undo.inodes.drain(..).rev() {
            // Removed inodes are read again when needed.
            let Some(node) = self.nodes.get_mut(&ino) else { continue };
            let (before, after) = (node.inode.content.bytes(), inode.content.bytes());
            node.stored_end = inode.extents_end(extent_bytes);
            (node.inode, node.charged) = (inode, charged);
            (node.dirty, node.orphan_dirty, node.dirty_extents) = (false, false, 0);
            node.doomed.clear();
            self.content_changed(before, after);
        }
        for (ino, before) in undo.reaps.drain(..).rev() {
            // Garbage that the commit has announced stays: the announcement is in the store.
            if self.reaps.get(&ino).is_none_or(|reap| reap.dirty) {
                match before {
                    Some(reap) => drop(self.reaps.insert(ino, reap)),
                    None => drop(self.reaps.remove(&ino)),
                }
            }
        }
        let orphans = dirty.removed.iter().filter(|removed| removed.orphan_stored).map(|removed| removed.ino);
        let undone = Undone { counts: undo.counts, orphans: orphans.collect() };
        self.dirty = dirty;
        self.dirty.empty();
        undo.armed = false;
        self.undo = undo;
        Some(undone)
    }
}
