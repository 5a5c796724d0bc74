//! Garbage: extents that belong to no file any more, deleted little by little.

use crate::backing::batch::Batch;
use crate::cache::dirty::PendingReap;
use crate::error::Result;
use crate::limits::REAP_STEP_EXTENTS;
use crate::stored::record::reap;
use crate::types::{ExtentIndex, InodeNo};
use crate::volume::Volume;
use crate::volume::room::RECORD_OVERHEAD_BYTES;

/// Most reap records that may wait: an opener reads them all. With more, a commit drains some
/// first.
const MAX_WAITING_REAPS: usize = 128;

/// Widest garbage range that is deleted blindly. A wider one is scanned for extents that exist.
const MAX_BLIND_REAP_EXTENTS: u64 = 4096;

/// Garbage extents deleted before a commit through the journal. On the smallest stores each takes
/// its own apply.
const REAP_STEP_JOURNALLED_EXTENTS: u64 = 8;

/// Garbage extents to delete next, and where the rest of the garbage starts.
struct ReapStep {
    indices: Vec<u64>,
    next: u64,
}

impl Volume {
    /// Deletes garbage that files have grown over, before their new bytes are stored.
    fn drain_where_files_grew(&mut self) -> Result<()> {
        let extent_bytes = self.backing.extent_bytes();
        let grown: Vec<InodeNo> = self
            .cache
            .reaps
            .iter()
            .filter(|(ino, reap)| {
                let end = self.cache.node(**ino).map_or(0, |node| node.inode.extents_end(extent_bytes));
                reap.stored && end > reap.from
            })
            .map(|(ino, _)| *ino)
            .collect();
        for ino in grown {
            self.drain_reap(ino)?;
        }
        Ok(())
    }

    /// Deletes all garbage of an inode in separate applies. Its reap record must be in the store.
    pub(crate) fn drain_reap(&mut self, ino: InodeNo) -> Result<()> {
        while self.cache.reaps.contains_key(&ino) {
            self.drain_step(ino)?;
        }
        Ok(())
    }

    /// Deletes some garbage of an inode, and returns how many extents.
    fn drain_step(&mut self, ino: InodeNo) -> Result<usize> {
        let room = (self.backing.limits.max_batch_entries / 2)
            .min(self.backing.limits.max_batch_bytes / RECORD_OVERHEAD_BYTES);
        let max_extents = match self.room.journalled {
            true => REAP_STEP_JOURNALLED_EXTENTS,
            false => u64::from(room.min(self.backing.page_entries())),
        };
        let step = self.reap_step(ino, max_extents)?;
        let (next, count) = (step.next, step.indices.len());
        let mut batch = Batch::default();
        self.push_reap(&mut batch, ino, step);
        // The record is changed last: until then it covers what is being deleted.
        let superblock = self.backing.committed.clone();
        self.backing.apply_in_order(&batch, &self.cache, &superblock, &superblock)?;
        self.backing.unsynced = true;
        self.cache.advance_reap(ino, next);
        Ok(count)
    }

    /// Deletes the garbage that must be deleted before a commit, and some that a commit through the
    /// journal does not delete.
    pub(crate) fn drain_before_commit(&mut self) -> Result<()> {
        if self.cache.reaps.is_empty() {
            return Ok(());
        }
        self.drain_where_files_grew()?;
        // The extents of a dirty reap become garbage only with this commit.
        let waits = |reap: &PendingReap| reap.stored && !reap.dirty;
        while self.cache.reaps.values().filter(|reap| waits(reap)).count() > MAX_WAITING_REAPS
            && let Some(ino) = self.cache.reaps.iter().find(|(_, reap)| waits(reap)).map(|(ino, _)| *ino)
        {
            self.drain_reap(ino)?;
        }
        while self.garbage_is_over_quota()
            && let Some(ino) = self.cache.reaps.iter().find(|(_, reap)| waits(reap)).map(|(ino, _)| *ino)
        {
            self.drain_reap(ino)?;
        }
        let mut left = if self.room.journalled { REAP_STEP_JOURNALLED_EXTENTS as usize } else { 0 };
        while left > 0
            && let Some(ino) = self.cache.reaps.iter().find(|(_, reap)| waits(reap)).map(|(ino, _)| *ino)
        {
            // The scan may have found fewer: count the extents that were deleted.
            left = left.saturating_sub(self.drain_step(ino)?.max(1));
        }
        Ok(())
    }

