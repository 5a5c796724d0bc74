//! Tells by path what of the layers below is changed in the top layer.
//!
//! A changed file has its inode in the top layer, and its name may be far below, as may those of the
//! directories above it. Putting these names again, as they are, lets whoever compares volumes find its
//! path without reading directories. Nothing depends on it.

use crate::backing::batch::Batch;
use crate::cache::Way;
use crate::limits::MAX_PATH_BYTES;
use crate::store::Limits;
use crate::stored::record::dentry;
use crate::types::{Dentry, InodeNo};
use crate::volume::Volume;
use crate::volume::room::RECORD_OVERHEAD_BYTES;
use std::rc::Rc;

impl Volume {
    /// Notes the name that led to an inode in memory.
    pub(crate) fn note_name(&mut self, ino: InodeNo, dir: InodeNo, name: Option<&str>) {
        if !self.backing.may_have_below(ino) {
            return;
        }
        let Some(node) = self.cache.node_mut(ino) else { return };
        let is_known = node.way.as_ref().is_some_and(|way| way.dir == dir && Some(&*way.name) == name);
        if !is_known && let Some(name) = name {
            node.way = Some(Box::new(Way { dir, name: Rc::from(name), told_in: 0 }));
        }
    }

    /// Adds the names of changed files and directories to a commit, and of the directories above them,
    /// as far as it has room.
    ///
    /// # Cost
    /// Each name once for each top layer. No store call.
    pub(crate) fn push_names(&mut self, batch: &mut Batch) {
        let top = self.backing.top_number();
        if top == 0 || self.backing.keys.layers_below() == 0 {
            return;
        }
        let dirty: Vec<InodeNo> = self.cache.dirty.inodes.to_vec();
        for ino in dirty {
            // From above: where a name is told, those above it are.
            for untold in self.untold_ways(ino, top).into_iter().rev() {
                if !has_room_for_name(&self.backing.limits, batch) {
                    return;
                }
                self.push_name(batch, untold, top);
            }
        }
    }

    /// Returns a changed inode and the directories above it whose names the top layer may not have, from
    /// below.
    fn untold_ways(&self, ino: InodeNo, top: u64) -> Vec<InodeNo> {
        let mut untold = Vec::new();
        let mut at = ino;
        // Forged directories may lie in a ring.
        while untold.len() <= MAX_PATH_BYTES / 2
            && let Some(way) = self.cache.node(at).and_then(|node| node.way.as_ref())
            && way.told_in != top
        {
            untold.push(at);
            at = way.dir;
        }
        untold
    }

    fn push_name(&mut self, batch: &mut Batch, ino: InodeNo, top: u64) {
        let Some(way) = self.cache.node_mut(ino).and_then(|node| node.way.as_mut()) else { return };
        way.told_in = top;
        let (dir, name) = (way.dir, Rc::clone(&way.name));
        let Some(entry) = self.told_anew(dir, &name).filter(|entry| entry.ino == ino) else { return };
        batch.put(
            |key| self.backing.keys.dentry(dir, &name, key),
            |key, value| dentry::encode(entry, key, value),
        );
    }

    /// Returns the entry of a name, if memory knows it as the store has it. A name that is dirty is in the
    /// commit already, and one of the image's would be charged.
    fn told_anew(&mut self, dir: InodeNo, name: &str) -> Option<Dentry> {
        let known = self.cache.node(dir)?.dir.as_ref()?;
        match known.slots.get(name) {
            Some(slot) => slot.entry.filter(|_| !slot.dirty && !slot.below),
            None => self.cache.listed_dentry(dir, name),
        }
    }
}

/// Whether a batch with one more name, of any length, still fits one apply with the superblock.
fn has_room_for_name(limits: &Limits, batch: &Batch) -> bool {
    batch.len() + 1 < limits.max_batch_entries as usize
        && batch.batch_bytes + 2 * RECORD_OVERHEAD_BYTES as usize <= limits.max_batch_bytes as usize
}
