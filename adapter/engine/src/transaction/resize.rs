//! Changes the sizes of files: first the checks, then the change.

use super::extents::to_usize;
use super::txn::{Txn, Writes};
use crate::cache::Node;
use crate::error::{Error, Result};
use crate::quota::Used;
use crate::stored::record::FRAME_BYTES;
use crate::stored::record::inode::{Content, Inode};
use crate::storing::change::Change;
use crate::types::{ExtentIndex, InodeNo, Kind};
use std::collections::BTreeSet;

/// The plan of a change of size, made by the reading half for the writing half.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resize {
    pub(crate) size: u64,
    /// Extents that the file loses.
    removed: Extents,
    /// It frees room and takes none.
    frees: bool,
}

impl Resize {
    /// The kind of the change.
    pub(crate) fn change(&self) -> Change {
        if self.frees { Change::Cut } else { Change::Data }
    }
}

/// A count of extents of a file.
#[derive(Debug, Clone, Copy, Default)]
struct Extents {
    all: u64,
    /// Those of them that are the image's.
    below: u64,
}

impl Txn<'_> {
    /// Plans a change of size: loads what it needs, and checks that it is allowed.
    pub(crate) fn prepare_resize(&mut self, ino: InodeNo, size: u64) -> Result<Resize> {
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
        // A file that is larger already may shrink to any size.
        if size > inode.size && size > self.volume.max_file_bytes() {
            return Err(Error::FileTooLarge);
        }
        let (old_size, has) = (inode.size, Extents { all: inode.extents, below: inode.extents_below });
        let (old_end, new_end) = (old_size.div_ceil(extent_bytes), size.div_ceil(extent_bytes));
        let mut removed = Extents::default();
        // The image's file is copied up, cut or with tombstones, which takes room.
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
                    // Cutting the tail makes it the volume's own.
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

    /// Counts the extents from `from` on of a file that ends at `end` and has `has` in all.
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

    /// Counts the extents of a file from an index on, in the store, in the image and in memory.
    fn count_extents_from(&mut self, ino: InodeNo, from: u64) -> Result<Extents> {
        let (all, below) = self.find_extents_from(ino, from)?;
        Ok(Extents { all: all.len() as u64, below: below.len() as u64 })
    }

    /// Finds the extents of a file from an index on, and those of them that are the image's.
    pub(super) fn find_extents_from(
        &mut self,
        ino: InodeNo,
        from: u64,
    ) -> Result<(BTreeSet<u64>, BTreeSet<u64>)> {
        let volume = &mut *self.volume;
        let Some(node) = volume.cache.node(ino) else { return Ok(Default::default()) };
        let stored_end = node.stored_end;
        let mut below = BTreeSet::new();
        let mut found = BTreeSet::new();
        let known = node.extents.iter().filter(|(index, extent)| **index >= from && !extent.hole);
        // Not collected: that would sort, with much code.
        found.extend(known.map(|(index, _)| *index));
        let mut next = from;
        while next < stored_end {
            let (mut start, mut end) = (Vec::new(), Vec::new());
            volume.backing.keys.extent(ino, ExtentIndex(next), &mut start);
            volume.backing.keys.extent(ino, ExtentIndex(stored_end), &mut end);
            let page = volume.backing.scan_extents(
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
                    // An extent in memory may be newer than the image's.
                    let known = !found.insert(index);
                    let is_below = |node: &Node| !known || node.is_below_extent(index);
                    if page.is_below(place) && volume.cache.node(ino).is_some_and(is_below) {
                        below.insert(index);
                    }
                }
                next = index.saturating_add(1);
            }
        }
        Ok((found, below))
    }
}

impl Writes<'_> {
    /// Changes the size as planned by [`Txn::prepare_resize`].
    pub(crate) fn resize(&mut self, ino: InodeNo, resize: Resize) {
        let inline_bytes = self.volume.backing.inline_bytes();
        let Resize { size, removed, .. } = resize;
        let policy = self.volume.scrubbing_number();
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
            inode.clean_of = if size == 0 { policy } else { inode.clean_of };
            (inode.mtime, inode.ctime) = (now, now);
        });
    }

    /// Drops the extents behind a new, smaller size, and cuts the last one.
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
