//! Parts of scrubbing: bytes beside a write, files to look through, and small files that are copied
//! with their inodes.

use super::extents::{Part, parts, to_usize};
use super::txn::{Txn, Writes};
use crate::bytes::{Sink, copy_out};
use crate::error::{Error, Result};
use crate::place::Place;
use crate::stored::record::inode::Content;
use crate::types::InodeNo;
use crate::volume::Volume;
use std::borrow::Cow;
use std::ops::Range;

/// The bytes around a write, without secrets.
pub(crate) struct Masked {
    bytes: Vec<u8>,
    /// How many of them are before those that are to be written.
    before: usize,
    /// Those to be written, and their neighbours as far as they were masked.
    place: Range<usize>,
}

impl Masked {
    /// Those that were to be written, `length` of them.
    pub(crate) fn written(&self, length: usize) -> &[u8] {
        self.bytes.get(self.before..self.before.saturating_add(length)).unwrap_or_default()
    }

    /// Those to be written together with the neighbours that are masked with them, and how many
    /// those before are.
    pub(crate) fn with_neighbours(&self) -> (&[u8], usize) {
        (self.bytes.get(self.place.clone()).unwrap_or_default(), self.before - self.place.start)
    }
}

impl Volume {
    /// Returns whether a file in memory is scrubbed.
    #[inline(always)]
    pub(crate) fn scrubs(&self, ino: InodeNo) -> bool {
        self.scrubbing.is_some() && self.is_in_scope(ino)
    }

    #[cold]
    fn is_in_scope(&self, ino: InodeNo) -> bool {
        self.scrubbing.as_ref().is_some_and(|scrubbing| !scrubbing.has_patterns())
            || self.cache.node(ino).is_some_and(|node| node.scrubbed)
    }

    /// Notes the place at which a file in memory was found: it decides whether the file is
    /// scrubbed, for all who have it open.
    #[inline(always)]
    pub(crate) fn note_place(&mut self, ino: InodeNo, place: Place) {
        if self.scrubbing.is_some() {
            self.note_scrubbed(ino, self.scrubs_at(place));
        }
    }

    /// A file of several names, which are older than the policy, is scrubbed if one of them that
    /// was used is.
    #[cold]
    fn note_scrubbed(&mut self, ino: InodeNo, scrubbed: bool) {
        if let Some(node) = self.cache.node_mut(ino) {
            node.scrubbed = scrubbed || (node.scrubbed && node.inode.nlink != 1);
        }
    }

    /// Returns whether a file in memory must be looked through before it has a scrubbed name.
    pub(crate) fn is_unclean(&self, ino: InodeNo) -> bool {
        self.scrubbing.is_some()
            && self.cache.node(ino).is_some_and(|node| node.inode.clean_of != self.scrubbing_number())
    }

    /// The name under which the volume has what a guest calls `name`.
    #[inline(always)]
    pub(crate) fn masked_name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match &self.scrubbing {
            None => Cow::Borrowed(name),
            Some(scrubbing) => scrubbing.secrets().mask_text(name),
        }
    }

    /// The number of the volume's policy of scrubbing, 0 without one.
    pub(crate) fn scrubbing_number(&self) -> u16 {
        self.scrubbing.as_ref().map_or(0, |scrubbing| scrubbing.number())
    }
}

impl Txn<'_> {
    /// Appends bytes of a file as [`Txn::read`] gives them, without reading ahead.
    pub(crate) fn peek(&mut self, ino: InodeNo, from: u64, length: usize, out: &mut Vec<u8>) -> Result<()> {
        let extent_bytes = self.volume.backing.extent_bytes();
        let inode = self.inode(ino)?;
        let end = inode.size.min(from.saturating_add(length as u64));
        if from >= end {
            return Ok(());
        }
        out.expect(to_usize(end - from));
        if let Content::Inline(bytes) = &inode.content {
            copy_out(bytes, to_usize(from), to_usize(end - from), out);
            return Ok(());
        }
        self.load_extents(ino, from / extent_bytes, (end - 1) / extent_bytes, false)?;
        let node = self.volume.cache.node(ino);
        for Part { index, within, length } in parts(from, end, extent_bytes) {
            let extent = node.and_then(|node| node.extents.get(&index));
            let extent = extent.ok_or(Error::damaged("extent", ino.0, "not in memory"))?;
            copy_out(extent.data(), within, length, out);
        }
        Ok(())
    }

    /// Returns the bytes that a write of `data` at `offset` leaves there, without secrets: with as
    /// many bytes of the file on either side as a secret may have.
    pub(crate) fn mask_write(&mut self, ino: InodeNo, offset: u64, data: &[u8]) -> Result<Masked> {
        let reach = self.volume.scrubbing.as_ref().map_or(0, |scrubbing| scrubbing.secrets().reach());
        let from = offset.saturating_sub(reach as u64);
        let mut bytes = Vec::with_capacity(data.len().saturating_add(2 * reach));
        // A write behind the end leaves zeros before it, which no secret has.
        if offset <= self.inode(ino)?.size {
            self.peek(ino, from, to_usize(offset - from), &mut bytes)?;
        }
        let mut place = bytes.len()..bytes.len().saturating_add(data.len());
        bytes.extend_from_slice(data);
        self.peek(ino, offset.saturating_add(data.len() as u64), reach, &mut bytes)?;
        let before = place.start;
        let found = self.volume.scrubbing.as_ref().and_then(|all| all.secrets().mask(&mut bytes));
        if let Some(found) = found {
            place = place.start.min(found.start)..place.end.max(found.end);
        }
        Ok(Masked { bytes, before, place })
    }

    /// Returns the parts of a file that are no holes, in order. Parts that touch are one.
    ///
    /// # Cost
    /// Nothing for a file without holes, else `scan`s over its extents.
    pub(crate) fn stretches(&mut self, ino: InodeNo) -> Result<Vec<Range<u64>>> {
        let extent_bytes = self.volume.backing.extent_bytes();
        let inode = self.inode(ino)?;
        let (size, all) = (inode.size, inode.extents);
        if matches!(inode.content, Content::Inline(_)) || all >= inode.extents_end(extent_bytes) {
            return Ok(std::iter::once(0..size).collect());
        }
        let mut stretches: Vec<Range<u64>> = Vec::new();
        for index in self.find_extents_from(ino, 0)?.0 {
            let start = index.saturating_mul(extent_bytes).min(size);
            let end = start.saturating_add(extent_bytes).min(size);
            match stretches.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => stretches.push(start..end),
            }
        }
        Ok(stretches)
    }
}

impl Writes<'_> {
    /// Masks the secrets of a small file that is older than the policy, or the image's: its bytes
    /// are about to be stored with its inode.
    #[cold]
    pub(super) fn mask_inline(&mut self, ino: InodeNo) {
        let Some(scrubbing) = &self.volume.scrubbing else { return };
        if !self.volume.scrubs(ino) {
            return;
        }
        if let Some(node) = self.volume.cache.node_mut(ino)
            && node.inode.clean_of != scrubbing.number()
            && let Content::Inline(bytes) = &mut node.inode.content
        {
            scrubbing.secrets().mask(bytes);
            node.inode.clean_of = scrubbing.number();
        }
    }
}
