//! Takes what is dirty to the store: one apply if it fits, extents first and the rest last if not, and
//! through the journal if the rest alone is too large.
//!
//! Every apply is guarded on the superblock as this opener last wrote it, so nothing is stored after
//! another opener has raised the epoch. Everything dirty goes along, so what the store holds is always
//! the state at some moment of the past, but for bytes of the writes that a cut interrupted.

use crate::backing::batch::Batch;
use crate::backing::journal_view::Changes;
use crate::error::{Error, Result};
use crate::store::{Durability, Guard, StoreError};
use crate::stored::key::tag;
use crate::stored::record::{dentry, reap, seal, superblock::Superblock};
use crate::storing::unstored::is_full;
use crate::types::{ExtentIndex, InodeNo};
use crate::volume::room::RECORD_OVERHEAD_BYTES;
use crate::volume::{State, Volume};
use std::ops::Range;

/// How often a commit of unknown outcome is repeated before the caller is told.
const DOUBT_ATTEMPTS: u32 = 2;

/// An apply that may have been applied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// The superblock that it carried.
    value: Vec<u8>,
    /// What is to be noted if it was, for the last apply of a commit.
    completes: Option<Completion>,
}

/// What the end of a commit has to note besides that everything is clean.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// Inodes whose announcement of garbage was taken back.
    announced: Vec<InodeNo>,
    /// Garbage that went along, and where the rest of it starts.
    step: Option<(InodeNo, u64)>,
    /// What the journal that was committed changes.
    pub(crate) journalled: Changes,
}

/// A dirty extent on its way to the store.
struct Outgoing {
    ino: InodeNo,
    index: u64,
    value_bytes: usize,
}

impl Volume {
    /// Stores everything that is dirty.
    ///
    /// # Cost
    /// One `apply` if all fits the store's batch limits, none if nothing is dirty (and, for a durable
    /// commit, nothing was applied since the last one).
    ///
    /// # Errors
    /// Nothing that failed to be stored is forgotten: it stays dirty and the next commit carries it. Who has
    /// nobody to tell says so with [`Volume::tell_later`].
    pub(crate) fn commit(&mut self, level: Durability) -> Result<()> {
        let outcome = self.try_commit(level);
        self.unstored.untold = false;
        self.unstored.full |= outcome.as_ref().is_err_and(is_full);
        outcome
    }

    fn try_commit(&mut self, level: Durability) -> Result<()> {
        debug_assert_eq!(self.placing, None, "bytes that are not in their place yet would be stored");
        let mut outcome = self.commit_once(level);
        // Going on resolves the doubt first, and repeats only what did not take.
        for _ in 0..DOUBT_ATTEMPTS {
            if outcome != Err(Error::Store(StoreError::UnknownOutcome)) {
                break;
            }
            outcome = self.commit_once(level);
        }
        if outcome.as_ref().is_err_and(is_full) && self.free_the_store() {
            outcome = self.commit_once(level);
        }
        outcome
    }

    /// Gives a full store its room back: deletes the garbage that waits, and lets the next commit delete what
    /// it removes instead of announcing it. Without this, a removal that goes along with new bytes would be
    /// refused for ever. Returns true if anything was gained.
    fn free_the_store(&mut self) -> bool {
        let stored = self.cache.reaps.iter().filter(|(_, reap)| reap.stored && !reap.dirty);
        let stored: Vec<InodeNo> = stored.map(|(ino, _)| *ino).collect();
        let drained = stored.into_iter().filter(|ino| self.drain_reap(*ino).is_ok()).count();
        let deletes_max = u64::from(self.limits.max_batch_entries / 2);
        drained > 0 || self.cache.delete_what_is_announced(deletes_max)
    }

