//! The bytes of files in extents: the parts that reads, writes and changes of size share.

use super::txn::{Txn, Writes};
use crate::error::Result;
use crate::load;
use crate::quota::Used;
use crate::store::Durability;
use crate::stored::record::inode::Content;
use crate::types::InodeNo;

pub(super) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The part of a range of bytes that lies in one extent.
pub(super) struct Part {
    pub(super) index: u64,
    /// Its start in the extent, and its length, at least 1.
    pub(super) within: usize,
    pub(super) length: usize,
}

/// Splits the bytes from `at` to `end` by extents.
pub(super) fn parts(mut at: u64, end: u64, extent_bytes: u64) -> impl Iterator<Item = Part> {
    std::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let (index, within) = (at / extent_bytes, at % extent_bytes);
        let length = (extent_bytes - within).min(left);
        at = at.saturating_add(length);
        Some(Part { index, within: to_usize(within), length: to_usize(length) })
    })
}

impl Txn<'_> {
    pub(super) fn load_extents(&mut self, ino: InodeNo, first: u64, last: u64, ahead: bool) -> Result<()> {
        load::extents(&mut self.volume.backing, &mut self.volume.cache, ino, first, last, ahead)
    }

    /// Loads the last extent of a file that is about to grow: bytes that a crash left behind its
    /// end must be removed.
    pub(super) fn load_tail(&mut self, ino: InodeNo) -> Result<()> {
        let extent_bytes = self.volume.backing.extent_bytes();
        let inode = self.inode(ino)?;
        if !matches!(inode.content, Content::Extents) || inode.size % extent_bytes == 0 {
            return Ok(());
        }
        let tail = inode.size / extent_bytes;
        self.load_extents(ino, tail, tail, false)
    }

    /// Makes sure that garbage which the file is about to grow over is announced in the store. Then
    /// it is deleted before the grown file is stored.
    pub(super) fn settle_garbage(&mut self, ino: InodeNo, new_end: u64) -> Result<()> {
        match self.volume.cache.reaps.get(&ino) {
            Some(reap) if reap.dirty && new_end > reap.from => self.volume.commit(Durability::Buffered),
            _ => Ok(()),
        }
    }

    /// Fails if the volume's quota does not allow the charge of an inode in memory to become
    /// `after`.
    pub(super) fn check_charge(&self, ino: InodeNo, after: Used) -> Result<()> {
        let charged = self.volume.cache.node(ino).and_then(|node| node.charged);
        let before = charged.map_or(Used::default(), |bytes| Used { bytes, inodes: 1, names: 0 });
        self.check_growth(after.without(before))
    }
}

impl Writes<'_> {
    /// Moves the inline bytes of a file to an extent.
    pub(super) fn move_out(&mut self, ino: InodeNo) {
        let mut moved = Vec::new();
        self.edit(ino, |inode, _| {
            if let Content::Inline(bytes) = std::mem::replace(&mut inode.content, Content::Extents) {
                inode.extents = u64::from(!bytes.is_empty());
                moved = bytes;
            }
        });
        if !moved.is_empty() {
            self.volume.cache.edit_extent(ino, 0, |value| value.extend_from_slice(&moved));
            self.bind_new_extent(ino, 0);
        }
    }

    /// Binds a new extent to its inode's record if it lies before the file's stored end. Stored
    /// alone, it would be an extent that the stored inode does not count, or it would replace bytes
    /// that only an unstored truncation has removed. In a scrubbed file, the start of a secret in
    /// it might meet the rest of the secret in a neighbour that is still as it was.
    pub(super) fn bind_new_extent(&mut self, ino: InodeNo, index: u64) {
        if self.volume.cache.node(ino).is_some_and(|node| index < node.stored_end) {
            self.volume.cache.bind_extent(ino, index);
        }
    }

    /// Rewrites a tail in which a crash left bytes behind the file's end, if the file grows and the
    /// write does not touch the tail.
    pub(super) fn clean_tail(&mut self, ino: InodeNo, first_written: u64) {
        let extent_bytes = self.volume.backing.extent_bytes();
        let Some(node) = self.volume.cache.node(ino) else { return };
        let tail = node.inode.size / extent_bytes;
        if tail != first_written && node.extents.get(&tail).is_some_and(|extent| extent.trimmed) {
            self.volume.cache.edit_extent(ino, tail, |_| {});
        }
    }
}
