//! Takes the bytes of files over.

use super::bytes::{MAX_EXTENTS_HELD, read_extents};
use super::objects::{Id, Object};
use super::sides::Three;
use super::writer::Writer;
use crate::error::Result;
use crate::stored::key::tag;
use crate::stored::record::framed;
use crate::stored::record::inode::Inode;
use crate::stored::record::reap::{self, Reap};
use crate::types::{ExtentIndex, InodeNo, Kind};
use crate::volumes::view::without_zeros;
use std::collections::{BTreeMap, BTreeSet};

impl Writer<'_> {
    /// Reads the garbage that is announced here of files that lose extents, or get other ones. Of those that
    /// have none before and after, what is announced stays as it is.
    pub(super) fn read_reaps(&mut self) -> Result<BTreeMap<Id, Reap>> {
        let extent_bytes = self.sides.extent_bytes();
        let has_extents =
            |inode: &Option<Inode>| inode.as_ref().is_some_and(|inode| inode.extents_end(extent_bytes) > 0);
        let loses = |id: &Id, object: &Object| {
            let Three { from, into, .. } = &object.inodes;
            into.as_ref().is_some_and(|inode| inode.kind == Kind::File)
                && (!object.is_there(*id) || object.takes_bytes())
                && (has_extents(from) || has_extents(into))
        };
        let ids: Vec<Id> =
            self.objects.all.iter().filter(|(id, object)| loses(id, object)).map(|(id, _)| *id).collect();
        let key = |id: &Id| {
            let mut key = Vec::new();
            self.sides.into.keys.reap(self.objects.ino_of(*id).0, &mut key);
            key
        };
        let keys: Vec<Vec<u8>> = ids.iter().map(key).collect();
        let objects = self.objects;
        let found = self.sides.into.read_all(self.store, &keys, |at, key, value| {
            let ino = ids.get(at).map_or(InodeNo(0), |id| objects.ino_of(*id).0);
            reap::decode(key, ino, value)
        })?;
        Ok(ids.into_iter().zip(found).filter_map(|(id, found)| Some((id, found?.0))).collect())
    }

    /// Announces as garbage what lies behind the end of a file that had `before` extents.
    pub(super) fn put_reap(&mut self, ino: InodeNo, end: u64, before: u64, reap: Option<Reap>) -> Result<()> {
        let to = before.max(reap.map_or(0, |reap| reap.to));
        let mut key = Vec::new();
        self.sides.into.keys.reap(ino, &mut key);
        let after = (end < to).then_some(Reap { ino, from: end, to });
        match after {
            Some(reap) => self.put(key, |key, value| reap::encode(reap, key, value)),
            None if reap.is_some() => self.delete(key),
            None => Ok(()),
        }
    }

    /// Copies extents to an inode that has none.
    pub(super) fn copy_extents(
        &mut self,
        from_ino: InodeNo,
        size: u64,
        ino: InodeNo,
        indices: &[u64],
        dry: bool,
    ) -> Result<()> {
        if dry {
            return Ok(());
        }
        for part in indices.chunks(MAX_EXTENTS_HELD) {
            let found = read_extents(self.store, &mut self.sides.from, from_ino, size, part)?;
            for (index, extent) in part.iter().zip(found) {
                if let Some((bytes, _)) = extent {
                    self.put_extent(ino, *index, &bytes)?;
                }
            }
        }
        Ok(())
    }

    fn put_extent(&mut self, ino: InodeNo, index: u64, bytes: &[u8]) -> Result<()> {
        self.done.copied_bytes = self.done.copied_bytes.saturating_add(bytes.len() as u64);
        let mut key = Vec::new();
        self.sides.into.keys.extent(ino, ExtentIndex(index), &mut key);
        self.put(key, |key, value| {
            framed(key, tag::EXTENT, value, |out| out.extend_from_slice(without_zeros(bytes)));
        })
    }

    /// Makes the extents of a file those that it has there. Only those differ that are in layers that
    /// are not common.
    pub(super) fn take_extents(
        &mut self,
        ino: InodeNo,
        there: &Inode,
        from_ino: InodeNo,
        inode: &mut Inode,
        dry: bool,
    ) -> Result<()> {
        let end = there.extents_end(self.sides.extent_bytes());
        let mut indices: BTreeSet<u64> = self.sides.in_from.extents_before(from_ino, end).collect();
        indices.extend(self.sides.in_into.extents_before(ino, end));
        if dry {
            return Ok(());
        }
        let indices: Vec<u64> = indices.into_iter().collect();
        for part in indices.chunks(MAX_EXTENTS_HELD) {
            let theirs = read_extents(self.store, &mut self.sides.from, from_ino, there.size, part)?;
            let ours = read_extents(self.store, &mut self.sides.into, ino, u64::MAX, part)?;
            for ((index, theirs), ours) in part.iter().zip(theirs).zip(ours) {
                let was_image_s = theirs.as_ref().is_some_and(|(_, is_below)| *is_below);
                let stays_image_s = match (theirs, ours) {
                    (None, None) => false,
                    (None, Some(_)) => {
                        let mut key = Vec::new();
                        self.sides.into.keys.extent(ino, ExtentIndex(*index), &mut key);
                        self.delete(key)?;
                        false
                    }
                    (Some((bytes, _)), Some((same, is_below))) if bytes == same => is_below,
                    (Some((bytes, _)), _) => {
                        self.put_extent(ino, *index, &bytes)?;
                        false
                    }
                };
                if was_image_s && !stays_image_s {
                    inode.extents_below = inode.extents_below.saturating_sub(1);
                }
            }
        }
        Ok(())
    }
}