    fn commit_once(&mut self, level: Durability) -> Result<()> {
        self.check_alive()?;
        self.resolve_doubt()?;
        self.settle_journal()?;
        if self.cache.dirty.is_empty() {
            if level == Durability::Durable && self.unsynced {
                self.apply(&Batch::default(), None, level)?;
                self.unsynced = false;
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
        self.gather_metadata(batch);
        let (bound, free) = self.gather_extents();
        for extent in &bound {
            self.push_extent(batch, extent);
        }
        let mut rest = free.as_slice();
        let mut announced = Vec::new();
        if !self.all_fit(batch, &free) {
            (rest, announced) = self.stage_extents(batch, &free)?;
        }
        for extent in rest {
            self.push_extent(batch, extent);
        }
        let step = self.push_reap_step(batch, &announced);
        let mut superblock = self.superblock.clone();
        superblock.seq = self.committed.seq.saturating_add(1);
        superblock.incompat = self.committed.incompat;
        superblock.lower.clone_from(&self.committed.lower);
        let completes = Completion { announced, step, journalled: Changes::new() };
        if self.all_fit(batch, &[]) {
            self.apply_last(batch, superblock, level, completes)?;
        } else {
            self.commit_through_journal(batch, superblock, level, completes)?;
        }
        self.unsynced = level == Durability::Buffered;
        Ok(())
    }

    /// Applies what ends a commit.
    pub(crate) fn apply_last(
        &mut self,
        batch: &Batch,
        superblock: Superblock,
        level: Durability,
        completes: Completion,
    ) -> Result<()> {
        match self.apply(batch, Some(superblock), level) {
            Ok(()) => self.complete(completes),
            Err(error) => {
                if let State::InDoubt(doubt) = &mut self.state {
                    doubt.completes = Some(completes);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes note that the last apply of a commit has been applied.
    fn complete(&mut self, Completion { announced, step, journalled }: Completion) {
        self.journalled = journalled;
        self.superblock = self.committed.clone();
        let extent_bytes = self.extent_bytes();
        for ino in announced {
            self.cache.reaps.remove(&ino);
        }
        self.cache.all_clean(extent_bytes);
        self.cache.forget_undo();
        if let Some((ino, from)) = step {
            self.finish_reap_step(ino, from);
        }
        self.dirty_since = None;
        self.removals = 0;
        self.unsynced = true;
    }

    pub(crate) fn check_alive(&self) -> Result<()> {
        if self.state == State::Fenced { Err(Error::Fenced) } else { Ok(()) }
    }

    fn gather_metadata(&self, batch: &mut Batch) {
        let keys = &self.keys;
        for removed in &self.cache.dirty.removed {
            let ino = removed.ino;
            if removed.inode_stored {
                batch.delete(|key| keys.inode(ino, key));
            }
            if removed.orphan_stored {
                batch.delete(|key| keys.orphan(ino, key));
            }
            for name in &removed.names {
                batch.delete(|key| keys.dentry(ino, name, key));
            }
            for index in &removed.extents {
                batch.delete(|key| keys.extent(ino, ExtentIndex(*index), key));
            }
        }
        for (dir, name) in &self.cache.dirty.dentries {
            let Some(known) = self.cache.node(*dir).and_then(|node| node.dir.as_ref()) else { continue };
            let Some(slot) = known.slots.get(name).filter(|slot| slot.dirty) else { continue };
            match slot.entry {
                Some(entry) => {
                    let value = |key: &[u8], value: &mut Vec<u8>| dentry::encode(entry, key, value);
                    batch.put(|key| keys.dentry(*dir, name, key), value);
                }
                None if slot.stored => batch.delete(|key| keys.dentry(*dir, name, key)),
                None => {}
            }
        }
        for ino in &self.cache.dirty.inodes {
            let Some(node) = self.cache.node(*ino).filter(|node| node.dirty) else { continue };
            for index in &node.doomed {
                batch.delete(|key| keys.extent(*ino, ExtentIndex(*index), key));
            }
            let value = |key: &[u8], value: &mut Vec<u8>| node.inode.encode(key, value);
            batch.put(|key| keys.inode(*ino, key), value);
            if node.inode.nlink == 0 && (node.orphan_dirty || !node.orphan_stored) {
                batch.put(|key| keys.orphan(*ino, key), reap::encode_orphan);
            }
        }
        if self.cache.dirty.reaps > 0 {
            for (ino, pending) in self.cache.reaps.iter().filter(|(_, reap)| reap.dirty) {
                let record = reap::Reap { ino: *ino, from: pending.from, to: pending.to };
                let value = |key: &[u8], value: &mut Vec<u8>| reap::encode(record, key, value);
                batch.put(|key| keys.reap(*ino, key), value);
            }
        }
    }

    /// Seals the dirty extents and returns them: those bound to their inode's record, and the free ones.
    fn gather_extents(&mut self) -> (Vec<Outgoing>, Vec<Outgoing>) {
        let (mut bound, mut free) = (Vec::new(), Vec::new());
        if self.cache.dirty.extents.is_empty() {
            return (bound, free);
        }
        let mut key = Vec::with_capacity(64);
        let extents = std::mem::take(&mut self.cache.dirty.extents);
        for (ino, index) in &extents {
            let Some(extent) = self.cache.node_mut(*ino).and_then(|node| node.extents.get_mut(index)) else {
                continue;
            };
            if !extent.dirty {
                continue;
            }
            key.clear();
            self.keys.extent(*ino, ExtentIndex(*index), &mut key);
            seal(&key, tag::EXTENT, extent.value.to_mut());
            let outgoing = Outgoing { ino: *ino, index: *index, value_bytes: extent.value.len() };
            if extent.with_inode { bound.push(outgoing) } else { free.push(outgoing) }
        }
        self.cache.dirty.extents = extents;
        // An extent that was cut off and written again is listed twice.
        for list in [&mut bound, &mut free] {
            list.sort_unstable_by_key(|extent| (extent.ino, extent.index));
            list.dedup_by_key(|extent| (extent.ino, extent.index));
        }
        (bound, free)
    }

    fn push_extent(&self, batch: &mut Batch, extent: &Outgoing) {
        let (ino, index) = (extent.ino, extent.index);
        batch.put_extent(
            |key| self.keys.extent(ino, ExtentIndex(index), key),
            ino,
            index,
            extent.value_bytes,
        );
    }

    /// Whether the metadata, the superblock and these extents fit one apply.
    fn all_fit(&self, metadata: &Batch, extents: &[Outgoing]) -> bool {
        let bytes: usize = extents.iter().map(|extent| extent.value_bytes + MAX_KEY_BYTES).sum();
        metadata.len() + extents.len() < self.limits.max_batch_entries as usize
            && metadata.batch_bytes + bytes + RECORD_OVERHEAD_BYTES as usize
                <= self.limits.max_batch_bytes as usize
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
            batch.put(|key| self.keys.reap(*ino, key), value);
            last.delete(|key| self.keys.reap(*ino, key));
        }
        // Numbers whose extents are in the store are taken, also if their inodes never get there.
        let next_inode = self.superblock.next_inode;
        let mut rest = extents;
        while !rest.is_empty() && !self.all_fit(last, rest) {
            let mut sent = 0;
            for extent in rest {
                let room = self.all_fit(&batch, std::slice::from_ref(extent));
                if !room {
                    break;
                }
                self.push_extent(&mut batch, extent);
                sent += 1;
            }
            // The announcements alone may fill a batch; only a batch that can never hold an extent is wrong.
            if sent == 0 && batch.len() == 0 {
                return Err(Error::StoreLimits("an extent does not fit an apply"));
            }
            // Garbage from here on, should this commit not come to its end.
            for (ino, from, to) in &behind_end {
                self.cache.add_stored_reap(*ino, *from, *to);
            }
            let superblock = Superblock { next_inode, ..self.committed.clone() };
            self.apply_in_order(&batch, &superblock, &superblock)?;
            self.unsynced = true;
            // Some of the bytes may have replaced others, which are not known any more.
            self.cache.forget_undo();
            batch.clear();
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok((rest, behind_end.into_iter().map(|(ino, _, _)| ino).collect()))
    }

    /// Applies a batch in order, in as many applies as it takes. Each carries `superblock` with the next
    /// seq, the last one `at_last`.
    pub(crate) fn apply_in_order(
        &mut self,
        batch: &Batch,
        superblock: &Superblock,
        at_last: &Superblock,
    ) -> Result<()> {
        let superblock_bytes = self.keys.superblock().len() + self.committed.encoded_bytes();
        let entries_max = (self.limits.max_batch_entries as usize).saturating_sub(1);
        let bytes_max = (self.limits.max_batch_bytes as usize).saturating_sub(superblock_bytes);
        let mut start = 0;
        loop {
            let end = batch.piece(start, entries_max, bytes_max);
            let mut superblock = if end == batch.len() { at_last } else { superblock }.clone();
            superblock.seq = self.committed.seq.saturating_add(1);
            self.apply_range(batch, start..end, Some(superblock), Durability::Buffered)?;
            start = end;
            if start >= batch.len() {
                return Ok(());
            }
        }
    }

    pub(crate) fn apply(
        &mut self,
        batch: &Batch,
        superblock: Option<Superblock>,
        level: Durability,
    ) -> Result<()> {
        self.apply_range(batch, 0..batch.len(), superblock, level)
    }

    /// Applies some of a batch under the guard of the superblock, which `superblock` replaces.
    fn apply_range(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
        mut superblock: Option<Superblock>,
        level: Durability,
    ) -> Result<()> {
        if let Some(lower) = superblock.as_mut().and_then(|superblock| superblock.lower.as_mut()) {
            lower.written |= !range.is_empty();
        }
        let graves = self.graves(batch, range.clone())?;
        let key = self.keys.superblock();
        let value = superblock.as_ref().map(|superblock| superblock.encode(key));
        let mut mutations = batch.mutations(range, &self.cache, &graves);
        if let Some(value) = &value {
            mutations.push(crate::store::Mutation::Put { key, value });
        }
        let guard = Guard { key, expected: Some(&self.committed_value) };
        let outcome = self.store.apply(&[guard], &mutations, level);
        drop(mutations);
        match outcome {
            Ok(()) => {
                if let (Some(superblock), Some(value)) = (superblock, value) {
                    (self.committed, self.committed_value) = (superblock, value);
                }
                Ok(())
            }
            Err(StoreError::UnknownOutcome) => {
                let value = value.unwrap_or_else(|| self.committed_value.clone());
                self.state = State::InDoubt(Doubt { value, completes: None });
                Err(Error::Store(StoreError::UnknownOutcome))
            }
            Err(StoreError::Conflict) => {
                let found = self.store.get(&[key])?.into_iter().next().flatten();
                if found.as_deref() == Some(&self.committed_value) {
                    return Err(Error::Store(StoreError::Conflict));
                }
                self.state = State::Fenced;
                Err(Error::Fenced)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Finds out whether the apply of unknown outcome took, by the superblock that it carried. Until
    /// that is known nothing in memory may change: what is dirty may be stored.
    pub(crate) fn resolve_doubt(&mut self) -> Result<()> {
        let State::InDoubt(doubt) = &self.state else { return Ok(()) };
        let key = self.keys.superblock();
        let found = self.store.get(&[key])?.into_iter().next().flatten();
        let (took, did_not) =
            (found.as_deref() == Some(&doubt.value), found.as_deref() == Some(&self.committed_value));
        if !took && !did_not {
            self.state = State::Fenced;
            return Err(Error::Fenced);
        }
        if let State::InDoubt(doubt) = std::mem::replace(&mut self.state, State::Live)
            && took
        {
            self.committed = Superblock::decode(key, &doubt.value)?;
            self.committed_value = doubt.value;
            // Applied, but perhaps not made durable.
            self.unsynced = true;
            // Memory as it was before the change would not be what the store is.
            self.cache.forget_undo();
            if let Some(completes) = doubt.completes {
                self.complete(completes);
            }
        }
        Ok(())
    }
}

/// Longest key of an extent.
const MAX_KEY_BYTES: usize = 1 + 255 + 1 + 16;
