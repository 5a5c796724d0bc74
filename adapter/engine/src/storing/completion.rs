//! The end of a commit: its last apply, after which everything is clean.

use crate::backing::batch::Batch;
use crate::backing::doubt::{Completion, Resolved};
use crate::error::Result;
use crate::store::Durability;
use crate::volume::Volume;

impl Volume {
    /// Applies the last batch of a commit, with the pending superblock.
    pub(crate) fn apply_last(
        &mut self,
        batch: &Batch,
        level: Durability,
        completes: Completion,
    ) -> Result<()> {
        match self.backing.apply(batch, &self.cache, &mut self.pending.superblock, level) {
            Ok(()) => self.complete(completes),
            Err(error) => {
                self.backing.complete_if_applied(completes);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Marks everything clean once the last batch of a commit was applied.
    fn complete(&mut self, Completion { announced, step, journalled }: Completion) {
        self.backing.journal.changes = journalled;
        debug_assert_eq!(self.pending.superblock, self.backing.committed);
        let extent_bytes = self.backing.extent_bytes();
        for ino in announced {
            self.cache.reaps.remove(&ino);
        }
        self.cache.all_clean(extent_bytes);
        self.cache.forget_undo();
        if let Some((ino, from)) = step {
            self.cache.advance_reap(ino, from);
        }
        self.pending.since = None;
        self.pending.removals = 0;
        self.backing.unsynced = true;
    }

    /// Resolves an apply of unknown outcome, if there is one, and ends its commit if it was
    /// applied.
    #[inline]
    pub(crate) fn resolve_doubt(&mut self) -> Result<()> {
        if self.backing.is_live() { Ok(()) } else { self.resolve() }
    }

    #[cold]
    fn resolve(&mut self) -> Result<()> {
        if let Resolved::Applied(completion) = self.backing.resolve_doubt()? {
            // Undoing would make memory differ from the store.
            self.cache.forget_undo();
            self.adopt_scrubbing();
            if let Some(completion) = completion {
                self.pending.superblock = self.backing.committed.clone();
                self.complete(completion);
            }
        }
        Ok(())
    }
}
