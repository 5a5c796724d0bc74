//! Names of directories in memory.

use super::node::{DirCache, Slot};
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
    pub(crate) fn learn_dentry(&mut self, dir: InodeNo, name: &str, entry: Option<Dentry>, below: bool) {
        let Some(known) = self.dir_mut(dir) else { return };
        if !known.slots.contains_key(name) {
            let slot = Slot { entry, dirty: false, stored: entry.is_some(), below };
            known.slots.insert(Rc::from(name), slot);
            self.dentries += 1;
        }
    }

    /// Whether the quota counts a name: it exists, and not only in the image. `None` if it is not
    /// known.
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
        let complete = known.complete;
        if let Some(slot) = known.slots.get_mut(name) {
            let before = *slot;
            (slot.entry, slot.below) = (entry, false);
            if slot.dirty {
                return Some(before);
            }
            slot.dirty = true;
            if let Some((name, _)) = known.slots.get_key_value(name) {
                let name = Rc::clone(name);
                if self.undo.armed {
                    self.undo.names.push((dir, Rc::clone(&name), Some(before)));
                }
                self.dirty.dentries.push((dir, name));
            }
            return Some(before);
        }
        let name: Rc<str> = Rc::from(name);
        // In a completely known directory, a name without a slot has no stored entry.
        known.slots.insert(Rc::clone(&name), Slot { entry, dirty: true, stored: !complete, below: false });
        self.dentries += 1;
        if self.undo.armed {
            self.undo.names.push((dir, Rc::clone(&name), None));
        }
        self.dirty.dentries.push((dir, name));
        None
    }

    /// How often entries were dropped from memory. While the number stays, everything learned is
    /// known.
    pub(crate) fn dentry_trims(&self) -> u64 {
        self.dentry_trims
    }
}
