//! Writes what a merge makes of the volume that is merged into.

use super::names::{Counts, count_in};
use super::objects::{Choice, Id, Object};
use super::told::Merged;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::reap::Reap;
use crate::types::{InodeNo, Kind, Timestamp};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

impl Writer<'_> {
    /// Writes everything. Breaks if the volumes have changed meanwhile. With `dry`, nothing gets to the
    /// store.
    pub(super) fn run(mut self, dry: bool) -> Result<ControlFlow<(), Merged>> {
        self.give_numbers()?;
        let counts = self.count();
        let reaps = self.read_reaps()?;
        self.put_names()?;
        let objects = self.objects;
        for (id, object) in &objects.all {
            let counts = counts.get(id).copied().unwrap_or_default();
            let reap = reaps.get(id).copied();
            match (object.is_there(*id), &object.inodes.into) {
                (true, Some(here)) => self.change(*id, object, here, counts, reap, dry)?,
                (true, None) => self.add(*id, object, counts, dry)?,
                (false, Some(here)) => self.remove(*id, object, here, reap)?,
                (false, None) => {}
            }
            if self.is_late {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.check_quota()?;
        if self.done.is_nothing() || dry {
            return Ok(ControlFlow::Continue(self.done));
        }
        let used = self.superblock.used().and(self.more).without(self.less);
        self.superblock.set_used(used);
        let from = self.sides.from.volume.clone();
        let finished = self.output.finish(self.store, &from, &mut self.sides.into, self.superblock)?;
        Ok(match finished {
            ControlFlow::Break(()) => ControlFlow::Break(()),
            ControlFlow::Continue(()) => ControlFlow::Continue(self.done),
        })
    }

    fn give_numbers(&mut self) -> Result<()> {
        for (id, object) in &self.objects.all {
            if !object.is_there(*id) {
                continue;
            }
            if object.inodes.into.is_none() {
                let next = &mut self.superblock.next_inode;
                // The last inode number is never given out: it ends ranges of keys.
                if *next >= u64::MAX - 1 {
                    return Err(Error::NoSpace);
                }
                self.numbers.insert(*id, InodeNo(*next));
                *next += 1;
            }
            for slot in object.names() {
                self.names.insert(slot.clone(), *id);
            }
        }
        Ok(())
    }

    fn put_inode(&mut self, ino: InodeNo, inode: &Inode) -> Result<()> {
        self.more = self.more.and(inode.used(self.sides.extent_bytes()));
        let mut key = Vec::new();
        self.sides.into.keys.inode(ino, &mut key);
        self.put(key, |key, value| inode.encode(key, value))
    }

    /// Changes an object that is here.
    fn change(
        &mut self,
        id: Id,
        object: &Object,
        here: &Inode,
        counts: Counts,
        reap: Option<Reap>,
        dry: bool,
    ) -> Result<()> {
        let mut inode = here.clone();
        let takes_bytes = object.takes_bytes() && here.kind != Kind::Directory;
        let there = object.inodes.from.as_ref();
        if let (true, Some(there)) = (takes_bytes, there) {
            inode.content = there.content.clone();
            (inode.size, inode.extents) = (there.size, there.extents);
            inode.extents_below = there.extents_below;
            (inode.atime, inode.mtime) = (there.atime, there.mtime);
            inode.clean_of = if self.has_same_marks { there.clean_of } else { 0 };
            self.check_size(there.size)?;
        } else if let Some(there) = there {
            (inode.atime, inode.mtime) = times(object, here, there);
        }
        count_in(&mut inode, counts)?;
        if let Some(parent) = self.parent(object, counts) {
            inode.parent = parent;
        }
        let has_other_times = (inode.atime, inode.mtime) != (here.atime, here.mtime);
        if !takes_bytes && !counts.is_touched && !has_other_times {
            return Ok(());
        }
        let (other_generation, other_ctime) =
            there.map_or((0, here.ctime), |there| (there.generation, there.ctime));
        inode.generation = here.generation.max(other_generation).saturating_add(1);
        inode.ctime = here.ctime.max(other_ctime);
        self.done.changed += 1;
        let ino = self.objects.ino_of(id).0;
        if let (true, Some(there), Kind::File) = (takes_bytes, there, here.kind) {
            self.take_extents(ino, there, object.from_ino.unwrap_or(ino), &mut inode, dry)?;
            let extent_bytes = self.sides.extent_bytes();
            let (end, before) = (there.extents_end(extent_bytes), here.extents_end(extent_bytes));
            self.put_reap(ino, end, before, reap)?;
        }
        if object.is_charged {
            self.less = self.less.and(here.used(self.sides.extent_bytes()));
        }
        self.put_inode(ino, &inode)
    }

    /// The new parent of a directory, if it has another one.
    fn parent(&self, object: &Object, counts: Counts) -> Option<InodeNo> {
        if object.kind() != Some(Kind::Directory) || counts.names.0 == 0 {
            return None;
        }
        object.names().first().map(|slot| self.number(slot.dir))
    }

    /// Adds an object that is not here.
    fn add(&mut self, id: Id, object: &Object, counts: Counts, dry: bool) -> Result<()> {
        let Some(there) = &object.inodes.from else { return Ok(()) };
        let (ino, from_ino) = (self.number(id), object.from_ino.unwrap_or(InodeNo(0)));
        let mut inode = there.clone();
        inode.extents_below = 0;
        inode.generation = inode.generation.max(1);
        if !self.has_same_marks {
            inode.clean_of = 0;
        }
        match inode.kind {
            Kind::Directory => (inode.nlink, inode.size) = (2, 0),
            _ => inode.nlink = 0,
        }
        count_in(&mut inode, counts)?;
        if let Some(parent) = self.parent(object, counts) {
            inode.parent = parent;
        }
        self.check_size(if inode.kind == Kind::File { inode.size } else { 0 })?;
        self.done.added += 1;
        if inode.content == Content::Extents {
            let end = there.extents_end(self.sides.extent_bytes());
            let indices = match id {
                Id::Shared(_) => {
                    let mut indices = BTreeSet::new();
                    self.sides.from.extents(self.store, from_ino, end, &mut indices)?;
                    indices.into_iter().collect::<Vec<u64>>()
                }
                _ => self.sides.in_from.extents_before(from_ino, end).collect(),
            };
            self.copy_extents(from_ino, there.size, ino, &indices, dry)?;
        }
        self.put_inode(ino, &inode)
    }

    fn remove(&mut self, id: Id, object: &Object, here: &Inode, reap: Option<Reap>) -> Result<()> {
        let ino = self.objects.ino_of(id).0;
        self.done.removed += 1;
        if object.is_charged {
            self.less = self.less.and(here.used(self.sides.extent_bytes()));
        }
        if here.kind == Kind::File {
            self.put_reap(ino, 0, here.extents_end(self.sides.extent_bytes()), reap)?;
        }
        let mut key = Vec::new();
        self.sides.into.keys.inode(ino, &mut key);
        self.delete(key)
    }

    /// Fails if a file is larger than the volume's settings allow.
    fn check_size(&self, size: u64) -> Result<()> {
        let settings = self.sides.into.volume.settings.as_ref();
        match settings.and_then(|(record, _)| record.max_file_bytes()) {
            Some(most) if size > most => Err(Error::FileTooLarge),
            _ => Ok(()),
        }
    }

    /// Fails if the volume would hold more than its quota, and more than it does.
    fn check_quota(&self) -> Result<()> {
        let before = self.superblock.used();
        let (after, quota) = (before.and(self.more).without(self.less), self.superblock.quota());
        let fits = |before: u64, after: u64, limit: Option<u64>| {
            after <= before || limit.is_none_or(|limit| after <= limit)
        };
        match fits(before.bytes, after.bytes, quota.bytes)
            && fits(before.inodes, after.inodes, quota.inodes)
            && fits(before.names, after.names, quota.names)
        {
            true => Ok(()),
            false => Err(Error::Quota),
        }
    }
}

/// The times of an object that keeps its bytes: of each, the one that changed, and the later one if both
/// did.
fn times(object: &Object, here: &Inode, there: &Inode) -> (Timestamp, Timestamp) {
    match object.choice {
        Choice::Ours => return (here.atime, here.mtime),
        Choice::Theirs => return (there.atime, there.mtime),
        Choice::Both => {}
    }
    let base = object.inodes.base.as_ref();
    // The bytes that were changed here were changed then.
    if object.into_changed && !object.has_same_bytes {
        return (here.atime, here.mtime);
    }
    let merged = |of: fn(&Inode) -> Timestamp| match base.map(of) {
        Some(before) if of(there) == before => of(here),
        Some(before) if of(here) == before => of(there),
        _ => of(here).max(of(there)),
    };
    (merged(|inode| inode.atime), merged(|inode| inode.mtime))
}
