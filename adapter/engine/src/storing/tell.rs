//! Tells by name which files of the layers below are changed in the top layer.
//!
//! A changed file has its inode in the top layer, and its name may be far below. Putting the name again,
//! as it is, lets whoever compares volumes find it without looking at all names. Nothing depends on it.

use super::gather::all_fit;
use crate::backing::batch::Batch;
use crate::cache::OpenedBy;
use crate::stored::record::dentry;
use crate::types::InodeNo;
use crate::volume::Volume;
use std::rc::Rc;

impl Volume {
    /// Notes the name by which a file was opened to be written.
    pub(crate) fn note_name(&mut self, ino: InodeNo, dir: InodeNo, name: Option<&str>) {
        if !self.backing.may_have_below(ino) {
            return;
        }
        let Some(node) = self.cache.node_mut(ino) else { return };
        let is_known = node.opened_by.as_ref().is_some_and(|by| by.dir == dir && Some(&*by.name) == name);
        if !is_known && let Some(name) = name {
            node.opened_by = Some(Box::new(OpenedBy { dir, name: Rc::from(name), told_in: 0 }));
        }
    }

    /// Adds names of changed files to a commit, as far as it has room.
    pub(crate) fn push_names(&mut self, batch: &mut Batch) {
        let top = self.backing.top_number();
        if top == 0 || self.backing.keys.layers_below() == 0 {
            return;
        }
        let dirty: Vec<InodeNo> = self.cache.dirty.inodes.to_vec();
        for ino in dirty {
            let Some(node) = self.cache.node(ino).filter(|node| node.dirty) else { continue };
            let Some(by) = node.opened_by.as_ref().filter(|by| by.told_in != top) else { continue };
            let slots = self.cache.node(by.dir).and_then(|node| node.dir.as_ref()).map(|known| &known.slots);
            let slot = slots.and_then(|slots| slots.get(&by.name));
            // A name that is dirty is in the commit already, and one of the image's would be charged.
            let Some(entry) = slot.filter(|slot| !slot.dirty && !slot.below).and_then(|slot| slot.entry)
            else {
                continue;
            };
            if entry.ino != ino {
                continue;
            }
            if !all_fit(&self.backing.limits, batch, &[]) {
                return;
            }
            let (dir, name) = (by.dir, Rc::clone(&by.name));
            batch.put(
                |key| self.backing.keys.dentry(dir, &name, key),
                |key, value| dentry::encode(entry, key, value),
            );
            if let Some(by) = self.cache.node_mut(ino).and_then(|node| node.opened_by.as_mut()) {
                by.told_in = top;
            }
        }
    }
}
