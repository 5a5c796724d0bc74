//! The table of inodes in memory.
//!
//! The store has the permanent state. Everything here that is not dirty can be dropped and read
//! again. Nothing in this folder calls the store.

use super::ahead::{Ahead, MAX_AHEAD_INODES};
use super::attributes::Attributes;
use super::dirty::{Dirty, DirtyName, PendingReap, Removed};
use super::listed::Listed;
use super::neighbours::Neighbours;
use super::node::{Extent, Node};
use super::undo_log::UndoLog;
use crate::error::{Error, Result};
use crate::limits::MAX_GATHERED_REMOVALS;
use crate::options::CacheLimits;
use crate::stored::record::inode::Inode;
use crate::types::InodeNo;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasherDefault;

#[derive(Debug)]
pub(crate) struct Cache {
    /// Boxed, so that a growing table does not move the nodes.
    pub(super) nodes: HashMap<InodeNo, Box<Node>, BuildHasherDefault<Neighbours>>,
    pub(crate) dirty: Dirty,
    pub(crate) reaps: BTreeMap<InodeNo, PendingReap>,
    pub(super) undo: UndoLog,
    pub(super) limits: CacheLimits,
    pub(super) resident_bytes: usize,
    /// Inline bytes in inodes.
    pub(super) content_bytes: usize,
    pub(super) extents: usize,
    /// Usage below which another trim is pointless; 0 if the last trim reached its limit.
    pub(super) busy_nodes: usize,
    pub(super) busy_bytes: usize,
    pub(super) busy_content_bytes: usize,
    pub(super) dentries: usize,
    pub(super) dentry_trims: u64,
    pub(super) extent_clock: VecDeque<(InodeNo, u64)>,
    pub(super) node_clock: VecDeque<InodeNo>,
    pub(super) dir_clock: VecDeque<InodeNo>,
    /// The inodes of the last page of a listing.
    pub(crate) ahead: Ahead,
    /// Its names.
    pub(super) listed: Option<Listed>,
    /// Inodes that were read ahead when the table was full, as they are in the store and without
    /// their inline bytes. None of them was in the table since.
    pub(crate) attributes: Attributes,
}

