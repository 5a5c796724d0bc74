//! Takes what is dirty to the store: one apply if it fits, extents first and the rest last if not,
//! and through the journal if the rest alone is too large.
//!
//! Every apply is guarded on the superblock as this opener last wrote it, so nothing is stored
//! after another opener has raised the epoch. Everything dirty goes along, so what the store holds
//! is always the state at some moment of the past, but for bytes of the writes that a cut
//! interrupted.

use super::gather::{Outgoing, all_fit, gather_extents, gather_metadata};
use crate::backing::batch::Batch;
use crate::backing::doubt::Completion;
use crate::error::{Error, Result};
use crate::store::{Durability, StoreError};
use crate::stored::record::journal::Changes;
use crate::stored::record::reap;
use crate::stored::record::superblock::Superblock;
use crate::types::InodeNo;
use crate::volume::Volume;

/// How often a commit of unknown outcome is repeated before the caller is told.
const DOUBT_ATTEMPTS: u32 = 2;

impl Volume {
    /// Stores everything that is dirty.
    ///
    /// # Cost
    /// One `apply` if all fits the store's batch limits, none if nothing is dirty (and, for a
    /// durable commit, nothing was applied since the last one).
    ///
    /// # Errors
    /// Nothing that failed to be stored is forgotten: it stays dirty and the next commit carries
    /// it. Who has nobody to tell says so with [`Volume::tell_later`].
    pub(crate) fn commit(&mut self, level: Durability) -> Result<()> {
        let outcome = self.try_commit(level);
        self.pending.untold = false;
        self.pending.full |= outcome.as_ref().is_err_and(Error::is_store_full);
        outcome
    }

    fn try_commit(&mut self, level: Durability) -> Result<()> {
        debug_assert_eq!(self.pending.placing, None, "bytes that are not in their place yet would be stored");
        let mut outcome = self.commit_once(level);
        // Going on resolves the doubt first, and repeats only what did not take.
        for _ in 0..DOUBT_ATTEMPTS {
            if outcome != Err(Error::Store(StoreError::UnknownOutcome)) {
                break;
            }
            outcome = self.commit_once(level);
        }
        if outcome.as_ref().is_err_and(Error::is_store_full) && self.free_the_store() {
            outcome = self.commit_once(level);
        }
        outcome
    }

    /// Gives a full store its room back: deletes the garbage that waits, and lets the next commit
    /// delete what it removes instead of announcing it. Without this, a removal that goes along
    /// with new bytes would be refused for ever. Returns true if anything was gained.
    fn free_the_store(&mut self) -> bool {
        let stored = self.cache.reaps.iter().filter(|(_, reap)| reap.stored && !reap.dirty);
        let stored: Vec<InodeNo> = stored.map(|(ino, _)| *ino).collect();
        let drained = stored.into_iter().filter(|ino| self.drain_reap(*ino).is_ok()).count();
        let max_deletes = u64::from(self.backing.limits.max_batch_entries / 2);
        drained > 0 || self.cache.delete_what_is_announced(max_deletes)
    }

    fn commit_once(&mut self, level: Durability) -> Result<()> {
        self.backing.check_alive()?;
        self.resolve_doubt()?;
        self.settle_journal()?;
        if self.cache.dirty.is_empty() {
            if level == Durability::Durable && self.backing.unsynced {
                self.backing.make_durable()?;
                self.backing.unsynced = false;
            }
            return Ok(());
        }
        self.reclaim_orphans();
        self.drain_before_commit()?;

        // One buffer serves all commits.
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let outcome = self.commit_dirty(&mut batch, level);
        self.batch = batch;
        outcome
    }

    fn commit_dirty(&mut self, batch: &mut Batch, level: Durability) -> Result<()> {
        gather_metadata(&self.cache, &self.backing.keys, batch);
        let (bound, free) = gather_extents(&mut self.cache, &self.backing.keys);
        for extent in &bound {
            extent.push_to(batch, &self.backing.keys);
        }
        let mut rest = free.as_slice();
        let mut announced = Vec::new();
        if !all_fit(&self.backing.limits, batch, &free) {
            (rest, announced) = self.stage_extents(batch, &free)?;
        }
        for extent in rest {
            extent.push_to(batch, &self.backing.keys);
        }
        let step = self.push_reap_step(batch, &announced);
        let mut superblock = self.pending.superblock.clone();
        superblock.seq = self.backing.committed.seq.saturating_add(1);
        superblock.incompat = self.backing.committed.incompat;
        superblock.lower.clone_from(&self.backing.committed.lower);
        let completes = Completion { announced, step, journalled: Changes::new() };
        if all_fit(&self.backing.limits, batch, &[]) {
            self.apply_last(batch, superblock, level, completes)?;
        } else {
            self.commit_through_journal(batch, superblock, level, completes)?;
        }
        self.backing.unsynced = level == Durability::Buffered;
        Ok(())
    }

