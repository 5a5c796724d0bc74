//! The bytes of files: where they lie, how they move between the inode's record and extents, and what
//! a change of size does. Each change has a half that may fail and a half that cannot.

use super::txn::{Txn, Writes};
use crate::bytes::{Sink, Source, copy_in, copy_out};
use crate::cache::{Extent, Node};
use crate::error::{Error, Result};
use crate::limits::MAX_FILE_BYTES;
use crate::load;
use crate::quota::Used;
use crate::store::Durability;
use crate::stored::record::FRAME_BYTES;
use crate::stored::record::inode::{Content, Inode};
use crate::storing::change::Change;
use crate::types::{ExtentIndex, InodeNo, Kind};
use std::collections::BTreeSet;

/// What the reading half of a change of size found out for the writing half.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resize {
    pub(crate) size: u64,
    /// Extents that the file loses.
    removed: Extents,
    /// It gives room back, and takes none.
    frees: bool,
}

impl Resize {
    /// What kind of change it is.
    pub(crate) fn change(&self) -> Change {
        if self.frees { Change::Cut } else { Change::Data }
    }
}

/// A number of a file's extents.
#[derive(Debug, Clone, Copy, Default)]
struct Extents {
    all: u64,
    /// Those of them that are the image's.
    below: u64,
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What a range of bytes has of one extent.
struct Part {
    index: u64,
    /// Where in the extent it starts, and its length, at least 1.
    within: usize,
    length: usize,
}

/// Takes the bytes from `at` to `end` apart by extents.
fn parts(mut at: u64, end: u64, extent_bytes: u64) -> impl Iterator<Item = Part> {
    std::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let (index, within) = (at / extent_bytes, at % extent_bytes);
        let length = (extent_bytes - within).min(left);
        at = at.saturating_add(length);
        Some(Part { index, within: to_usize(within), length: to_usize(length) })
    })
}

