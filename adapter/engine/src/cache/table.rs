//! What is in memory: inodes with their entries and extents, and what of it is not stored yet.
//!
//! The store is the permanent state; everything here can be dropped and read again, but for what is
//! marked dirty. Nothing in this module calls the store.

use super::neighbours::Neighbours;
use super::undo::Undo;
use crate::backing::overlay::Value;
use crate::cache::dirty::{Dirty, PendingReap, Removed};
use crate::error::{Error, Result};
use crate::stored::record::FRAME_BYTES;
use crate::stored::record::inode::Inode;
use crate::types::{Dentry, InodeNo};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::rc::Rc;

/// How much may stay in memory.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Bytes of extents, dirty ones included.
    pub extent_bytes: usize,
    /// Inodes that are neither open nor dirty.
    pub inodes: usize,
    /// Bytes of small files and of links' targets, which lie in their inodes. What is dirty may come on
    /// top of it, up to what fits one commit.
    pub inode_bytes: usize,
    /// Directory entries, known-missing names included.
    pub dentries: usize,
}

impl Default for CacheLimits {
    fn default() -> CacheLimits {
        CacheLimits { extent_bytes: 16 << 20, inodes: 32 << 10, inode_bytes: 16 << 20, dentries: 128 << 10 }
    }
}

/// An inode in memory.
///
/// In the order that its fields stand in: what a look at the inode reads lies together, and most looks are the first
/// for a while.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Node {
    pub(super) referenced: bool,
    /// The bytes in the record were dropped from memory; everything else is there.
    pub(crate) emptied: bool,
    /// The record differs from what is stored.
    pub(crate) dirty: bool,
    /// A record may be in the store.
    pub(crate) stored: bool,
    /// The record is that of the image below. Every change of a directory's names changes the directory's own
    /// record with them, so a directory's names are then all below too.
    pub(crate) below: bool,
    /// An orphan record may be in the store.
    pub(crate) orphan_stored: bool,
    /// The orphan record in the store must be written or deleted.
    pub(crate) orphan_dirty: bool,
    pub(crate) inode: Inode,
    /// Bytes that the superblock counts for it; `None` while it is the image's and counts for nothing.
    pub(crate) charged: Option<u64>,
    pub(crate) dir: Option<Box<DirCache>>,
    /// Descriptors and streams that are open on it.
    pub(crate) open: u32,
    pub(crate) dirty_extents: u32,
    /// Extents from this index on are certainly not in the store, but for those of a reap record.
    pub(crate) stored_end: u64,
    /// The size in the store: bytes of a stored extent behind a file's mean nothing, and a directory's
    /// is how many entries a scan of the whole finds.
    pub(crate) stored_size: u64,
    pub(crate) extents: FxHashMap<u64, Extent>,
    /// Where a sequential reader would go on, and how many extents it was given ahead last time.
    pub(crate) read_next: u64,
    pub(crate) read_window: u64,
    /// Extents in the store that the file no longer has; deleted with the next commit.
    pub(crate) doomed: BTreeSet<u64>,
}

impl Node {
    /// Whether an extent in memory is the image's.
    pub(crate) fn is_below_extent(&self, index: u64) -> bool {
        self.extents.get(&index).is_some_and(Extent::is_below)
    }

    /// Whether the file has an extent at a place: one in memory tells, and of one that is not in memory
    /// only a file without holes is asked.
    pub(crate) fn has_extent(&self, index: u64, extent_bytes: u64) -> bool {
        match self.extents.get(&index) {
            Some(extent) => !extent.hole,
            None => {
                let end = self.inode.extents_end(extent_bytes);
                index < end && self.inode.extents >= end
            }
        }
    }
}