    /// Sends extents ahead in applies of their own and returns those that still fit the last one.
    ///
    /// What lies behind the end of a file in the store is announced as garbage first, so that a cut
    /// leaves nothing that a later growth could show; the last apply takes the announcement back.
    fn stage_extents<'e>(
        &mut self,
        last: &mut Batch,
        extents: &'e [Outgoing],
    ) -> Result<(&'e [Outgoing], Vec<InodeNo>)> {
        let mut behind_end: Vec<(InodeNo, u64, u64)> = Vec::new();
        for extent in extents {
            let stored_end = self.cache.node(extent.ino).map_or(0, |node| node.stored_end);
            if extent.index < stored_end {
                continue;
            }
            match behind_end.last_mut() {
                Some((ino, _, to)) if *ino == extent.ino => *to = extent.index.saturating_add(1),
                _ => behind_end.push((extent.ino, stored_end, extent.index.saturating_add(1))),
            }
        }
        for (ino, _, _) in &behind_end {
            // A record can announce one range; what an older one announced goes first.
            self.drain_reap(*ino)?;
        }
        let mut batch = Batch::default();
        for (ino, from, to) in &behind_end {
            let record = reap::Reap { ino: *ino, from: *from, to: *to };
            let value = |key: &[u8], value: &mut Vec<u8>| reap::encode(record, key, value);
            batch.put(|key| self.backing.keys.reap(*ino, key), value);
            last.delete(|key| self.backing.keys.reap(*ino, key));
        }
        // Numbers whose extents are in the store are taken, also if their inodes never get there.
        let next_inode = self.pending.superblock.next_inode;
        let mut rest = extents;
        while !rest.is_empty() && !all_fit(&self.backing.limits, last, rest) {
            let mut sent = 0;
            for extent in rest {
                let room = all_fit(&self.backing.limits, &batch, std::slice::from_ref(extent));
                if !room {
                    break;
                }
                extent.push_to(&mut batch, &self.backing.keys);
                sent += 1;
            }
            // The announcements alone may fill a batch; only a batch that can never hold an extent
            // is wrong.
            if sent == 0 && batch.len() == 0 {
                return Err(Error::StoreLimits("an extent does not fit an apply"));
            }
            // Garbage from here on, should this commit not come to its end.
            for (ino, from, to) in &behind_end {
                self.cache.add_stored_reap(*ino, *from, *to);
            }
            let superblock = Superblock { next_inode, ..self.backing.committed.clone() };
            self.backing.apply_in_order(&batch, &self.cache, &superblock, &superblock)?;
            self.backing.unsynced = true;
            // Some of the bytes may have replaced others, which are not known any more.
            self.cache.forget_undo();
            batch.clear();
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok((rest, behind_end.into_iter().map(|(ino, _, _)| ino).collect()))
    }

    /// Makes sure that what the next operation changes still fits one commit with what is dirty.
    ///
    /// # Cost
    /// Nothing, or a commit.
    pub(crate) fn make_room(&mut self, data_bytes: usize) -> Result<()> {
        let dirty = &self.cache.dirty;
        let full = !self.room.fits_operation(dirty)
            || dirty.bytes.saturating_add(data_bytes) > self.options.dirty_bytes_max;
        if full && !dirty.is_empty() { self.commit(Durability::Buffered) } else { Ok(()) }
    }

    /// Makes sure that what a removal changes still fits one commit with what is dirty. Bytes that
    /// wait may stay.
    pub(crate) fn make_room_for_removal(&mut self) -> Result<()> {
        let dirty = &self.cache.dirty;
        let fits = self.room.fits_change_of_names(dirty);
        if fits || dirty.is_empty() { Ok(()) } else { self.commit(Durability::Buffered) }
    }
}