impl Txn<'_> {
    /// Gives up to `length` bytes from `offset` on to `sink`; less only where the file ends.
    pub(crate) fn read(
        &mut self,
        ino: InodeNo,
        offset: u64,
        length: usize,
        sink: &mut impl Sink,
    ) -> Result<()> {
        let extent_bytes = self.volume.backing.extent_bytes();
        let inode = self.inode(ino)?;
        let end = inode.size.min(offset.saturating_add(length as u64));
        if offset >= end {
            return Ok(());
        }
        sink.expect(to_usize(end - offset));
        if let Content::Inline(bytes) = &inode.content {
            copy_out(bytes, to_usize(offset), to_usize(end - offset), sink);
            return Ok(());
        }
        let (first, last) = (offset / extent_bytes, (end - 1) / extent_bytes);
        self.load_extents(ino, first, last, true)?;
        let Some(node) = self.volume.cache.node_mut(ino) else { return Ok(()) };
        for Part { index, within, length } in parts(offset, end, extent_bytes) {
            // Loaded above, and nothing is dropped within an operation.
            let extent =
                node.extents.get_mut(&index).ok_or(Error::damaged("extent", ino.0, "not in memory"))?;
            extent.touch();
            copy_out(extent.data(), within, length, sink);
        }
        Ok(())
    }

    /// Whether a write only puts other bytes in the place of some that lie in memory: what a database does to
    /// its pages all day. Nothing is to be loaded, counted or charged then.
    pub(crate) fn is_overwrite(&mut self, ino: InodeNo, offset: u64, length: usize) -> Result<bool> {
        let extent_bytes = self.volume.backing.extent_bytes();
        self.inode(ino)?;
        let Some(node) = self.volume.cache.node(ino) else { return Ok(false) };
        let end = offset.saturating_add(length as u64);
        if !matches!(node.inode.content, Content::Extents) || end > node.inode.size {
            return Ok(false);
        }
        Ok(parts(offset, end, extent_bytes).all(|part| {
            // What is the image's is to be charged.
            let there = |extent: &Extent| {
                !extent.hole && !extent.is_below() && part.within + part.length <= extent.data().len()
            };
            node.extents.get(&part.index).is_some_and(there)
        }))
    }

    /// Loads what a write of `length` bytes at `offset` needs to know, and checks that it may be done.
    /// Returns how many of the bytes can be written in one transaction, at least one.
    pub(crate) fn prepare_write(&mut self, ino: InodeNo, offset: u64, length: usize) -> Result<usize> {
        let end = offset
            .checked_add(length as u64)
            .filter(|end| *end <= MAX_FILE_BYTES)
            .ok_or(Error::FileTooLarge)?;
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
            // What lies in the record becomes the first extent.
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

    /// Fails unless the volume's quota allows that so much is charged for an inode in memory from now on.
    fn check_charge(&self, ino: InodeNo, after: Used) -> Result<()> {
        let charged = self.volume.cache.node(ino).and_then(|node| node.charged);
        let before = charged.map_or(Used::default(), |bytes| Used { bytes, inodes: 1, names: 0 });
        self.check_growth(after.without(before))
    }

    /// How much of a write one transaction takes: new extents below the file's end in the store, and those in the place of
    /// an image's, go with the inode that counts them, so no more of them than one apply can hold.
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
        for index in first..end {
            if !node.has_extent(index, extent_bytes) || node.is_below_extent(index) {
                if room == 0 {
                    return to_usize(index.saturating_mul(extent_bytes).saturating_sub(offset)).min(length);
                }
                room -= 1;
            }
        }
        length
    }

    /// Loads the extents that a write changes in part, and the tail that it leaves behind.
    fn load_for_write(&mut self, ino: InodeNo, offset: u64, end: u64) -> Result<()> {
        let extent_bytes = self.volume.backing.extent_bytes();
        let inode = self.inode(ino)?;
        let (size, old_end) = (inode.size, inode.size.div_ceil(extent_bytes));
        let (dense, shared) = (inode.extents >= old_end, inode.extents_below > 0);
        let (first, last) = (offset / extent_bytes, end.saturating_sub(1).max(offset) / extent_bytes);
        if shared && first < old_end {
            // Which are the image's must be known: what is written in their place is charged.
            self.load_extents(ino, first, last.min(old_end - 1), false)?;
        }
        for index in first..=last.min(old_end.saturating_sub(1)) {
            let start = index.saturating_mul(extent_bytes);
            let whole = offset <= start && end >= size.min(start.saturating_add(extent_bytes));
            // Whether a hole is filled must be known too: it is charged.
            if !(whole && dense) {
                self.load_extents(ino, index, index, false)?;
            }
        }
        if old_end <= first {
            self.load_tail(ino)?;
        }
        Ok(())
    }

    fn load_extents(&mut self, ino: InodeNo, first: u64, last: u64, ahead: bool) -> Result<()> {
        load::extents(&mut self.volume.backing, &mut self.volume.cache, ino, first, last, ahead)
    }

    /// Loads the last extent of a file that is about to grow over its end: should a crash have left
    /// bytes behind the end, they must go.
    fn load_tail(&mut self, ino: InodeNo) -> Result<()> {
        let extent_bytes = self.volume.backing.extent_bytes();
        let inode = self.inode(ino)?;
        if !matches!(inode.content, Content::Extents) || inode.size % extent_bytes == 0 {
            return Ok(());
        }
        let tail = inode.size / extent_bytes;
        self.load_extents(ino, tail, tail, false)
    }

    /// Makes sure that garbage in the store, which the file is about to grow over, is announced there:
    /// then it is known as such, and deleted before the grown file is stored.
    fn settle_garbage(&mut self, ino: InodeNo, new_end: u64) -> Result<()> {
        match self.volume.cache.reaps.get(&ino) {
            Some(reap) if reap.dirty && new_end > reap.from => self.volume.commit(Durability::Buffered),
            _ => Ok(()),
        }
    }

    /// Loads what a change of size needs to know, and checks that it may be done.
    pub(crate) fn prepare_resize(&mut self, ino: InodeNo, size: u64) -> Result<Resize> {
        if size > MAX_FILE_BYTES {
            return Err(Error::FileTooLarge);
        }
        let extent_bytes = self.volume.backing.extent_bytes();
        let inline_bytes = self.volume.backing.inline_bytes();
        self.inode(ino)?;
        let Some(node) = self.volume.cache.node(ino) else {
            return Err(Error::damaged("inode", ino.0, "not in memory"));
        };
        let (inode, is_below) = (&node.inode, node.charged.is_none());
        if inode.kind != Kind::File {
            return Err(Error::Invalid);
        }
        let (old_size, has) = (inode.size, Extents { all: inode.extents, below: inode.extents_below });
        let (old_end, new_end) = (old_size.div_ceil(extent_bytes), size.div_ceil(extent_bytes));
        let mut removed = Extents::default();
        // What is the image's comes up, cut or with a tombstone in its place.
        let mut frees = size < old_size && !is_below;
        let after = match &inode.content {
            Content::Inline(_) if size <= inline_bytes => size,
            Content::Inline(bytes) => size.min(u64::from(!bytes.is_empty()) * extent_bytes),
            _ if size >= old_size => {
                self.load_tail(ino)?;
                size.min(has.all.saturating_sub(has.below).saturating_mul(extent_bytes))
            }
            _ => {
                removed = self.extents_from(ino, new_end, old_end, has)?;
                frees &= removed.below == 0;
                let mut below = has.below.saturating_sub(removed.below);
                let (tail, within) = (size / extent_bytes, to_usize(size % extent_bytes));
                if within > 0 {
                    self.load_extents(ino, tail, tail, false)?;
                    // The tail is cut, and so the volume's own from then on.
                    let extent = self.volume.cache.node(ino).and_then(|node| node.extents.get(&tail));
                    let cut = extent.is_some_and(|extent| extent.is_below() && extent.data().len() > within);
                    frees &= !cut;
                    below = below.saturating_sub(u64::from(cut));
                }
                let own = has.all.saturating_sub(removed.all).saturating_sub(below);
                size.min(own.saturating_mul(extent_bytes))
            }
        };
        if size > old_size {
            self.settle_garbage(ino, new_end)?;
        }
        self.check_charge(ino, Used::inode(after))?;
        Ok(Resize { size, removed, frees })
    }

    /// The extents from an index on of a file that has these before its end.
    fn extents_from(&mut self, ino: InodeNo, from: u64, end: u64, has: Extents) -> Result<Extents> {
        let dense = has.all >= end;
        let all = end.saturating_sub(from);
        match has.below {
            _ if from == 0 => Ok(has),
            0 if dense => Ok(Extents { all, below: 0 }),
            below if dense && below == has.all => Ok(Extents { all, below: all }),
            _ => self.count_extents_from(ino, from),
        }
    }

    /// Counts the extents of a file from an index on: in the store, in the image or in memory.
    fn count_extents_from(&mut self, ino: InodeNo, from: u64) -> Result<Extents> {
        let volume = &mut *self.volume;
        let Some(node) = volume.cache.node(ino) else { return Ok(Extents::default()) };
        let stored_end = node.stored_end;
        let mut below = BTreeSet::new();
        let mut found: BTreeSet<u64> = node
            .extents
            .iter()
            .filter(|(index, extent)| **index >= from && !extent.hole)
            .map(|(index, _)| *index)
            .collect();
        let mut next = from;
        while next < stored_end {
            let (mut start, mut end) = (Vec::new(), Vec::new());
            volume.backing.keys.extent(ino, ExtentIndex(next), &mut start);
            volume.backing.keys.extent(ino, ExtentIndex(stored_end), &mut end);
            let page = volume.backing.scan_layers(
                &start,
                &end,
                volume.backing.page_entries(),
                volume.backing.page_bytes(),
            )?;
            if page.entries.is_empty() {
                break;
            }
            for (place, entry) in page.entries.iter().enumerate() {
                let index = volume.backing.keys.extent_index(ino, &entry.key);
                let index = index.ok_or(Error::damaged("extent", ino.0, "malformed key"))?;
                let gone = volume.cache.node(ino).is_some_and(|node| node.doomed.contains(&index));
                if !gone && !volume.cache.is_garbage(ino, index) {
                    // What is in memory already, and no hole, may be newer than the image's.
                    let known = !found.insert(index);
                    let is_below = |node: &Node| !known || node.is_below_extent(index);
                    if page.is_below(place) && volume.cache.node(ino).is_some_and(is_below) {
                        below.insert(index);
                    }
                }
                next = index.saturating_add(1);
            }
        }
        Ok(Extents { all: found.len() as u64, below: below.len() as u64 })
    }
}

