//! Commits that are too large for one apply: written to a journal first, then put in place.
//!
//! One apply writes the commit record, which makes the journal valid. From then on readers see its
//! changes, here through the journal's view, and an opener after a cut puts them in place. Before
//! that it means nothing, and an opener deletes it. `FORMAT.md` has the bytes and the argument.

use crate::backing::Journal;
use crate::backing::batch::{Batch, Piece};
use crate::backing::doubt::Completion;
use crate::backing::journal_view::read_journal;
use crate::error::{Error, Result};
use crate::limits::MAX_JOURNAL_BYTES;
use crate::store::{Durability, StoreError};
use crate::stored::record::FRAME_BYTES;
use crate::stored::record::journal::{
    COMMIT_FIXED_BYTES, Commit, decode_changes, encode_changes, encode_commit, encode_part, sum,
};
use crate::volume::Volume;

/// How often an opener tries to put a journal in place if outcomes are unknown.
const SETTLE_ATTEMPTS: u32 = 3;

impl Volume {
    /// Commits what does not fit one apply. It succeeds once the commit record is in the store. The
    /// changes are put in place now, or before the next commit if that fails.
    pub(crate) fn commit_through_journal(
        &mut self,
        batch: &Batch,
        level: Durability,
        mut completes: Completion,
    ) -> Result<()> {
        let tombstones = self.backing.tombstones(batch, 0..batch.len())?;
        let whole = Piece { batch, range: 0..batch.len(), cache: &self.cache, tombstones: &tombstones };
        let bytes = encode_changes(&self.backing.keys, &whole.mutations())?;
        if bytes.len() > MAX_JOURNAL_BYTES {
            return Err(Error::StoreLimits("a commit does not fit the journal"));
        }
        // The last chunk lies in the commit record itself; small commits have no other.
        let chunk_bytes = self.journal_chunk_bytes();
        let parts_bytes = bytes.len().saturating_sub(1) / chunk_bytes * chunk_bytes;
        let (ahead, rest) = bytes.split_at_checked(parts_bytes).unwrap_or_default();
        let mut parts = Batch::default();
        for (index, chunk) in (0_u64..).zip(ahead.chunks(chunk_bytes)) {
            parts.put(
                |key| self.backing.keys.journal_part(index, key),
                |key, value| encode_part(chunk, key, value),
            );
            let mut key = Vec::new();
            self.backing.keys.journal_part(index, &mut key);
            self.backing.journal.parts.push(key);
        }
        let parts_count = parts.len() as u64;
        if parts_count > 0 {
            let mut superblock = self.backing.committed.clone();
            superblock.set_journal(true);
            self.backing.apply_in_order(&parts, &self.cache, &superblock, &superblock)?;
            self.backing.unsynced = true;
        }
        let mut commit = Batch::default();
        let record =
            Commit { parts: parts_count, parts_bytes: parts_bytes as u64, parts_sum: sum(ahead), rest };
        commit.put(
            |key| self.backing.keys.journal_commit(key),
            |key, value| encode_commit(&record, key, value),
        );
        self.pending.superblock.seq = self.backing.committed.seq.saturating_add(1);
        self.pending.superblock.set_journal(true);
        completes.journalled = decode_changes(&self.backing.keys, &bytes)?;
        self.apply_last(&commit, level, completes)?;
        // The commit is done. If this fails, the next commit or the next opener tries again.
        let _ = self.settle_journal();
        Ok(())
    }

    /// Bytes of changes in one record of the journal.
    fn journal_chunk_bytes(&self) -> usize {
        let mut key = Vec::new();
        self.backing.keys.journal_part(0, &mut key);
        let superblock_bytes = self.backing.keys.superblock().len() + self.backing.committed.encoded_bytes();
        let batch_room =
            (self.backing.limits.max_batch_bytes as usize).saturating_sub(superblock_bytes + key.len());
        let value_room = (self.backing.limits.max_value_bytes as usize).min(batch_room);
        value_room.saturating_sub(FRAME_BYTES + COMMIT_FIXED_BYTES).max(1)
    }

    /// Puts the changes of a committed journal in place, and deletes the journal.
    ///
    /// # Cost
    /// Nothing if there is no journal.
    #[inline]
    pub(crate) fn settle_journal(&mut self) -> Result<()> {
        let journal = &self.backing.journal;
        let is_there =
            self.backing.committed.has_journal() || !journal.changes.is_empty() || !journal.parts.is_empty();
        if is_there { self.put_journal_in_place() } else { Ok(()) }
    }

    #[cold]
    fn put_journal_in_place(&mut self) -> Result<()> {
        if self.backing.committed.has_journal() {
            let mut batch = Batch::default();
            for (key, value) in &self.backing.journal.changes {
                let set_key = |out: &mut Vec<u8>| out.extend_from_slice(key);
                match value {
                    Some(bytes) => batch.put(set_key, |_, value| value.extend_from_slice(bytes)),
                    None => batch.delete(set_key),
                }
            }
            // The order matters: everything is in place before the journal becomes invalid, and it
            // becomes invalid before a part is missing.
            batch.delete(|key| self.backing.keys.journal_commit(key));
            for part in &self.backing.journal.parts {
                batch.delete(|key| key.extend_from_slice(part));
            }
            let superblock = self.backing.committed.clone();
            let mut without = superblock.clone();
            without.set_journal(false);
            self.backing.apply_in_order(&batch, &self.cache, &superblock, &without)?;
        }
        self.backing.journal.changes.clear();
        self.backing.journal.parts.clear();
        Ok(())
    }

    /// Puts a former opener's journal in place if it is committed, or else deletes it.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a committed journal that is not whole, and the store's. A full store
    /// is no error: the volume can be read, and the next commit puts the rest in place.
    pub(crate) fn recover_journal(&mut self) -> Result<()> {
        if !self.backing.committed.has_journal() {
            return Ok(());
        }
        let (max_entries, max_bytes) = (self.backing.page_entries(), self.backing.page_bytes());
        let journal = read_journal(&mut *self.backing.store, &self.backing.keys, max_entries, max_bytes)?;
        self.backing.journal =
            Journal { changes: journal.committed.unwrap_or_default(), parts: journal.parts };
        let mut outcome = self.settle_journal();
        for _ in 1..SETTLE_ATTEMPTS {
            if outcome != Err(Error::Store(StoreError::UnknownOutcome)) {
                break;
            }
            outcome = self.resolve_doubt().and_then(|()| self.settle_journal());
        }
        match outcome {
            Err(Error::Store(StoreError::QuotaExceeded)) => Ok(()),
            outcome => outcome,
        }
    }
}
