//! Commits: what is dirty goes to the store. In one apply if it fits; otherwise extents go ahead
//! and the rest follows, through the journal if it is too large for one apply.
//!
//! A commit carries everything dirty. So the store always holds the state of some past moment,
//! except for bytes of the writes that a cut interrupted.

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

/// How often a commit of unknown outcome is repeated before it fails.
const DOUBT_ATTEMPTS: u32 = 2;

/// Removals that free as many bytes are stored before new bytes are written. Smaller ones wait with
/// these. To store so many bytes costs far more than an apply.
const MIN_FREED_BYTES: u64 = 64 << 10;

impl Volume {
    /// Stores everything that is dirty.
    ///
    /// # Cost
    /// One `apply` if all fits the store's batch limits, none if nothing is dirty (and, for a
    /// durable commit, nothing was applied since the last one).
    ///
    /// # Errors
    /// The store's. Everything stays dirty then, and the next commit carries it. A caller that can
    /// report the error to nobody calls [`Volume::tell_later`].
    pub(crate) fn commit(&mut self, level: Durability) -> Result<()> {
        let outcome = self.try_commit(level);
        self.pending.untold = false;
        self.pending.full |= outcome.as_ref().is_err_and(Error::is_store_full);
        outcome
    }

    fn try_commit(&mut self, level: Durability) -> Result<()> {
        debug_assert_eq!(self.pending.placing, None, "bytes that are not in their place yet would be stored");
        let mut outcome = self.commit_in_layers(level);
        // The next attempt resolves the doubt first, and repeats only what was not applied.
        for _ in 0..DOUBT_ATTEMPTS {
            if outcome != Err(Error::Store(StoreError::UnknownOutcome)) {
                break;
            }
            outcome = self.commit_in_layers(level);
        }
        if outcome.as_ref().is_err_and(Error::is_store_full) && self.free_the_store() {
            outcome = self.commit_in_layers(level);
        }
        outcome
    }

    /// Commits, and again if a tool has changed the volume's layers meanwhile.
    fn commit_in_layers(&mut self, level: Durability) -> Result<()> {
        self.repeat_if_moved(|volume| volume.commit_once(level))
    }

    /// Frees room in a full store: deletes the waiting garbage, and lets the next commit delete
    /// what it would announce as garbage. Without this, a commit that carries new bytes and a
    /// removal would be refused for ever. Returns whether that gained anything.
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
        self.push_names(batch);
        // In place: it is copied only once it is stored.
        let superblock = &mut self.pending.superblock;
        superblock.seq = self.backing.committed.seq.saturating_add(1);
        superblock.incompat = self.backing.committed.incompat;
        superblock.set_settings(self.backing.committed.settings);
        superblock.lower.clone_from(&self.backing.committed.lower);
        superblock.set_layers(self.backing.committed.layers);
        let completes = Completion { announced, step, journalled: Changes::new() };
        if all_fit(&self.backing.limits, batch, &[]) {
            self.apply_last(batch, level, completes)?;
        } else {
            self.commit_through_journal(batch, level, completes)?;
        }
        self.backing.unsynced = level == Durability::Buffered;
        Ok(())
    }

    /// Sends extents ahead in their own applies, and returns those that fit the last one.
    ///
    /// Extents behind the stored end of their file are announced as garbage first. So a cut leaves
    /// nothing that a later growth of the file could expose. The last apply takes the announcements
    /// back.
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
            // A record announces one range: the garbage of an older one is deleted first.
            self.drain_reap(*ino)?;
        }
        let mut batch = Batch::default();
        for (ino, from, to) in &behind_end {
            let record = reap::Reap { ino: *ino, from: *from, to: *to };
            let value = |key: &[u8], value: &mut Vec<u8>| reap::encode(record, key, value);
            batch.put(|key| self.backing.keys.reap(*ino, key), value);
            last.delete(|key| self.backing.keys.reap(*ino, key));
        }
        // Reserves these inode numbers even if their inodes are never stored.
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
            // Announcements alone may fill a batch. Only a store whose batch can hold no extent is
            // an error.
            if sent == 0 && batch.len() == 0 {
                return Err(Error::StoreLimits("an extent does not fit an apply"));
            }
            // If this commit fails from here on, they are garbage.
            for (ino, from, to) in &behind_end {
                self.cache.add_stored_reap(*ino, *from, *to);
            }
            let superblock = Superblock { next_inode, ..self.backing.committed.clone() };
            self.backing.apply_in_order(&batch, &self.cache, &superblock, &superblock)?;
            self.backing.unsynced = true;
            // They may have replaced bytes that memory does not have.
            self.cache.forget_undo();
            batch.clear();
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok((rest, behind_end.into_iter().map(|(ino, _, _)| ino).collect()))
    }

    /// Makes sure that the next operation fits one commit with what is dirty.
    ///
    /// New bytes do not join removals that free much: a store without room for the bytes would
    /// refuse both, and what was removed would come back.
    ///
    /// # Cost
    /// Nothing, or a commit.
    pub(crate) fn make_room(&mut self, data_bytes: usize) -> Result<()> {
        let dirty = &self.cache.dirty;
        let full = !self.room.fits_operation(dirty)
            || dirty.bytes.saturating_add(data_bytes) > self.allowed.dirty_bytes()
            || data_bytes > 0 && self.removals_free() >= MIN_FREED_BYTES;
        if full && !dirty.is_empty() { self.commit(Durability::Buffered) } else { Ok(()) }
    }

    /// Returns how many bytes the waiting removals free, less those that are new.
    fn removals_free(&self) -> u64 {
        match self.pending.removals {
            0 => 0,
            _ => self.backing.committed.used_bytes.saturating_sub(self.pending.superblock.used_bytes),
        }
    }

    /// As [`Volume::make_room`], for a removal. It adds no bytes, so the bound on dirty bytes does
    /// not count.
    pub(crate) fn make_room_for_removal(&mut self) -> Result<()> {
        let dirty = &self.cache.dirty;
        let fits = self.room.fits_change_of_names(dirty);
        if fits || dirty.is_empty() { Ok(()) } else { self.commit(Durability::Buffered) }
    }
}
