//! Writes the bytes of files: first the checks, then the change.

use super::extents::{Part, parts, to_usize};
use super::txn::{Txn, Writes};
use crate::bytes::{Source, copy_in};
use crate::cache::Extent;
use crate::error::{Error, Result};
use crate::limits::MAX_FILE_BYTES;
use crate::quota::Used;
use crate::stored::record::FRAME_BYTES;
use crate::stored::record::inode::Content;
use crate::types::InodeNo;

impl Txn<'_> {
    /// Returns how many bytes of a write a limit for files allows: as on Linux, one that begins
    /// below the limit is cut short there.
    pub(crate) fn within_file_limit(limit: u64, offset: u64, length: usize) -> Result<usize> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= MAX_FILE_BYTES);
        let end = end.ok_or(Error::FileTooLarge)?;
        match limit.checked_sub(offset) {
            _ if end <= limit => Ok(length),
            Some(room @ 1..) => Ok(to_usize(room)),
            _ => Err(Error::FileTooLarge),
        }
    }

    /// Returns whether a write only replaces bytes that are in memory, as databases do to their
    /// pages. It then has nothing to load, count or charge. Not so in a scrubbed file, whose
    /// extents must go to the store together.
    pub(crate) fn is_overwrite(&mut self, ino: InodeNo, offset: u64, length: usize) -> Result<bool> {
        let extent_bytes = self.volume.backing.extent_bytes();
        self.inode(ino)?;
        if self.volume.scrubs(ino) {
            return Ok(false);
        }
        let Some(node) = self.volume.cache.node(ino) else { return Ok(false) };
        let end = offset.saturating_add(length as u64);
        if !matches!(node.inode.content, Content::Extents) || end > node.inode.size {
            return Ok(false);
        }
        Ok(parts(offset, end, extent_bytes).all(|part| {
            // An extent of the image is copied up, which is charged.
            let there = |extent: &Extent| {
                !extent.hole && !extent.is_below() && part.within + part.length <= extent.data().len()
            };
            node.extents.get(&part.index).is_some_and(there)
        }))
    }

    /// Prepares a write of `length` bytes at `offset`: loads what it needs, and checks that it is
    /// allowed. Returns how many of the bytes one transaction takes, at least one.
    pub(crate) fn prepare_write(&mut self, ino: InodeNo, offset: u64, length: usize) -> Result<usize> {
        let end = offset.saturating_add(length as u64);
        let extent_bytes = self.volume.backing.extent_bytes();
        let inline_bytes = self.volume.backing.inline_bytes();
        let inode = self.inode(ino)?;
        let (size, extents, below) = (inode.size, inode.extents, inode.extents_below);
        let new_size = size.max(end);
        let first = offset / extent_bytes;
        let last = if length == 0 { first } else { (end - 1) / extent_bytes };
        let own = match &inode.content {
            Content::Inline(_) if new_size <= inline_bytes => {
                self.check_charge(ino, Used::inode(new_size))?;
                return Ok(length);
            }
            // The inline bytes become the first extent.
            Content::Inline(bytes) => {
                let own = u64::from(!bytes.is_empty() && first > 0);
                own + (last - first + 1)
            }
            _ => {
                self.load_for_write(ino, offset, end)?;
                let node = self.volume.cache.node(ino);
                let has = |index: &u64| node.is_some_and(|node| node.has_extent(*index, extent_bytes));
                let made = (first..=last).filter(|index| !has(index)).count() as u64;
                let is_below = |index: &u64| node.is_some_and(|node| node.is_below_extent(*index));
                let taken = (first..=last).filter(is_below).count() as u64;
                extents.saturating_add(made).saturating_sub(below.saturating_sub(taken))
            }
        };
        self.check_charge(ino, Used::inode(new_size.min(own.saturating_mul(extent_bytes))))?;
        self.settle_garbage(ino, last.saturating_add(1))?;
        Ok(self.bound_length(ino, offset, length))
    }

    /// Returns how much of a write one transaction takes. New extents before the file's stored end,
    /// those that replace an image's, and all of a scrubbed file must be stored together with their
    /// inode: one apply bounds their number.
    fn bound_length(&self, ino: InodeNo, offset: u64, length: usize) -> usize {
        let extent_bytes = self.volume.backing.extent_bytes();
        let Some(node) = self.volume.cache.node(ino) else { return length };
        let first = offset / extent_bytes;
        let end = offset.saturating_add(length as u64).div_ceil(extent_bytes).min(node.stored_end);
        if end <= first {
            return length;
        }
        let mut room = self.volume.room.bound_extents(&self.volume.cache.dirty);
        if end - first <= room {
            return length;
        }
        let scrubs = self.volume.scrubs(ino);
        for index in first..end {
            if scrubs || !node.has_extent(index, extent_bytes) || node.is_below_extent(index) {
                if room == 0 {
                    return to_usize(index.saturating_mul(extent_bytes).saturating_sub(offset)).min(length);
                }
                room -= 1;
            }
        }
        length
    }

    /// Loads the extents that a write changes in part, and the tail if the file grows behind it.
    fn load_for_write(&mut self, ino: InodeNo, offset: u64, end: u64) -> Result<()> {
        let extent_bytes = self.volume.backing.extent_bytes();
        let inode = self.inode(ino)?;
        let (size, old_end) = (inode.size, inode.size.div_ceil(extent_bytes));
        let (dense, shared) = (inode.extents >= old_end, inode.extents_below > 0);
        let (first, last) = (offset / extent_bytes, end.saturating_sub(1).max(offset) / extent_bytes);
        if shared && first < old_end {
            // It must be known which extents are the image's: replacing them is charged.
            self.load_extents(ino, first, last.min(old_end - 1), false)?;
        }
        for index in first..=last.min(old_end.saturating_sub(1)) {
            let start = index.saturating_mul(extent_bytes);
            let whole = offset <= start && end >= size.min(start.saturating_add(extent_bytes));
            // It must be known which are holes: filling them is charged.
            if !(whole && dense) {
                self.load_extents(ino, index, index, false)?;
            }
        }
        if old_end <= first {
            self.load_tail(ino)?;
        }
        Ok(())
    }
}

