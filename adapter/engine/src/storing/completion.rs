//! The end of a commit: its last apply, and what memory notes when it was applied.

use crate::backing::batch::Batch;
use crate::backing::doubt::{Completion, Resolved};
use crate::error::Result;
use crate::store::Durability;
use crate::stored::record::superblock::Superblock;
use crate::volume::Volume;

impl Volume {
    /// Applies what ends a commit.
    pub(crate) fn apply_last(
        &mut self,
        batch: &Batch,
        superblock: Superblock,
        level: Durability,
        completes: Completion,
    ) -> Result<()> {
        match self.backing.apply(batch, &self.cache, Some(superblock), level) {
            Ok(()) => self.complete(completes),
            Err(error) => {
                self.backing.complete_if_applied(completes);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes note that the last apply of a commit has been applied.
    fn complete(&mut self, Completion { announced, step, journalled }: Completion) {
        self.backing.journal.changes = journalled;
        self.pending.superblock = self.backing.committed.clone();
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

    /// Finds out whether the apply of unknown outcome took, if there is one, and ends its commit if
    /// it did.
    pub(crate) fn resolve_doubt(&mut self) -> Result<()> {
        if let Resolved::Applied(completion) = self.backing.resolve_doubt()? {
            // Memory as it was before the change would not be what the store is.
            self.cache.forget_undo();
            if let Some(completion) = completion {
                self.complete(completion);
            }
        }
        Ok(())
    }
}
