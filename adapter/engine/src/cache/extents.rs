//! Extents in memory: inserting, changing, binding to inodes, dropping.

use super::node::Extent;
use super::table::Cache;
use crate::stored::record;
use crate::types::InodeNo;

impl Cache {
    /// Inserts an extent that was read, or found to be a hole.
    pub(crate) fn insert_extent(&mut self, ino: InodeNo, index: u64, extent: Extent) {
        let Some(node) = self.nodes.get_mut(&ino) else { return };
        self.resident_bytes += extent.cost();
        self.extents += 1;
        match node.extents.insert(index, extent) {
            None => self.extent_clock.push_back((ino, index)),
            Some(old) => {
                debug_assert!(!old.dirty, "a dirty extent is never read over");
                self.forget_extent(&old);
            }
        }
    }

    /// Changes an extent and marks it dirty. Makes one if there is none in memory.
    pub(crate) fn edit_extent(&mut self, ino: InodeNo, index: u64, edit: impl FnOnce(&mut Vec<u8>)) {
        let Some(node) = self.nodes.get_mut(&ino) else { return };
        let extent = node.extents.entry(index).or_insert_with(|| {
            self.extent_clock.push_back((ino, index));
            self.extents += 1;
            let hole = Extent::hole();
            self.resident_bytes += hole.cost();
            hole
        });
        let was_below = extent.is_below();
        if was_below {
            // From here on the volume has its own.
            if !node.dirty {
                self.undo.keep_inode(ino, &node.inode, node.charged);
            }
            node.inode.extents_below = node.inode.extents_below.saturating_sub(1);
        }
        let (cost, length) = (extent.cost(), extent.data().len());
        let value = extent.value.to_mut();
        if value.is_empty() {
            record::begin(value);
        }
        edit(value);
        extent.hole = false;
        extent.trimmed = false;
        extent.touch(node.last_used.replace(index) == Some(index));
        self.resident_bytes = self.resident_bytes.saturating_sub(cost) + extent.cost();
        let new_length = extent.data().len();
        if extent.with_inode {
            self.dirty.with_inode_bytes = self.dirty.with_inode_bytes.saturating_sub(length) + new_length;
        }
        if extent.dirty {
            self.dirty.bytes = self.dirty.bytes.saturating_sub(length) + new_length;
        } else {
            extent.dirty = true;
            node.dirty_extents += 1;
            self.dirty.bytes += new_length;
            self.dirty.extents.push((ino, index));
        }
        if was_below {
            // It must not reach the store before the inode's record: after a cut nobody would be
            // charged for it.
            extent.with_inode = true;
            self.dirty.with_inode_extents += 1;
            self.dirty.with_inode_bytes += new_length;
        }
        if node.doomed.remove(&index) {
            self.dirty.deletes = self.dirty.deletes.saturating_sub(1);
        }
    }

    /// Binds a dirty extent to its inode's record: it must not reach the store before the record
    /// does.
    pub(crate) fn bind_extent(&mut self, ino: InodeNo, index: u64) {
        if let Some(extent) = self.nodes.get_mut(&ino).and_then(|node| node.extents.get_mut(&index))
            && extent.dirty
            && !extent.with_inode
        {
            extent.with_inode = true;
            self.dirty.with_inode_extents += 1;
            self.dirty.with_inode_bytes += extent.data().len();
        }
    }

    /// Drops the extents from `from` on, dirty or not: the file has become shorter.
    pub(crate) fn drop_extents_from(&mut self, ino: InodeNo, from: u64) {
        let Some(node) = self.nodes.get_mut(&ino) else { return };
        let gone: Vec<Extent> =
            node.extents.extract_if(|index, _| *index >= from).map(|(_, extent)| extent).collect();
        let dirty = gone.iter().filter(|extent| extent.dirty).count();
        node.dirty_extents = node.dirty_extents.saturating_sub(u32::try_from(dirty).unwrap_or(u32::MAX));
        for extent in &gone {
            self.forget_extent(extent);
        }
    }

    /// Notes extents that the store holds and the file no longer has.
    pub(crate) fn doom(&mut self, ino: InodeNo, indices: std::ops::Range<u64>) {
        let Some(node) = self.nodes.get_mut(&ino) else { return };
        for index in indices {
            if node.doomed.insert(index) {
                self.dirty.deletes += 1;
            }
        }
    }
}