impl Writes<'_> {
    /// Writes `length` bytes, as prepared by [`Txn::prepare_write`].
    pub(crate) fn write_bytes(&mut self, ino: InodeNo, offset: u64, length: usize, source: &mut impl Source) {
        if length == 0 {
            return;
        }
        let (extent_bytes, inline_bytes) =
            (self.volume.backing.extent_bytes(), self.volume.backing.inline_bytes());
        let end = offset.saturating_add(length as u64);
        let Some(node) = self.volume.cache.node(ino) else { return };
        let inline = matches!(node.inode.content, Content::Inline(_));
        let is_small = inline && node.inode.size.max(end) <= inline_bytes;
        let scrubs = self.volume.scrubs(ino);
        if is_small {
            self.edit(ino, |inode, now| {
                if let Content::Inline(bytes) = &mut inode.content {
                    // Trailing zeros of the file need not be kept.
                    copy_in(bytes, to_usize(offset), length, source);
                }
                inode.size = inode.size.max(end);
                inode.clean_of = if scrubs { inode.clean_of } else { 0 };
                (inode.mtime, inode.ctime) = (now, now);
            });
            return;
        }
        if inline {
            self.move_out(ino);
        }
        self.clean_tail(ino, offset / extent_bytes);
        let mut made = 0;
        for Part { index, within, length } in parts(offset, end, extent_bytes) {
            let there = self.volume.cache.node(ino).is_some_and(|node| node.has_extent(index, extent_bytes));
            made += u64::from(!there);
            self.volume.cache.edit_extent(ino, index, |value| {
                if length as u64 == extent_bytes {
                    value.reserve_exact((FRAME_BYTES + length).saturating_sub(value.len()));
                }
                copy_in(value, FRAME_BYTES + within, length, source);
            });
            if !there || scrubs {
                self.bind_new_extent(ino, index);
            }
        }
        self.edit(ino, |inode, now| {
            inode.extents = inode.extents.saturating_add(made);
            inode.size = inode.size.max(end);
            inode.clean_of = if scrubs { inode.clean_of } else { 0 };
            (inode.mtime, inode.ctime) = (now, now);
        });
    }

    /// Overwrites bytes in memory, after [`Txn::is_overwrite`] said that this is all.
    pub(crate) fn overwrite(&mut self, ino: InodeNo, offset: u64, length: usize, source: &mut impl Source) {
        let end = offset.saturating_add(length as u64);
        for Part { index, within, length } in parts(offset, end, self.volume.backing.extent_bytes()) {
            let place = |value: &mut Vec<u8>| copy_in(value, FRAME_BYTES + within, length, source);
            self.volume.cache.edit_extent(ino, index, place);
        }
        // Nobody has looked for secrets in these bytes.
        self.edit(ino, |inode, now| (inode.clean_of, inode.mtime, inode.ctime) = (0, now, now));
    }
}
