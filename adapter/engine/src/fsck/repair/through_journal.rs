//! Groups of changes that take effect together. A group that does not fit one apply goes through
//! the journal, as commits do.

use super::writer::{Change, Writer, mutation};
use crate::backing::journal_view::read_journal;
use crate::error::{Error, Result};
use crate::limits::MAX_JOURNAL_BYTES;
use crate::store::Mutation;
use crate::stored::key::tag;
use crate::stored::record::FRAME_BYTES;
use crate::stored::record::journal::{
    COMMIT_FIXED_BYTES, Commit, encode_changes, encode_commit, encode_part, sum,
};

impl Writer<'_> {
    /// Adds changes that take effect together or not at all.
    pub(super) fn put_group(&mut self, group: Vec<Change>) -> Result<()> {
        if group.len() > 1 && !self.fits_one_apply(&group) {
            return self.put_through_journal(group);
        }
        self.put_together(group)
    }

    pub(super) fn set_journal(&mut self, there: bool) {
        if let Some(superblock) = &mut self.superblock {
            superblock.set_journal(there);
        }
    }

    /// Stores a group that is too large for one apply. Changes of records that a journal does not
    /// carry follow it.
    fn put_through_journal(&mut self, group: Vec<Change>) -> Result<()> {
        self.flush()?;
        let carried = [tag::INODE, tag::DENTRY, tag::EXTENT, tag::REAP, tag::ORPHAN];
        let (group, others): (Vec<Change>, Vec<Change>) = group
            .into_iter()
            .partition(|(key, _)| self.keys.split(key).is_some_and(|(tag, _)| carried.contains(&tag)));
        let mutations: Vec<Mutation<'_>> = group.iter().map(mutation).collect();
        let bytes = encode_changes(&self.keys, &mutations)?;
        if bytes.len() > MAX_JOURNAL_BYTES {
            return Err(Error::StoreLimits("a repaired record does not fit the journal"));
        }
        let part_key = |writer: &Self, index| writer.key(|keys, key| keys.journal_part(index, key));
        let room = self.room().1.saturating_sub(part_key(self, 0).len());
        let chunk_bytes = room.min(self.limits().max_value_bytes as usize);
        let chunk_bytes = chunk_bytes.saturating_sub(FRAME_BYTES + COMMIT_FIXED_BYTES).max(1);
        let parts_bytes = bytes.len().saturating_sub(1) / chunk_bytes * chunk_bytes;
        let (ahead, rest) = bytes.split_at_checked(parts_bytes).unwrap_or_default();
        self.set_journal(true);
        let mut parts = 0;
        for chunk in ahead.chunks(chunk_bytes) {
            let (key, mut value) = (part_key(self, parts), Vec::new());
            encode_part(chunk, &key, &mut value);
            self.put((key, Some(value)))?;
            parts += 1;
        }
        self.flush()?;
        let record = Commit { parts, parts_bytes: parts_bytes as u64, parts_sum: sum(ahead), rest };
        let (key, mut value) = (self.key(|keys, key| keys.journal_commit(key)), Vec::new());
        encode_commit(&record, &key, &mut value);
        self.put((key, Some(value)))?;
        self.flush()?;
        self.settle_journal()?;
        others.into_iter().try_for_each(|change| self.put(change))
    }

    /// Puts the journal in place, and removes it. Returns whether there was one.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a committed journal that is not whole, which is not changed.
    pub(super) fn settle_journal(&mut self) -> Result<bool> {
        if !self.superblock.as_ref().is_some_and(|superblock| superblock.has_journal()) {
            return Ok(false);
        }
        let limits = *self.limits();
        let journal =
            read_journal(&mut self.store, &self.keys, limits.max_batch_entries, limits.max_batch_bytes)?;
        for (key, value) in journal.committed.unwrap_or_default() {
            self.put((key, value))?;
        }
        // Everything is in place before the journal becomes invalid, and it becomes invalid before
        // a part is missing.
        let commit = self.key(|keys, key| keys.journal_commit(key));
        for key in std::iter::once(commit).chain(journal.parts) {
            self.put((key, None))?;
        }
        self.flush()?;
        self.set_journal(false);
        self.put_superblock()?;
        Ok(true)
    }
}