/// A piece of a file in memory.
#[derive(Debug)]
pub(crate) struct Extent {
    /// The stored value: room for the frame, then the bytes; missing bytes are zeros. That of an image stays
    /// where it is until it is changed.
    pub(crate) value: Value,
    pub(crate) dirty: bool,
    /// Nothing is stored here and nothing was written.
    pub(crate) hole: bool,
    /// The stored value has bytes behind the file's end, which a crash left there. They were dropped
    /// here, and must be dropped there before the file grows over them.
    pub(crate) trimmed: bool,
    /// It was cut, or is new below the file's end in the store: it may reach the store only together
    /// with the inode.
    pub(crate) with_inode: bool,
    pub(super) referenced: bool,
}

impl Extent {
    pub(crate) fn hole() -> Extent {
        Extent {
            value: Value::default(),
            dirty: false,
            hole: true,
            trimmed: false,
            with_inode: false,
            referenced: true,
        }
    }

    pub(crate) fn loaded(value: Value, trimmed: bool) -> Extent {
        Extent { value, hole: false, trimmed, ..Extent::hole() }
    }

    /// Whether it is the image's: a value is where it lies there until it is changed.
    pub(crate) fn is_below(&self) -> bool {
        !self.hole && matches!(self.value, Value::Borrowed(_))
    }

    /// Bytes that it takes in memory; a hole is not free.
    fn cost(&self) -> usize {
        let bytes = match &self.value {
            Value::Owned(bytes) => bytes.capacity(),
            Value::Borrowed(_) => 0,
        };
        bytes + size_of::<Extent>() + 2 * size_of::<u64>()
    }

    pub(crate) fn data(&self) -> &[u8] {
        self.value.get(FRAME_BYTES..).unwrap_or_default()
    }

    pub(crate) fn touch(&mut self) {
        self.referenced = true;
    }
}

/// What is known of a directory's entries.
#[derive(Debug, Default)]
pub(crate) struct DirCache {
    pub(crate) slots: FxHashMap<Rc<str>, Slot>,
    /// A name that has no slot does not exist.
    pub(crate) complete: bool,
    /// Too large to be read whole at the first look.
    pub(crate) large: bool,
}

/// What is known of a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    /// What the name is now; `None`: missing.
    pub(crate) entry: Option<Dentry>,
    /// It differs from what is stored.
    pub(crate) dirty: bool,
    /// An entry may be in the store.
    pub(crate) stored: bool,
    /// The entry is the image's, which counts for nothing.
    pub(crate) below: bool,
}

#[derive(Debug)]
pub(crate) struct Cache {
    /// Each in a place of its own: a table of them would move them all whenever it grows.
    pub(super) nodes: HashMap<InodeNo, Box<Node>, BuildHasherDefault<Neighbours>>,
    pub(crate) dirty: Dirty,
    pub(crate) reaps: BTreeMap<InodeNo, PendingReap>,
    pub(super) undo: Undo,
    pub(super) limits: CacheLimits,
    pub(super) resident_bytes: usize,
    /// Bytes in inodes.
    pub(super) content_bytes: usize,
    pub(super) extents: usize,
    /// What the last trim could not get below, and some more; 0 if it came to its limit.
    pub(super) busy_nodes: usize,
    pub(super) busy_bytes: usize,
    pub(super) busy_content_bytes: usize,
    pub(super) dentries: usize,
    pub(super) dentry_trims: u64,
    pub(super) extent_clock: VecDeque<(InodeNo, u64)>,
    pub(super) node_clock: VecDeque<InodeNo>,
    pub(super) dir_clock: VecDeque<InodeNo>,
}

impl Cache {
    pub(crate) fn new(limits: CacheLimits) -> Cache {
        Cache {
            nodes: HashMap::default(),
            dirty: Dirty::default(),
            reaps: BTreeMap::new(),
            undo: Undo::default(),
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

    /// Puts an inode into memory that counts for nothing yet.
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
            dir: None,
            referenced: true,
        };
        self.content_bytes += node.inode.content.bytes();
        let place = self.nodes.entry(ino);
        if let Entry::Vacant(_) = &place {
            self.node_clock.push_back(ino);
        }
        place.insert_entry(Box::new(node)).into_mut()
    }