impl Cache {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        Self {
            nodes: HashMap::default(),
            dirty: Dirty::default(),
            reaps: BTreeMap::new(),
            undo: UndoLog::default(),
            limits,
            resident_bytes: 0,
            content_bytes: 0,
            extents: 0,
            busy_nodes: 0,
            busy_bytes: 0,
            busy_content_bytes: 0,
            dentries: 0,
            dentry_trims: 0,
            extent_clock: VecDeque::new(),
            node_clock: VecDeque::new(),
            dir_clock: VecDeque::new(),
            ahead: Ahead::default(),
            listed: None,
            attributes: Attributes::default(),
        }
    }

    /// Sets the limits for the next trim.
    pub(crate) fn set_limits(&mut self, limits: CacheLimits) {
        self.limits = limits;
        if limits.inodes < MAX_AHEAD_INODES || limits.dentries < MAX_AHEAD_INODES {
            self.ahead.forget();
            self.listed = None;
            self.attributes = Attributes::default();
        }
    }

    /// Returns the most bytes of extents that the next trim leaves.
    pub(crate) fn most_extent_bytes(&self) -> usize {
        self.limits.extent_bytes
    }

    /// How much is held of what the limits bound.
    pub(crate) fn held(&self) -> CacheLimits {
        CacheLimits {
            extent_bytes: self.resident_bytes,
            inodes: self.nodes.len(),
            inode_bytes: self.content_bytes,
            dentries: self.dentries,
        }
    }

    pub(crate) fn node(&self, ino: InodeNo) -> Option<&Node> {
        self.nodes.get(&ino).map(Box::as_ref)
    }

    pub(crate) fn node_mut(&mut self, ino: InodeNo) -> Option<&mut Node> {
        let node = self.nodes.get_mut(&ino)?;
        node.referenced = true;
        Some(node)
    }

    /// Inserts an inode, which is not charged yet.
    pub(crate) fn insert_node(
        &mut self,
        ino: InodeNo,
        inode: Inode,
        stored: bool,
        extent_bytes: u64,
    ) -> &mut Node {
        let (stored_end, stored_size) =
            if stored { (inode.extents_end(extent_bytes), inode.size) } else { (0, 0) };
        let node = Node {
            inode,
            emptied: false,
            dirty: false,
            stored,
            below: false,
            charged: None,
            open: 0,
            orphan_stored: false,
            orphan_dirty: false,
            stored_end,
            stored_size,
            doomed: BTreeSet::new(),
            extents: FxHashMap::default(),
            dirty_extents: 0,
            read_next: 0,
            read_window: 1,
            last_used: None,
            dir: None,
            way: None,
            scrubbed: false,
            referenced: true,
        };
        self.content_bytes += node.inode.content.bytes();
        if stored && !self.attributes.is_empty() {
            self.attributes.remove(ino);
        }
        let place = self.nodes.entry(ino);
        if let Entry::Vacant(_) = &place {
            self.node_clock.push_back(ino);
        }
        place.insert_entry(Box::new(node)).into_mut()
    }

    /// Restores the dropped inline bytes of an inode from its record.
    pub(crate) fn refill(&mut self, ino: InodeNo, inode: Inode) -> Result<()> {
        let Some(node) = self.nodes.get_mut(&ino) else { return Ok(()) };
        if (inode.generation, inode.size) != (node.inode.generation, node.inode.size) {
            return Err(Error::damaged("inode", ino.0, "it has changed in the store"));
        }
        node.referenced = true;
        node.emptied = false;
        node.inode.content = inode.content;
        self.content_bytes += node.inode.content.bytes();
        Ok(())
    }

    /// Returns an inode whose inline bytes or target may not be in memory.
    pub(crate) fn attributes(&mut self, ino: InodeNo) -> Option<&Inode> {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.referenced = true;
            return Some(&node.inode);
        }
        self.attributes.get(ino)
    }

    /// Returns the inodes to read together with `ino`, which is missing in memory: up to `most`,
    /// and no more than are a quarter of the limit. None of them is in memory or removed.
    pub(crate) fn read_ahead(&mut self, ino: InodeNo, most: usize) -> Vec<InodeNo> {
        let most = most.min(self.limits.inodes / 4);
        let next = self.ahead.starting_with(ino, most).get(1..).unwrap_or_default();
        if next.is_empty() {
            if self.ahead.is_idle() {
                // Looking through them would cost more than they are worth.
                self.attributes.clear();
            }
            return Vec::new();
        }
        // The store may have them still.
        let removed = &self.dirty.removed;
        if removed.len() > MAX_GATHERED_REMOVALS as usize {
            return Vec::new();
        }
        let is_removed = |ino: &InodeNo| removed.iter().any(|removed| removed.ino == *ino);
        let is_missing = |ino: &InodeNo| !self.nodes.contains_key(ino) && !is_removed(ino);
        next.iter().copied().filter(is_missing).collect()
    }

    /// Returns whether so many more inodes leave the table within its limit.
    pub(crate) fn has_room_for_inodes(&self, count: usize) -> bool {
        self.nodes.len().saturating_add(count) <= self.limits.inodes
    }

    /// Returns whether inline bytes are within their limit.
    pub(crate) fn has_room_for_content(&self) -> bool {
        self.content_bytes < self.limits.inode_bytes
    }

    /// Notes a change of the number of inline bytes.
    pub(crate) fn content_changed(&mut self, before: usize, after: usize) {
        self.content_bytes = (self.content_bytes + after).saturating_sub(before);
    }

    /// Changes an inode, with one look-up: logs it for undoing before, and marks its record as
    /// changed. Returns false if it is not in memory.
    pub(crate) fn edit_inode(&mut self, ino: InodeNo, edit: impl FnOnce(&mut Node)) -> bool {
        let Some(node) = self.nodes.get_mut(&ino) else { return false };
        debug_assert!(!node.emptied, "edited an inode whose bytes were not loaded");
        node.referenced = true;
        if !node.dirty {
            self.undo.keep_inode(ino, &node.inode, node.charged);
            node.dirty = true;
            self.dirty.inodes.push(ino);
        }
        let before = node.inode.content.bytes();
        edit(node);
        let after = node.inode.content.bytes();
        self.content_changed(before, after);
        true
    }

    /// Marks the inode's record as changed.
    pub(crate) fn mark_inode(&mut self, ino: InodeNo) {
        if let Some(node) = self.nodes.get_mut(&ino)
            && !node.dirty
        {
            node.dirty = true;
            self.dirty.inodes.push(ino);
        }
    }

    /// Drops an inode from memory.
    pub(super) fn forget_node(&mut self, ino: InodeNo) {
        let Some(node) = self.nodes.remove(&ino) else { return };
        self.content_changed(node.inode.content.bytes(), 0);
        for extent in node.extents.values() {
            self.forget_extent(extent);
        }
        let names = node.dir.map_or(0, |dir| dir.slots.len());
        self.dentries = self.dentries.saturating_sub(names);
        self.dentry_trims += u64::from(names > 0);
    }

    /// Removes an inode for good. Its remains in the store go into `dirty.removed`.
    pub(crate) fn remove_node(&mut self, ino: InodeNo, max_direct_deletes: u64) {
        let Some(mut node) = self.nodes.remove(&ino) else { return };
        // Removing the last link changed its record, which need not be written now.
        if self.dirty.inodes.last() == Some(&ino) {
            self.dirty.inodes.pop();
        }
        self.content_changed(node.inode.content.bytes(), 0);
        for extent in node.extents.values() {
            self.forget_extent(extent);
        }
        let mut names = Vec::new();
        if let Some(dir) = node.dir.take() {
            self.dentries = self.dentries.saturating_sub(dir.slots.len());
            names.extend(dir.slots.into_names_of(|slot| slot.dirty && slot.stored));
        }
        let mut extents: Vec<u64> = Vec::new();
        if self.reaps.contains_key(&ino) || node.stored_end > max_direct_deletes {
            self.add_reap(ino, 0, node.stored_end);
        } else {
            extents.extend(0..node.stored_end);
        }
        self.dirty.deletes =
            self.dirty.deletes.saturating_sub(node.doomed.len()) + names.len() + extents.len();
        if node.stored || node.orphan_stored || !names.is_empty() || !extents.is_empty() {
            self.dirty.removed.push(Removed {
                ino,
                inode_stored: node.stored,
                orphan_stored: node.orphan_stored,
                names,
                extents,
            });
        }
    }

    /// Notes that extents `[from, to)` in the store are garbage too.
    pub(crate) fn add_reap(&mut self, ino: InodeNo, from: u64, to: u64) {
        if self.undo.armed {
            self.undo.reaps.push((ino, self.reaps.get(&ino).copied()));
        }
        let reap = self.reaps.entry(ino).or_insert(PendingReap { from, to, stored: false, dirty: false });
        reap.from = reap.from.min(from);
        reap.to = reap.to.max(to);
        if !reap.dirty {
            reap.dirty = true;
            self.dirty.reaps += 1;
        }
    }

    pub(super) fn forget_extent(&mut self, extent: &Extent) {
        self.resident_bytes = self.resident_bytes.saturating_sub(extent.cost());
        self.extents = self.extents.saturating_sub(1);
        if extent.dirty {
            self.dirty.bytes = self.dirty.bytes.saturating_sub(extent.data().len());
        }
        if extent.with_inode {
            self.dirty.with_inode_bytes = self.dirty.with_inode_bytes.saturating_sub(extent.data().len());
            self.dirty.with_inode_extents = self.dirty.with_inode_extents.saturating_sub(1);
        }
    }

    /// Marks everything as stored: the commit that carried it has succeeded.
    pub(crate) fn all_clean(&mut self, extent_bytes: u64) {
        // Inline bytes that were dirty can be dropped now.
        self.busy_content_bytes = 0;
        let Self { nodes, dirty, reaps, dentries, .. } = self;
        if dirty.reaps > 0 {
            for reap in reaps.values_mut() {
                (reap.stored, reap.dirty) = (true, false);
            }
        }
        for (ino, index) in &dirty.extents {
            if let Some(extent) = nodes.get_mut(ino).and_then(|node| node.extents.get_mut(index)) {
                extent.dirty = false;
                extent.with_inode = false;
            }
        }
        for DirtyName { dir, hash, name } in &dirty.dentries {
            let Some(known) = nodes.get_mut(dir).and_then(|node| node.dir.as_mut()) else { continue };
            if known.slots.clean(*hash, name, known.complete) {
                *dentries = dentries.saturating_sub(1);
            }
        }
        for ino in &dirty.inodes {
            let Some(node) = nodes.get_mut(ino) else { continue };
            node.dirty = false;
            node.stored = true;
            node.below = false;
            node.dirty_extents = 0;
            node.orphan_dirty = false;
            node.orphan_stored = node.inode.nlink == 0;
            node.doomed.clear();
            node.stored_end = node.inode.extents_end(extent_bytes);
            node.stored_size = node.inode.size;
        }
        dirty.empty();
    }

    /// Returns how many inodes, directory entries and bytes of files are in memory.
    pub(crate) fn usage(&self) -> (usize, usize, usize) {
        (self.nodes.len(), self.dentries, self.resident_bytes + self.content_bytes)
    }
}