    /// Returns whether the waiting garbage takes more than the quota leaves free. Garbage is not
    /// charged, so without this bound a guest could fill the store by writing and removing again
    /// and again.
    fn garbage_is_over_quota(&self) -> bool {
        let extents = |reap: &PendingReap| reap.to.saturating_sub(reap.from);
        let stored = self.cache.reaps.values().filter(|reap| reap.stored && !reap.dirty);
        let garbage =
            stored.map(extents).fold(0, u64::saturating_add).saturating_mul(self.backing.extent_bytes());
        let used = self.pending.superblock.used_bytes;
        self.counting_quota().bytes.is_some_and(|limit| garbage > limit.saturating_sub(used))
    }

    /// Garbage extents that one commit deletes along the way.
    fn reap_step_extents(&self) -> u64 {
        REAP_STEP_EXTENTS.min(u64::from(self.backing.limits.max_batch_entries / 4))
    }

    /// Returns the next extents to delete: up to `max_extents`, and at least half of that if there
    /// are as many.
    ///
    /// # Cost
    /// Nothing for a narrow range, which is deleted blindly. A wide one may be mostly holes: a
    /// `scan` finds extents that exist, and some more behind the last of them are deleted blindly.
    fn reap_step(&mut self, ino: InodeNo, max_extents: u64) -> Result<ReapStep> {
        let Some(reap) = self.cache.reaps.get(&ino).copied() else {
            return Ok(ReapStep { indices: Vec::new(), next: u64::MAX });
        };
        let mut indices = Vec::new();
        let mut blind = reap.from;
        if self.room.journalled || reap.to.saturating_sub(reap.from) > MAX_BLIND_REAP_EXTENTS {
            let (mut start, mut end) = (Vec::new(), Vec::new());
            self.backing.keys.extent(ino, ExtentIndex(reap.from), &mut start);
            self.backing.keys.extent(ino, ExtentIndex(reap.to), &mut end);
            let max_entries = u32::try_from(max_extents / 2).unwrap_or(u32::MAX).max(1);
            let found = self.backing.scan(&start, &end, max_entries, self.backing.page_bytes())?;
            let inside = |index: &u64| (reap.from..reap.to).contains(index);
            indices.extend(
                found
                    .iter()
                    .filter_map(|entry| self.backing.keys.extent_index(ino, &entry.key))
                    .filter(inside),
            );
            blind = indices.last().map_or(reap.to, |last| last.saturating_add(1));
            if self.room.journalled {
                // Here a delete may cost an apply: nothing is deleted blindly.
                return Ok(ReapStep { indices, next: blind });
            }
        }
        let left = max_extents.saturating_sub(indices.len() as u64);
        let next = blind.saturating_add(left).min(reap.to);
        indices.extend(blind..next);
        Ok(ReapStep { indices, next })
    }

    fn push_reap(&self, batch: &mut Batch, ino: InodeNo, ReapStep { indices, next }: ReapStep) {
        for index in indices {
            batch.delete(|key| self.backing.keys.extent(ino, ExtentIndex(index), key));
        }
        match self.cache.reaps.get(&ino) {
            Some(reap) if next < reap.to => {
                let record = reap::Reap { ino, from: next, to: reap.to };
                let value = |key: &[u8], value: &mut Vec<u8>| reap::encode(record, key, value);
                batch.put(|key| self.backing.keys.reap(ino, key), value);
            }
            _ => batch.delete(|key| self.backing.keys.reap(ino, key)),
        }
    }

    /// Adds deletions of some garbage to a commit, if there is any and room for it.
    pub(crate) fn push_reap_step(
        &mut self,
        batch: &mut Batch,
        announced: &[InodeNo],
    ) -> Option<(InodeNo, u64)> {
        if self.room.journalled {
            return None;
        }
        let may = |ino: &InodeNo, reap: &PendingReap| reap.stored && !reap.dirty && !announced.contains(ino);
        let ino = self.cache.reaps.iter().find(|(ino, reap)| may(ino, reap)).map(|(ino, _)| *ino)?;
        let room = self.reap_step_extents() as usize + 2;
        if batch.len() + room > self.backing.limits.max_batch_entries as usize
            || batch.batch_bytes + room * RECORD_OVERHEAD_BYTES as usize
                > self.backing.limits.max_batch_bytes as usize
        {
            return None;
        }
        // If the scan fails, the next commit tries again.
        let step = self.reap_step(ino, self.reap_step_extents()).ok()?;
        let next = step.next;
        self.push_reap(batch, ino, step);
        Some((ino, next))
    }
}
