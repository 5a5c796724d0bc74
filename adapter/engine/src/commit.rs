//! Takes what is dirty to the store: one apply if it fits, extents first and the rest last if not.
//!
//! Every apply is guarded on the superblock as this opener last wrote it, so nothing is stored after
//! another opener has raised the epoch. Everything dirty goes along, so what the store holds is always
//! the state at some moment of the past, but for bytes of the writes that a cut interrupted.

use crate::batch::Batch;
use crate::dirty::PendingReap;
use crate::error::{Error, Result};
use crate::key::tag;
use crate::limits::{DIRECT_DELETES_MAX, REAP_STEP_EXTENTS, SYMLINK_BYTES_MAX};
use crate::record::{dentry, reap, seal, superblock::Superblock};
use crate::store::{Durability, Guard, StoreError};
use crate::types::{ExtentIndex, InodeNo};
use crate::volume::{RECORD_OVERHEAD_BYTES, State, Volume};

/// Reap records that may wait before commits stop to drain them: an opener reads them all.
const REAPS_MAX: usize = 128;

/// How often a commit of unknown outcome is repeated before the caller is told.
const DOUBT_ATTEMPTS: u32 = 2;

/// Inodes without a name that one commit removes along: each may cost a `get`.
const RECLAIMS_PER_COMMIT: u32 = 8;

/// Garbage ranges wider than this are searched for what exists instead of deleted blindly.
const REAP_BLIND_EXTENTS_MAX: u64 = 4096;

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
struct Completion {
    /// Inodes whose announcement of garbage was taken back.
    announced: Vec<InodeNo>,
    /// Garbage that went along, and where the rest of it starts.
    step: Option<(InodeNo, u64)>,
}

/// Garbage extents to delete, and where the garbage starts after that.
struct ReapStep {
    indices: Vec<u64>,
    next: u64,
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
    /// Nothing that failed to be stored is forgotten: it stays dirty and the next commit carries it.
    pub(crate) fn commit(&mut self, level: Durability) -> Result<()> {
        let mut outcome = self.commit_once(level);
        // Going on resolves the doubt first, and repeats only what did not take.
        for _ in 0..DOUBT_ATTEMPTS {
            if outcome != Err(Error::Store(StoreError::UnknownOutcome)) {
                break;
            }
            outcome = self.commit_once(level);
        }
        outcome
    }

    fn commit_once(&mut self, level: Durability) -> Result<()> {
        self.check_alive()?;
        self.resolve_doubt()?;
        if self.cache.dirty.is_empty() {
            if level == Durability::Durable && self.unsynced {
                self.apply(&Batch::default(), None, level)?;
                self.unsynced = false;
            }
            return Ok(());
        }
        self.reclaim_orphans();
        self.drain_where_files_grew()?;
        while self.cache.reaps.values().filter(|reap| reap.stored).count() > REAPS_MAX {
            let Some(ino) = self.cache.reaps.iter().find(|(_, reap)| reap.stored).map(|(ino, _)| *ino) else {
                break;
            };
            self.drain_reap(ino)?;
        }

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
        let completes = Completion { announced, step };
        match self.apply(batch, Some(superblock), level) {
            Ok(()) => self.complete(completes),
            Err(error) => {
                if let State::InDoubt(doubt) = &mut self.state {
                    doubt.completes = Some(completes);
                }
                return Err(error);
            }
        }
        self.unsynced = level == Durability::Buffered;
        Ok(())
    }

