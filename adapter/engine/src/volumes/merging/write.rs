//! Writes what a merge makes of the volume that is merged into.

use super::bytes::{MAX_EXTENTS_HELD, read_extents, without_zeros};
use super::objects::{Choice, Id, Object, Objects, Slot};
use super::output::Output;
use super::sides::{Sides, Three};
use super::told::Merged;
use crate::error::{Error, Result};
use crate::limits::MAX_LINKS;
use crate::quota::Used;
use crate::store::KvStore;
use crate::stored::key::tag;
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::reap::{self, Reap};
use crate::stored::record::superblock::Superblock;
use crate::stored::record::{dentry, framed};
use crate::types::{Dentry, ExtentIndex, InodeNo, Kind, Timestamp};
use crate::volumes::stored::StoredVolume;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Writes one merge.
pub(super) struct Writer<'m> {
    store: &'m mut dyn KvStore,
    sides: &'m mut Sides,
    objects: &'m Objects,
    output: Output,
    superblock: Superblock,
    /// Numbers of objects that are new here.
    numbers: BTreeMap<Id, InodeNo>,
    /// The objects that have the names which may differ, after the merge.
    names: BTreeMap<Slot, Id>,
    /// What the merge adds to the usage, and what it takes away.
    more: Used,
    less: Used,
    done: Merged,
    /// Somebody was faster.
    is_late: bool,
    /// The files' marks of scrubbing mean the same in both volumes.
    has_same_marks: bool,
}

/// Changes of a directory or file by names that come and go.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// A name in it, or of it, comes or goes.
    is_touched: bool,
    entries: (u64, u64),
    directories: (u32, u32),
    names: (u32, u32),
}

impl<'m> Writer<'m> {
    pub(super) fn new(
        store: &'m mut dyn KvStore,
        sides: &'m mut Sides,
        objects: &'m Objects,
        output: Output,
    ) -> Self {
        let superblock = sides.into.volume.superblock.clone();
        let settings = |volume: &'_ StoredVolume| volume.settings.as_ref().map(|(record, _)| record.clone());
        let (theirs, ours) = (settings(&sides.from.volume), settings(&sides.into.volume));
        let has_same_marks = theirs.unwrap_or_default().says_what(&ours.unwrap_or_default());
        Self {
            store,
            sides,
            objects,
            output,
            superblock,
            numbers: BTreeMap::new(),
            names: BTreeMap::new(),
            more: Used::default(),
            less: Used::default(),
            done: Merged::default(),
            is_late: false,
            has_same_marks,
        }
    }

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

    /// The number of an object after the merge.
    fn number(&self, id: Id) -> InodeNo {
        self.numbers.get(&id).copied().unwrap_or_else(|| self.objects.ino_of(id).0)
    }

    fn count(&self) -> BTreeMap<Id, Counts> {
        let mut counts: BTreeMap<Id, Counts> = BTreeMap::new();
        let is_dir = |id: Id| self.objects.all.get(&id).and_then(Object::kind) == Some(Kind::Directory);
        let slots: BTreeSet<&Slot> = self.objects.slots.keys().chain(self.names.keys()).collect();
        for slot in slots {
            let before = self.objects.slots.get(slot).and_then(|at| at.into);
            let after = self.names.get(slot).copied();
            if before == after {
                continue;
            }
            let directory = counts.entry(slot.dir).or_default();
            directory.is_touched = true;
            directory.entries.0 += u64::from(after.is_some());
            directory.entries.1 += u64::from(before.is_some());
            directory.directories.0 += u32::from(after.is_some_and(is_dir));
            directory.directories.1 += u32::from(before.is_some_and(is_dir));
            if let Some(id) = after {
                let object = counts.entry(id).or_default();
                (object.is_touched, object.names.0) = (true, object.names.0.saturating_add(1));
            }
            if let Some(id) = before {
                let object = counts.entry(id).or_default();
                (object.is_touched, object.names.1) = (true, object.names.1.saturating_add(1));
            }
        }
        counts
    }

    /// Reads the garbage that is announced here of files that lose extents.
    fn read_reaps(&mut self) -> Result<BTreeMap<Id, Reap>> {
        let loses = |id: &Id, object: &Object| {
            object.inodes.into.as_ref().is_some_and(|inode| inode.kind == Kind::File)
                && (!object.is_there(*id) || object.takes_bytes())
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

    fn note(&mut self, outcome: ControlFlow<()>) {
        self.is_late |= outcome.is_break();
    }

    fn put(&mut self, key: Vec<u8>, encode: impl FnOnce(&[u8], &mut Vec<u8>)) -> Result<()> {
        if !self.is_late {
            let outcome = self.output.put(self.store, &mut self.sides.into, key, encode)?;
            self.note(outcome);
        }
        Ok(())
    }

    fn delete(&mut self, key: Vec<u8>) -> Result<()> {
        if !self.is_late {
            let outcome = self.output.delete(self.store, &mut self.sides.into, key)?;
            self.note(outcome);
        }
        Ok(())
    }

    fn put_names(&mut self) -> Result<()> {
        let objects = self.objects;
        let slots: BTreeSet<&Slot> = objects.slots.keys().collect();
        for slot in slots {
            let before = objects.slots.get(slot).and_then(|at| at.into);
            let after = self.names.get(slot).copied();
            if before == after {
                continue;
            }
            let mut key = Vec::new();
            self.sides.into.keys.dentry(self.number(slot.dir), &slot.name, &mut key);
            let is_charged = objects.entries.get(slot).is_some_and(|(_, is_below)| !is_below);
            match after {
                Some(id) => {
                    let kind = objects.all.get(&id).and_then(Object::kind).unwrap_or(Kind::File);
                    let born = generation(objects, slot.dir);
                    let entry = Dentry { kind, ino: self.number(id), born };
                    if !is_charged {
                        self.more = self.more.and(Used::name(&slot.name));
                    }
                    self.put(key, |key, value| dentry::encode(entry, key, value))?;
                }
                None => {
                    if is_charged {
                        self.less = self.less.and(Used::name(&slot.name));
                    }
                    self.delete(key)?;
                }
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

    /// Announces as garbage what lies behind the end of a file that had `before` extents.
    fn put_reap(&mut self, ino: InodeNo, end: u64, before: u64, reap: Option<Reap>) -> Result<()> {
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
    fn copy_extents(
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
    fn take_extents(
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

/// The generation that a directory gets, in which its new names are born.
fn generation(objects: &Objects, dir: Id) -> u64 {
    let Some(Object { inodes: Three { from, into, .. }, .. }) = objects.all.get(&dir) else { return 0 };
    match (from, into) {
        (Some(from), None) => from.generation.max(1),
        (from, Some(into)) => {
            into.generation.max(from.as_ref().map_or(0, |from| from.generation)).saturating_add(1)
        }
        (None, None) => 0,
    }
}

/// Counts names that come and go.
fn count_in(inode: &mut Inode, counts: Counts) -> Result<()> {
    let sum = |number: u32, (more, less): (u32, u32)| number.saturating_add(more).saturating_sub(less);
    if inode.kind == Kind::Directory {
        inode.nlink = sum(inode.nlink, counts.directories);
        inode.size = inode.size.saturating_add(counts.entries.0).saturating_sub(counts.entries.1);
        return Ok(());
    }
    inode.nlink = sum(inode.nlink, counts.names);
    if inode.nlink > MAX_LINKS { Err(Error::TooManyLinks) } else { Ok(()) }
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
