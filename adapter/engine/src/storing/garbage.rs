//! Ranges of extents that no file has any more: deleted little by little.

use crate::backing::batch::Batch;
use crate::cache::dirty::PendingReap;
use crate::error::Result;
use crate::limits::REAP_STEP_EXTENTS;
use crate::stored::record::reap;
use crate::types::{ExtentIndex, InodeNo};
use crate::volume::Volume;
use crate::volume::room::RECORD_OVERHEAD_BYTES;

/// Reap records that may wait before commits stop to drain them: an opener reads them all.
const MAX_WAITING_REAPS: usize = 128;

/// Garbage ranges wider than this are searched for what exists instead of deleted blindly.
const MAX_BLIND_REAP_EXTENTS: u64 = 4096;

/// Garbage extents deleted before a commit that goes through the journal, each in an apply of its
/// own on the smallest stores.
const REAP_STEP_JOURNALLED_EXTENTS: u64 = 8;

/// Garbage extents to delete, and where the garbage starts after that.
struct ReapStep {
    indices: Vec<u64>,
    next: u64,
}

impl Volume {
    /// Deletes the garbage that files with dirty bytes have grown over, before those bytes are
    /// stored.
    fn drain_where_files_grew(&mut self) -> Result<()> {
        if self.cache.reaps.is_empty() {
            return Ok(());
        }
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

    /// Deletes all garbage of one inode, in applies of their own. Its record must be in the store.
    pub(crate) fn drain_reap(&mut self, ino: InodeNo) -> Result<()> {
        while self.cache.reaps.contains_key(&ino) {
            self.drain_step(ino)?;
        }
        Ok(())
    }

    /// Returns how many extents it deleted.
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
        // The record comes last: until then it covers what is being deleted.
        let superblock = self.backing.committed.clone();
        self.backing.apply_in_order(&batch, &self.cache, &superblock, &superblock)?;
        self.backing.unsynced = true;
        self.cache.advance_reap(ino, next);
        Ok(count)
    }

    /// Deletes what must go before a commit, or what a commit through the journal does not take
    /// along.
    pub(crate) fn drain_before_commit(&mut self) -> Result<()> {
        self.drain_where_files_grew()?;
        // One that is dirty covers extents that are garbage only once this commit has taken.
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
            // An answer of the store may be short: what counts is what was deleted.
            left = left.saturating_sub(self.drain_step(ino)?.max(1));
        }
        Ok(())
    }

    /// Whether what waits to be deleted is more than the quota leaves free. Nobody is charged for
    /// it, so it may fill no other room: else a guest that writes and removes what it may hold,
    /// again and again, fills the store.
    fn garbage_is_over_quota(&self) -> bool {
        let extents = |reap: &PendingReap| reap.to.saturating_sub(reap.from);
        let stored = self.cache.reaps.values().filter(|reap| reap.stored && !reap.dirty);
        let garbage =
            stored.map(extents).fold(0, u64::saturating_add).saturating_mul(self.backing.extent_bytes());
        garbage > self.pending.superblock.quota_bytes.saturating_sub(self.pending.superblock.used_bytes)
    }

    /// Garbage extents that one apply takes along.
    fn reap_step_extents(&self) -> u64 {
        REAP_STEP_EXTENTS.min(u64::from(self.backing.limits.max_batch_entries / 4))
    }

    /// The next extents to delete, up to `max_extents` and no less than half of that if there are
    /// as many.
    ///
    /// # Cost
    /// Nothing for a narrow range, whose extents are deleted whether they exist or not. In a wide
    /// one, which may be mostly holes, a `scan` finds some that do; what comes behind the last of
    /// them may be dense, and some of it is deleted blindly too.
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
                // A delete may cost an apply here: none is made blindly.
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

    /// Lets a commit take some garbage along, if there is any and room for it.
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
        // Garbage that cannot be looked for now is looked for with the next commit.
        let step = self.reap_step(ino, self.reap_step_extents()).ok()?;
        let next = step.next;
        self.push_reap(batch, ino, step);
        Some((ino, next))
    }
}