    /// Gives an inode the bytes back that were dropped, from its record.
    pub(crate) fn refill(&mut self, ino: InodeNo, inode: Inode) -> Result<()> {
        let Some(node) = self.nodes.get_mut(&ino) else { return Ok(()) };
        if (inode.generation, inode.size) != (node.inode.generation, node.inode.size) {
            return Err(Error::damaged("inode", ino.0, "another than it was"));
        }
        node.referenced = true;
        node.emptied = false;
        node.inode.content = inode.content;
        self.content_bytes += node.inode.content.bytes();
        Ok(())
    }

    /// Notes that the bytes in an inode's record have become more or less.
    pub(crate) fn content_changed(&mut self, before: usize, after: usize) {
        self.content_bytes = (self.content_bytes + after).saturating_sub(before);
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

    /// Takes an inode out of memory, as if it had never been there.
    pub(super) fn forget_node(&mut self, ino: InodeNo) {
        let Some(node) = self.nodes.remove(&ino) else { return };
        self.content_changed(node.inode.content.bytes(), 0);
        for extent in node.extents.values() {
            self.forget_extent(extent);
        }
        self.dentries = self.dentries.saturating_sub(node.dir.map_or(0, |dir| dir.slots.len()));
    }

    /// Takes an inode out of memory for good; what the store holds of it goes into `dirty.removed`.
    pub(crate) fn remove_node(&mut self, ino: InodeNo, direct_deletes_max: u64) {
        let Some(mut node) = self.nodes.remove(&ino) else { return };
        // Its record changed with the last link: there is none to write now.
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
            names.extend(
                dir.slots.into_iter().filter(|(_, slot)| slot.dirty && slot.stored).map(|(name, _)| name),
            );
        }
        let mut extents: Vec<u64> = Vec::new();
        if self.reaps.contains_key(&ino) || node.stored_end > direct_deletes_max {
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

    /// Puts an extent that was read, or found missing, into memory.
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

    /// Changes an extent in memory, which is made if it was not there, and marks it dirty.
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
            // The volume has one of its own from here on.
            if !node.dirty {
                self.undo.keep_inode(ino, &node.inode, node.charged);
            }
            node.inode.extents_below = node.inode.extents_below.saturating_sub(1);
        }
        let (cost, length) = (extent.cost(), extent.data().len());
        let value = extent.value.to_mut();
        if value.is_empty() {
            crate::stored::record::begin(value);
        }
        edit(value);
        extent.hole = false;
        extent.trimmed = false;
        extent.referenced = true;
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
            // It may not reach the store before the record that says so: else it would be charged to nobody after a cut.
            extent.with_inode = true;
            self.dirty.with_inode_extents += 1;
            self.dirty.with_inode_bytes += new_length;
        }
        if node.doomed.remove(&index) {
            self.dirty.deletes = self.dirty.deletes.saturating_sub(1);
        }
    }

    /// Binds a dirty extent to its inode's record: it must not reach the store before the record does.
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

    /// Drops the extents in memory from `from` on, dirty or not: the file has become shorter.
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

    /// Remembers extents that the store holds and the file no longer has.
    pub(crate) fn doom(&mut self, ino: InodeNo, indices: std::ops::Range<u64>) {
        let Some(node) = self.nodes.get_mut(&ino) else { return };
        for index in indices {
            if node.doomed.insert(index) {
                self.dirty.deletes += 1;
            }
        }
    }

    /// Returns the entries known of a directory, an empty set if none were.
    pub(crate) fn dir_mut(&mut self, dir: InodeNo) -> Option<&mut DirCache> {
        let node = self.nodes.get_mut(&dir)?;
        node.referenced = true;
        if node.dir.is_none() {
            self.dir_clock.push_back(dir);
        }
        Some(node.dir.get_or_insert_default())
    }

    /// Remembers what the store says of a name, or the image below it, unless something newer is known.
    pub(crate) fn learn_dentry(&mut self, dir: InodeNo, name: &str, entry: Option<Dentry>, below: bool) {
        let Some(known) = self.dir_mut(dir) else { return };
        if !known.slots.contains_key(name) {
            let slot = Slot { entry, dirty: false, stored: entry.is_some(), below };
            known.slots.insert(Rc::from(name), slot);
            self.dentries += 1;
        }
    }

    /// Whether a name counts: there is an entry, and it is not the image's. `None` if nothing is known of it.
    pub(crate) fn is_charged_name(&self, dir: InodeNo, name: &str) -> Option<bool> {
        let known = self.nodes.get(&dir)?.dir.as_ref()?;
        match known.slots.get(name) {
            Some(slot) => Some(slot.entry.is_some() && !slot.below),
            None => known.complete.then_some(false),
        }
    }

    /// Changes what a name is, and returns what was known of it. The directory must be in memory.
    pub(crate) fn set_dentry(&mut self, dir: InodeNo, name: &str, entry: Option<Dentry>) -> Option<Slot> {
        let known = self.dir_mut(dir)?;
        let complete = known.complete;
        if let Some(slot) = known.slots.get_mut(name) {
            let before = *slot;
            (slot.entry, slot.below) = (entry, false);
            if slot.dirty {
                return Some(before);
            }
            slot.dirty = true;
            if let Some((name, _)) = known.slots.get_key_value(name) {
                let name = Rc::clone(name);
                if self.undo.armed {
                    self.undo.names.push((dir, Rc::clone(&name), Some(before)));
                }
                self.dirty.dentries.push((dir, name));
            }
            return Some(before);
        }
        let name: Rc<str> = Rc::from(name);
        // In a directory that is known completely, no slot means that nothing is stored.
        known.slots.insert(Rc::clone(&name), Slot { entry, dirty: true, stored: !complete, below: false });
        self.dentries += 1;
        if self.undo.armed {
            self.undo.names.push((dir, Rc::clone(&name), None));
        }
        self.dirty.dentries.push((dir, name));
        None
    }

    /// How often entries were dropped from memory. While it stays, what was learned is still known.
    pub(crate) fn dentry_trims(&self) -> u64 {
        self.dentry_trims
    }

    /// Marks everything as stored: the commit that carried it has succeeded.
    pub(crate) fn all_clean(&mut self, extent_bytes: u64) {
        let mut dirty = std::mem::take(&mut self.dirty);
        // The bytes in inodes could not go for being dirty alone.
        self.busy_content_bytes = 0;
        if dirty.reaps > 0 {
            for reap in self.reaps.values_mut() {
                (reap.stored, reap.dirty) = (true, false);
            }
        }
        for (ino, index) in dirty.extents.drain(..) {
            if let Some(extent) = self.nodes.get_mut(&ino).and_then(|node| node.extents.get_mut(&index)) {
                extent.dirty = false;
                extent.with_inode = false;
            }
        }
        for (dir, name) in dirty.dentries.drain(..) {
            let Some(known) = self.nodes.get_mut(&dir).and_then(|node| node.dir.as_mut()) else { continue };
            let Some(slot) = known.slots.get_mut(&name) else { continue };
            slot.dirty = false;
            slot.stored = slot.entry.is_some();
            if known.complete && slot.entry.is_none() {
                known.slots.remove(&name);
                self.dentries = self.dentries.saturating_sub(1);
            }
        }
        for ino in dirty.inodes.drain(..) {
            let Some(node) = self.nodes.get_mut(&ino) else { continue };
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
        self.dirty = dirty.emptied();
    }

    /// How many inodes, directory entries and bytes of files are in memory.
    pub(crate) fn usage(&self) -> (usize, usize, usize) {
        (self.nodes.len(), self.dentries, self.resident_bytes + self.content_bytes)
    }
}
