//! Failed commits: which caller is told, and how operations go on when the store is full.
//!
//! Changes that could not be stored stay dirty. This module is about the callers.
//!
//! - A dropped descriptor, a removal and a change that only gathers cannot report a failed commit.
//!   The next change or sync reports it once, before it changes anything.
//! - Once the store was full, a change that may need room is stored before it returns, or is
//!   refused and changes nothing, until a write is stored. Removals and cuts gather: they free
//!   room.

use super::change::Change;
use crate::cache::Counts;
use crate::error::Result;
use crate::options::Mode;
use crate::store::Durability;
use crate::volume::Volume;

impl Volume {
    /// Notes a failure that the caller cannot report, for example of a dropped descriptor. The next
    /// change or sync reports it, unless everything dirty is stored by then.
    pub fn tell_later(&mut self, outcome: Result<()>) {
        self.pending.untold |= outcome.is_err();
    }

    /// Commits for an operation that only reads, and does not report a failure. Returns whether
    /// everything is stored.
    pub(crate) fn commit_for_a_look(&mut self) -> bool {
        let untold = self.pending.untold;
        let stored = self.commit(Durability::Buffered).is_ok();
        self.pending.untold = untold && !stored;
        stored
    }

    /// Called before a change: reports an unreported failure, and refuses a change that may need
    /// room while the dirty state finds none.
    ///
    /// # Cost
    /// Nothing, unless a commit has failed.
    #[inline(always)]
    pub(crate) fn settle_unstored(&mut self, change: Change) -> Result<()> {
        if self.pending.full || self.pending.untold { self.settle_failure(change) } else { Ok(()) }
    }

    #[cold]
    fn settle_failure(&mut self, change: Change) -> Result<()> {
        let due = change != Change::Removal || self.options.mode == Mode::Strict;
        match due && (self.pending.untold || !change.frees()) {
            true => self.commit(Durability::Buffered),
            false => Ok(()),
        }
    }

    /// Returns whether a change that would only gather is stored at once.
    pub(crate) fn is_stored_at_once(&self, change: Change) -> bool {
        self.pending.full && !change.frees()
    }

    /// Returns what the caller of a change is told of its commit. `at_once`: the change itself had
    /// to be stored. Undoes a change that is refused because the store is full.
    pub(crate) fn answer(&mut self, change: Change, at_once: bool, outcome: Result<()>) -> Result<()> {
        let Err(error) = outcome else {
            // Only a stored write shows that there is room: anything else may just be small.
            self.pending.full &= change != Change::Write;
            return Ok(());
        };
        let promised = match (self.options.mode, change) {
            (Mode::Strict, _) | (Mode::Close, Change::Names) => true,
            (Mode::Close, Change::Replacement) => !error.is_store_full(),
            _ => at_once,
        };
        if !promised {
            self.pending.untold = true;
            return Ok(());
        }
        if error.is_store_full() {
            self.undo();
        }
        Err(error)
    }

    /// Undoes the refused change, if memory was as the store before it.
    fn undo(&mut self) {
        let extent_bytes = self.backing.extent_bytes();
        let Some(undone) = self.cache.undo(extent_bytes) else { return };
        let (superblock, before) = (&mut self.pending.superblock, undone.counts);
        superblock.set_used(before.used);
        // Numbers whose bytes went ahead stay reserved.
        superblock.next_inode = before.next_inode.max(self.backing.committed.next_inode);
        // Their removal was undone too.
        self.orphans.queue.extend(undone.orphans);
        (self.pending.since, self.pending.removals) = (None, 0);
    }

    /// Starts to log a change for undoing. Only a change of a clean cache can be undone, and only
    /// one that is stored before it returns needs to be.
    pub(crate) fn prepare_undo(&mut self, change: Change, durable: bool) {
        let stored = match self.options.mode {
            _ if durable => true,
            Mode::Strict => true,
            // A replacement waits if the store is full.
            Mode::Close => change == Change::Names || self.is_stored_at_once(change),
            Mode::Lazy => self.is_stored_at_once(change),
        };
        let counts = Counts { used: self.used(), next_inode: self.pending.superblock.next_inode };
        self.cache.prepare_undo(stored, counts);
    }
}