impl Writes<'_> {
    /// Writes `length` bytes, for which [`Txn::prepare_write`] was asked.
    pub(crate) fn write_bytes(&mut self, ino: InodeNo, offset: u64, length: usize, source: &mut impl Source) {
        if length == 0 {
            return;
        }
        let (extent_bytes, inline_bytes) =
            (self.volume.backing.extent_bytes(), self.volume.backing.inline_bytes());
        let end = offset.saturating_add(length as u64);
        let Some(node) = self.volume.cache.node(ino) else { return };
        let inline = matches!(node.inode.content, Content::Inline(_));
        if inline && node.inode.size.max(end) <= inline_bytes {
            self.edit(ino, |inode, now| {
                if let Content::Inline(bytes) = &mut inode.content {
                    // Zeros behind the bytes are not kept; they are part of the file all the same.
                    copy_in(bytes, to_usize(offset), length, source);
                }
                inode.size = inode.size.max(end);
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
            if !there {
                self.bind_new_extent(ino, index);
            }
        }
        self.edit(ino, |inode, now| {
            inode.extents = inode.extents.saturating_add(made);
            inode.size = inode.size.max(end);
            (inode.mtime, inode.ctime) = (now, now);
        });
    }

    /// Writes bytes over others, as [`Txn::is_overwrite`] has found possible.
    pub(crate) fn overwrite(&mut self, ino: InodeNo, offset: u64, length: usize, source: &mut impl Source) {
        let end = offset.saturating_add(length as u64);
        for Part { index, within, length } in parts(offset, end, self.volume.backing.extent_bytes()) {
            let place = |value: &mut Vec<u8>| copy_in(value, FRAME_BYTES + within, length, source);
            self.volume.cache.edit_extent(ino, index, place);
        }
        self.edit(ino, |inode, now| (inode.mtime, inode.ctime) = (now, now));
    }

    /// Moves the bytes of a small file from its record to an extent.
    fn move_out(&mut self, ino: InodeNo) {
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

    /// Binds a new extent to its inode's record if it lies before the file's end in the store: alone it
    /// would be an extent that the inode there does not count, or bytes in place of some that a
    /// truncation cut off which is not stored.
    fn bind_new_extent(&mut self, ino: InodeNo, index: u64) {
        if self.volume.cache.node(ino).is_some_and(|node| index < node.stored_end) {
            self.volume.cache.bind_extent(ino, index);
        }
    }

    /// Rewrites a tail in which a crash left bytes behind the file's end, if the file grows over it in
    /// any other way than by a write to it.
    fn clean_tail(&mut self, ino: InodeNo, first_written: u64) {
        let extent_bytes = self.volume.backing.extent_bytes();
        let Some(node) = self.volume.cache.node(ino) else { return };
        let tail = node.inode.size / extent_bytes;
        if tail != first_written && node.extents.get(&tail).is_some_and(|extent| extent.trimmed) {
            self.volume.cache.edit_extent(ino, tail, |_| {});
        }
    }

    /// Changes the size as [`Txn::prepare_resize`] has found possible.
    pub(crate) fn resize(&mut self, ino: InodeNo, resize: Resize) {
        let inline_bytes = self.volume.backing.inline_bytes();
        let Resize { size, removed, .. } = resize;
        let Some(node) = self.volume.cache.node(ino) else { return };
        let inode: &Inode = &node.inode;
        let (old_size, inline) = (inode.size, matches!(inode.content, Content::Inline(_)));
        if inline && size > inline_bytes {
            self.move_out(ino);
        } else if !inline && size < old_size {
            self.cut(ino, size);
        } else if !inline && size > old_size {
            self.clean_tail(ino, u64::MAX);
        }
        self.edit(ino, |inode, now| {
            if let Content::Inline(bytes) = &mut inode.content {
                bytes.truncate(to_usize(size));
            } else if size == 0 {
                inode.content = Content::Inline(Vec::new());
            }
            inode.extents = inode.extents.saturating_sub(removed.all);
            inode.extents_below = inode.extents_below.saturating_sub(removed.below);
            debug_assert!(size > 0 || (inode.extents, inode.extents_below) == (0, 0) || inline);
            inode.size = size;
            (inode.mtime, inode.ctime) = (now, now);
        });
    }

    /// Drops the extents behind a new, smaller size and cuts the last one that stays.
    fn cut(&mut self, ino: InodeNo, size: u64) {
        let extent_bytes = self.volume.backing.extent_bytes();
        let new_end = size.div_ceil(extent_bytes);
        let direct = self.volume.room.max_direct_deletes();
        let cache = &mut self.volume.cache;
        cache.drop_extents_from(ino, new_end);
        let Some(node) = cache.node_mut(ino) else { return };
        let stored_end = node.stored_end;
        if stored_end > new_end {
            if stored_end - new_end <= direct {
                cache.doom(ino, new_end..stored_end);
            } else {
                node.stored_end = new_end;
                cache.add_reap(ino, new_end, stored_end);
            }
        }
        let (tail, within) = (size / extent_bytes, to_usize(size % extent_bytes));
        let Some(node) = cache.node(ino) else { return };
        if within > 0
            && node.extents.get(&tail).is_some_and(|extent| !extent.hole && extent.data().len() > within)
        {
            cache.edit_extent(ino, tail, |value| value.truncate(FRAME_BYTES + within));
            cache.bind_extent(ino, tail);
        }
    }
}
