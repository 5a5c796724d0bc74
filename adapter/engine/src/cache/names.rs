//! Names of directories in memory.

use super::dirty::DirtyName;
use super::listed::{Listed, Names};
use super::node::DirCache;
use super::slots::{NameHash, Slot};
use super::table::Cache;
use crate::types::{Dentry, InodeNo};
use std::rc::Rc;

impl Cache {
    /// Returns the known entries of a directory, which may be none yet.
    pub(crate) fn dir_mut(&mut self, dir: InodeNo) -> Option<&mut DirCache> {
        let node = self.nodes.get_mut(&dir)?;
        node.referenced = true;
        if node.dir.is_none() {
            self.dir_clock.push_back(dir);
        }
        Some(node.dir.get_or_insert_default())
    }

    /// Notes what the store, or the image below, says of a name, unless something newer is known.
    /// Returns the name as memory has it.
    pub(crate) fn learn_dentry(
        &mut self,
        dir: InodeNo,
        name: &str,
        entry: Option<Dentry>,
        below: bool,
    ) -> Rc<str> {
        let Some(known) = self.dir_mut(dir) else { return Rc::from(name) };
        let hash = NameHash::of(name);
        if let Some(name) = known.slots.name(hash, name) {
            return Rc::clone(name);
        }
        let name: Rc<str> = Rc::from(name);
        let slot = Slot { entry, dirty: false, stored: entry.is_some(), below };
        known.slots.add(hash, Rc::clone(&name), slot);
        self.dentries += 1;
        name
    }

    /// Returns whether so many more names stay within the limit.
    pub(crate) fn has_room_for_names(&self, count: usize) -> bool {
        self.dentries.saturating_add(count) <= self.limits.dentries
    }

    /// Returns whether a directory of so many names may evict others.
    pub(crate) fn is_small_share_of_names(&self, count: u64) -> bool {
        count <= (self.limits.dentries / 8) as u64
    }

    /// Notes the names of a page that the store has, of a directory that has none from an image.
    pub(crate) fn follow_names(&mut self, dir: InodeNo, names: &Names) {
        self.listed = Some(Listed { dir, names: Rc::clone(names), trims: self.dentry_trims, next: 0 });
    }

    /// Returns the entry of a name of the last page of a listing. Nothing else may be known of it.
    pub(crate) fn listed_dentry(&mut self, dir: InodeNo, name: &str) -> Option<Dentry> {
        let listed = self.listed.as_mut()?;
        if listed.dir == dir && listed.trims == self.dentry_trims { listed.get(name) } else { None }
    }

    /// Returns whether the quota counts a name: it exists, and not only in the image. `None` if it
    /// is not known.
    pub(crate) fn is_charged_name(&self, dir: InodeNo, name: &str) -> Option<bool> {
        let known = self.nodes.get(&dir)?.dir.as_ref()?;
        match known.slots.get(name) {
            Some(slot) => Some(slot.entry.is_some() && !slot.below),
            None => known.complete.then_some(false),
        }
    }

    /// Sets or removes an entry, and returns what was known of the name. The directory must be in
    /// memory.
    pub(crate) fn set_dentry(&mut self, dir: InodeNo, name: &str, entry: Option<Dentry>) -> Option<Slot> {
        let known = self.dir_mut(dir)?;
        let hash = NameHash::of(name);
        let (name, before) = match known.slots.get_mut(hash, name) {
            Some((name, slot)) => {
                let before = *slot;
                (slot.entry, slot.below) = (entry, false);
                if slot.dirty {
                    return Some(before);
                }
                slot.dirty = true;
                (Rc::clone(name), Some(before))
            }
            None => {
                let name: Rc<str> = Rc::from(name);
                // A name that is known not to exist has no stored entry.
                let slot = Slot { entry, dirty: true, stored: !known.lacks(&name), below: false };
                known.slots.add(hash, Rc::clone(&name), slot);
                (name, None)
            }
        };
        known.raise_end(&name);
        self.dentries += usize::from(before.is_none());
        if self.undo.armed {
            self.undo.names.push((dir, Rc::clone(&name), before));
        }
        self.dirty.dentries.push(DirtyName { dir, hash, name });
        before
    }

    /// How often entries were dropped from memory. While the number stays, everything learned is
    /// known.
    pub(crate) fn dentry_trims(&self) -> u64 {
        self.dentry_trims
    }
}
