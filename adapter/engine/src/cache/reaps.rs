//! Garbage: ranges of extents that belong to no file, announced in the store or by the next commit.

use super::dirty::{PendingReap, Removed};
use super::table::Cache;
use crate::types::InodeNo;
use rustc_hash::FxHashMap;

impl Cache {
    /// Turns unstored announcements of garbage into at most `max_deletes` deletes: of a removed
    /// inode all extents or the first ones, of a cut file all or none. Returns whether there were
    /// any.
    pub(crate) fn delete_what_is_announced(&mut self, max_deletes: u64) -> bool {
        let mut left = max_deletes;
        let dirty = &mut self.dirty;
        let mut removed: FxHashMap<InodeNo, &mut Removed> =
            dirty.removed.iter_mut().map(|removed| (removed.ino, removed)).collect();
        let mut done = Vec::new();
        for (ino, reap) in self.reaps.iter_mut().filter(|(_, reap)| reap.dirty && !reap.stored) {
            let count = reap.to.saturating_sub(reap.from).min(left);
            let upto = reap.from.saturating_add(count);
            if let Some(removed) = removed.get_mut(ino) {
                removed.extents.extend(reap.from..upto);
            } else if let Some(node) = self.nodes.get_mut(ino).filter(|_| upto == reap.to) {
                node.stored_end = node.stored_end.max(upto);
                node.doomed.extend(reap.from..upto);
            } else {
                continue;
            }
            left -= count;
            dirty.deletes += count as usize;
            reap.from = upto;
            if upto == reap.to {
                done.push(*ino);
            }
        }
        for ino in &done {
            self.reaps.remove(ino);
        }
        dirty.reaps = dirty.reaps.saturating_sub(done.len());
        left < max_deletes
    }

    /// Notes garbage whose record is, or may be, in the store.
    pub(crate) fn add_stored_reap(&mut self, ino: InodeNo, from: u64, to: u64) {
        self.reaps.insert(ino, PendingReap { from, to, stored: true, dirty: false });
    }

    /// Returns whether the stored extent at `index` is garbage.
    pub(crate) fn is_garbage(&self, ino: InodeNo, index: u64) -> bool {
        !self.reaps.is_empty()
            && self.reaps.get(&ino).is_some_and(|reap| reap.from <= index && index < reap.to)
    }

    /// Notes that the garbage of an inode up to `next` was deleted.
    pub(crate) fn advance_reap(&mut self, ino: InodeNo, next: u64) {
        if let Some(reap) = self.reaps.get_mut(&ino) {
            reap.from = next;
            if reap.from >= reap.to {
                self.reaps.remove(&ino);
            }
        }
    }
}
