//! An inode in memory, with its extents and, for a directory, its names.

use crate::stored::record::inode::Inode;
use crate::stored::record::superblock::Superblock;
use crate::stored::record::{FRAME_BYTES, Value};
use crate::types::Dentry;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::rc::Rc;

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
    /// Counts the inode as it is now in `superblock`, in place of what was counted for it before.
    #[inline]
    pub(crate) fn charge_to(&mut self, superblock: &mut Superblock) {
        let after = self.inode.charged_bytes(u64::from(superblock.extent_bytes));
        let before = self.charged.replace(after);
        superblock.used_bytes =
            superblock.used_bytes.saturating_sub(before.unwrap_or(0)).saturating_add(after);
        superblock.used_inodes = superblock.used_inodes.saturating_add(u64::from(before.is_none()));
    }

    /// Takes the inode out of the counts of `superblock`.
    pub(crate) fn discharge_from(&self, superblock: &mut Superblock) {
        if let Some(charged) = self.charged {
            superblock.used_bytes = superblock.used_bytes.saturating_sub(charged);
            superblock.used_inodes = superblock.used_inodes.saturating_sub(1);
        }
    }

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
    pub(crate) fn hole() -> Self {
        Self {
            value: Value::default(),
            dirty: false,
            hole: true,
            trimmed: false,
            with_inode: false,
            referenced: true,
        }
    }

    pub(crate) fn loaded(value: Value, trimmed: bool) -> Self {
        Self { value, hole: false, trimmed, ..Self::hole() }
    }

    /// Whether it is the image's: a value is where it lies there until it is changed.
    pub(crate) fn is_below(&self) -> bool {
        !self.hole && matches!(self.value, Value::Borrowed(_))
    }

    /// Bytes that it takes in memory; a hole is not free.
    pub(super) fn cost(&self) -> usize {
        let bytes = match &self.value {
            Value::Owned(bytes) => bytes.capacity(),
            Value::Borrowed(_) => 0,
        };
        bytes + size_of::<Self>() + 2 * size_of::<u64>()
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
