//! An inode in memory, with its extents and, for a directory, its names.

use super::slots::Slots;
use crate::stored::record::inode::Inode;
use crate::stored::record::superblock::Superblock;
use crate::stored::record::{FRAME_BYTES, Value};
use crate::types::InodeNo;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::rc::Rc;

/// An inode in memory.
///
/// `repr(C)`: the fields that a lookup reads share a cache line, which is usually cold.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Node {
    pub(super) referenced: bool,
    /// The inline bytes were dropped from memory; the rest is here.
    pub(crate) emptied: bool,
    /// The record differs from what is stored.
    pub(crate) dirty: bool,
    /// A record may be in the store.
    pub(crate) stored: bool,
    /// The record is the image's. Every change of a directory's names changes the directory's own
    /// record too, so all its names are then the image's as well.
    pub(crate) below: bool,
    /// An orphan record may be in the store.
    pub(crate) orphan_stored: bool,
    /// The orphan record in the store must be written or deleted.
    pub(crate) orphan_dirty: bool,
    pub(crate) inode: Inode,
    /// Bytes that the superblock counts for it; `None` while it is the image's, which is free.
    pub(crate) charged: Option<u64>,
    pub(crate) dir: Option<Box<DirCache>>,
    /// The name that last led to it, and the top layer that has it already: so that a layer tells what
    /// was changed in it by path. Only for inodes that a layer below may have.
    pub(crate) way: Option<Box<Way>>,
    /// It is a file that the volume's policy of scrubbing names, by the path that last led to it.
    pub(crate) scrubbed: bool,
    /// Open descriptors and streams.
    pub(crate) open: u32,
    pub(crate) dirty_extents: u32,
    /// From this index on the store has no extents, except those of a reap record.
    pub(crate) stored_end: u64,
    /// The size in the store. Bytes of stored extents behind it mean nothing. For a directory, it
    /// is the number of entries that a full scan finds.
    pub(crate) stored_size: u64,
    pub(crate) extents: FxHashMap<u64, Extent>,
    /// The extent that a sequential reader reads next, and the last read-ahead in extents.
    pub(crate) read_next: u64,
    pub(crate) read_window: u64,
    /// The extent that was used last: using it again at once is no sign that it is needed often.
    pub(super) last_used: Option<u64>,
    /// Extents in the store that the file no longer has. The next commit deletes them.
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

    /// Returns an extent in memory that is used now.
    pub(crate) fn used_extent(&mut self, index: u64) -> Option<&mut Extent> {
        let again_at_once = self.last_used.replace(index) == Some(index);
        let extent = self.extents.get_mut(&index)?;
        extent.touch(again_at_once);
        Some(extent)
    }

    /// Returns whether the extent is in memory and the image's.
    pub(crate) fn is_below_extent(&self, index: u64) -> bool {
        self.extents.get(&index).is_some_and(Extent::is_below)
    }

    /// Returns whether the file has an extent at `index`. One that is not in memory must only be
    /// asked for in a file without holes.
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

/// The name that led to an inode.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) dir: InodeNo,
    pub(crate) name: Rc<str>,
    /// The number of the layer in which the name was put again; 0: in none.
    pub(crate) told_in: u64,
}

/// An extent in memory.
#[derive(Debug)]
pub(crate) struct Extent {
    /// The stored value: room for the frame, then the bytes. Missing bytes are zeros. An image's
    /// value is borrowed until it is changed.
    pub(crate) value: Value,
    pub(crate) dirty: bool,
    /// Nothing is stored here and nothing was written.
    pub(crate) hole: bool,
    /// A crash left bytes behind the file's end in the stored value. They were dropped here, and
    /// must be dropped there before the file grows over them.
    pub(crate) trimmed: bool,
    /// It must reach the store together with the inode: it was cut, or is new below the file's end
    /// there.
    pub(crate) with_inode: bool,
    /// It was used since it was loaded or made.
    pub(super) used: bool,
    /// It was used more than once, and since the clock's hand last passed.
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
            used: false,
            referenced: false,
        }
    }

    pub(crate) fn loaded(value: Value, trimmed: bool) -> Self {
        Self { value, hole: false, trimmed, ..Self::hole() }
    }

    /// Returns whether it is the image's, and unchanged.
    pub(crate) fn is_below(&self) -> bool {
        !self.hole && matches!(self.value, Value::Borrowed(_))
    }

    /// Bytes that it takes in memory. A hole is not free.
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

    /// Notes a use. A stream uses each extent once, piece by piece, and so leaves in memory what
    /// others use again and again.
    pub(super) fn touch(&mut self, again_at_once: bool) {
        if !again_at_once {
            self.referenced = self.used;
            self.used = true;
        }
    }
}

/// The known entries of a directory.
#[derive(Debug, Default)]
pub(crate) struct DirCache {
    pub(crate) slots: Slots,
    /// A name that has no slot does not exist.
    pub(crate) complete: bool,
    /// Too large to be read whole at the first look.
    pub(crate) large: bool,
    /// No name is greater, if it is known. So names that are made in order need no look at the
    /// store, however many there are.
    pub(crate) end: Option<Rc<str>>,
}

impl DirCache {
    /// Returns whether a name that has no slot is known not to exist.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        self.complete || self.end.as_ref().is_some_and(|end| name > &**end)
    }

    /// Notes that a name exists.
    pub(super) fn raise_end(&mut self, name: &Rc<str>) {
        if let Some(end) = &mut self.end
            && *name > *end
        {
            *end = Rc::clone(name);
        }
    }
}
