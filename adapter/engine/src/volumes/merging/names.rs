//! Names that come and go in a merge, and what they are counted in.

use super::objects::{Id, Object, Objects, Slot};
use super::sides::Three;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::limits::MAX_LINKS;
use crate::quota::Used;
use crate::stored::record::dentry;
use crate::stored::record::inode::Inode;
use crate::types::{Dentry, Kind};
use std::collections::{BTreeMap, BTreeSet};

/// Changes of a directory or file by names that come and go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// A name in it, or of it, comes or goes.
    pub(super) is_touched: bool,
    entries: (u64, u64),
    directories: (u32, u32),
    pub(super) names: (u32, u32),
}

impl Writer<'_> {
    pub(super) fn count(&self) -> BTreeMap<Id, Counts> {
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

    pub(super) fn put_names(&mut self) -> Result<()> {
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
pub(super) fn count_in(inode: &mut Inode, counts: Counts) -> Result<()> {
    let sum = |number: u32, (more, less): (u32, u32)| number.saturating_add(more).saturating_sub(less);
    if inode.kind == Kind::Directory {
        inode.nlink = sum(inode.nlink, counts.directories);
        inode.size = inode.size.saturating_add(counts.entries.0).saturating_sub(counts.entries.1);
        return Ok(());
    }
    inode.nlink = sum(inode.nlink, counts.names);
    if inode.nlink > MAX_LINKS { Err(Error::TooManyLinks) } else { Ok(()) }
}