    /// Takes note that the last apply of a commit has been applied.
    fn complete(&mut self, Completion { announced, step }: Completion) {
        self.superblock = self.committed.clone();
        let extent_bytes = self.extent_bytes();
        for ino in announced {
            self.cache.reaps.remove(&ino);
        }
        self.cache.all_clean(extent_bytes);
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

    /// Makes sure that what the next operation changes still fits one apply with what is dirty.
    ///
    /// # Cost
    /// Nothing, or a commit.
    pub(crate) fn make_room(&mut self, data_bytes: usize) -> Result<()> {
        let extent_bytes = self.committed.extent_bytes.saturating_add(RECORD_OVERHEAD_BYTES) as usize;
        let entries = ENTRIES_PER_OPERATION + self.direct_deletes_max() as usize;
        let dirty = &self.cache.dirty;
        let full = !self.fits(entries, 2, extent_bytes)
            || dirty.bytes.saturating_add(data_bytes) > self.options.dirty_bytes_max;
        if full && !dirty.is_empty() { self.commit(Durability::Buffered) } else { Ok(()) }
    }

    /// Whether so many more mutations, of them `records` with the bytes of a small file, and so many
    /// bytes of extents fit one apply with everything that must go together already.
    fn fits(&self, entries: usize, records: usize, extent_bytes: usize) -> bool {
        let dirty = &self.cache.dirty;
        let content_bytes = (self.committed.inline_bytes as usize).max(SYMLINK_BYTES_MAX);
        let entries = dirty.metadata_entries() + entries;
        let bytes = (dirty.inodes.len() + records).saturating_mul(content_bytes)
            + entries.saturating_mul(RECORD_OVERHEAD_BYTES as usize)
            + dirty.with_inode_bytes
            + extent_bytes;
        entries <= self.limits.max_batch_entries as usize && bytes <= self.limits.max_batch_bytes as usize
    }

    /// How many extents can be bound to their inodes by the next operation, after
    /// [`Volume::make_room`]: at least one.
    pub(crate) fn bound_extents_room(&self) -> u64 {
        let dirty = &self.cache.dirty;
        let entries = dirty.metadata_entries() + ENTRIES_PER_OPERATION;
        let free = (self.limits.max_batch_entries as usize).saturating_sub(entries);
        let extent_bytes = self.committed.extent_bytes.saturating_add(2 * RECORD_OVERHEAD_BYTES) as usize;
        // Halving until it fits: exact enough, and the largest stores take one look.
        let mut count = free;
        while count > 1 && !self.fits(ENTRIES_PER_OPERATION, 2, count.saturating_mul(extent_bytes)) {
            count /= 2;
        }
        count.max(1) as u64
    }

    /// Whether the removal of an inode fits too.
    pub(crate) fn fits_removal(&self) -> bool {
        self.fits(2 + self.direct_deletes_max() as usize, 0, 0)
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
            seal(&key, tag::EXTENT, &mut extent.value);
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
        let mut rest = extents;
        while !self.all_fit(last, rest) {
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
            let mut superblock = self.committed.clone();
            superblock.seq = superblock.seq.saturating_add(1);
            // Numbers whose extents are in the store are taken, also if their inodes never get there.
            superblock.next_inode = self.superblock.next_inode;
            // Garbage from here on, should this commit not come to its end.
            for (ino, from, to) in &behind_end {
                self.cache.add_stored_reap(*ino, *from, *to);
            }
            self.apply(&batch, Some(superblock), Durability::Buffered)?;
            self.unsynced = true;
            batch.clear();
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok((rest, behind_end.into_iter().map(|(ino, _, _)| ino).collect()))
    }

    /// Applies a batch under the guard of the superblock, which `superblock` replaces.
    fn apply(&mut self, batch: &Batch, superblock: Option<Superblock>, level: Durability) -> Result<()> {
        let key = self.keys.superblock();
        let value = superblock.as_ref().map(|superblock| superblock.encode(key));
        let mut mutations = batch.mutations(&self.cache);
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
            if let Some(completes) = doubt.completes {
                self.complete(completes);
            }
        }
        Ok(())
    }

    /// Removes some of the inodes that wait for it, with the commit under way. What fails here is tried
    /// again by the next opener: the record stays.
    fn reclaim_orphans(&mut self) {
        for _ in 0..RECLAIMS_PER_COMMIT {
            self.load_more_orphans();
            if self.orphans.is_empty() || !self.fits_removal() {
                break;
            }
            let Some(ino) = self.orphans.pop_front() else { break };
            // A page of the store's records may name what this opener has removed, or has open.
            let removed = self.cache.dirty.removed.iter().any(|removed| removed.ino == ino);
            if removed || self.load_node(ino).is_err() {
                continue;
            }
            let Some(node) = self.cache.node_mut(ino) else { continue };
            if node.inode.nlink == 0 && node.open == 0 {
                node.orphan_stored = true;
                self.destroy(ino);
            }
        }
    }

    pub(crate) fn direct_deletes_max(&self) -> u64 {
        DIRECT_DELETES_MAX.min(u64::from(self.limits.max_batch_entries / 4))
    }

    /// Deletes the garbage that files with dirty bytes have grown over, before those bytes are stored.
    fn drain_where_files_grew(&mut self) -> Result<()> {
        if self.cache.reaps.is_empty() {
            return Ok(());
        }
        let extent_bytes = self.extent_bytes();
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
    fn drain_reap(&mut self, ino: InodeNo) -> Result<()> {
        while self.cache.reaps.contains_key(&ino) {
            let room =
                (self.limits.max_batch_entries / 2).min(self.limits.max_batch_bytes / RECORD_OVERHEAD_BYTES);
            let step = self.reap_step(ino, u64::from(room.min(self.page_entries())))?;
            let next = step.next;
            let mut batch = Batch::default();
            self.push_reap(&mut batch, ino, step);
            let mut superblock = self.committed.clone();
            superblock.seq = superblock.seq.saturating_add(1);
            self.apply(&batch, Some(superblock), Durability::Buffered)?;
            self.unsynced = true;
            self.finish_reap_step(ino, next);
        }
        Ok(())
    }

    /// Garbage extents that one apply takes along.
    fn reap_step_extents(&self) -> u64 {
        REAP_STEP_EXTENTS.min(u64::from(self.limits.max_batch_entries / 4))
    }

    /// The next extents to delete, up to `extents_max` and no less than half of that if there are as many.
    ///
    /// # Cost
    /// Nothing for a narrow range, whose extents are deleted whether they exist or not. In a wide one,
    /// which may be mostly holes, a `scan` finds some that do; what comes behind the last of them may be
    /// dense, and some of it is deleted blindly too.
    fn reap_step(&mut self, ino: InodeNo, extents_max: u64) -> Result<ReapStep> {
        let Some(reap) = self.cache.reaps.get(&ino).copied() else {
            return Ok(ReapStep { indices: Vec::new(), next: u64::MAX });
        };
        let mut indices = Vec::new();
        let mut blind = reap.from;
        if reap.to.saturating_sub(reap.from) > REAP_BLIND_EXTENTS_MAX {
            let (mut start, mut end) = (Vec::new(), Vec::new());
            self.keys.extent(ino, ExtentIndex(reap.from), &mut start);
            self.keys.extent(ino, ExtentIndex(reap.to), &mut end);
            let entries_max = u32::try_from(extents_max / 2).unwrap_or(u32::MAX).max(1);
            let found = self.store.scan(&start, &end, entries_max, self.page_bytes())?;
            let inside = |index: &u64| (reap.from..reap.to).contains(index);
            indices.extend(
                found.iter().filter_map(|entry| self.keys.extent_index(ino, &entry.key)).filter(inside),
            );
            blind = indices.last().map_or(reap.to, |last| last.saturating_add(1));
        }
        let left = extents_max.saturating_sub(indices.len() as u64);
        let next = blind.saturating_add(left).min(reap.to);
        indices.extend(blind..next);
        Ok(ReapStep { indices, next })
    }

    fn push_reap(&self, batch: &mut Batch, ino: InodeNo, ReapStep { indices, next }: ReapStep) {
        for index in indices {
            batch.delete(|key| self.keys.extent(ino, ExtentIndex(index), key));
        }
        match self.cache.reaps.get(&ino) {
            Some(reap) if next < reap.to => {
                let record = reap::Reap { ino, from: next, to: reap.to };
                let value = |key: &[u8], value: &mut Vec<u8>| reap::encode(record, key, value);
                batch.put(|key| self.keys.reap(ino, key), value);
            }
            _ => batch.delete(|key| self.keys.reap(ino, key)),
        }
    }

    /// Lets a commit take some garbage along, if there is any and room for it.
    fn push_reap_step(&mut self, batch: &mut Batch, announced: &[InodeNo]) -> Option<(InodeNo, u64)> {
        let may = |ino: &InodeNo, reap: &PendingReap| reap.stored && !reap.dirty && !announced.contains(ino);
        let ino = self.cache.reaps.iter().find(|(ino, reap)| may(ino, reap)).map(|(ino, _)| *ino)?;
        let room = self.reap_step_extents() as usize + 2;
        if batch.len() + room > self.limits.max_batch_entries as usize
            || batch.batch_bytes + room * RECORD_OVERHEAD_BYTES as usize
                > self.limits.max_batch_bytes as usize
        {
            return None;
        }
        // Garbage that cannot be looked for now is looked for with the next commit.
        let step = self.reap_step(ino, self.reap_step_extents()).ok()?;
        let next = step.next;
        self.push_reap(batch, ino, step);
        Some((ino, next))
    }

    fn finish_reap_step(&mut self, ino: InodeNo, next: u64) {
        if let Some(reap) = self.cache.reaps.get_mut(&ino) {
            reap.from = next;
            if reap.from >= reap.to {
                self.cache.reaps.remove(&ino);
            }
        }
    }
}

/// Records that one operation may change besides file data: a rename over an open file changes two
/// directories, two entries, two inodes and an orphan record; a removal takes direct deletes along.
const ENTRIES_PER_OPERATION: usize = 9;

/// Longest key of an extent.
const MAX_KEY_BYTES: usize = 1 + 255 + 1 + 16;
