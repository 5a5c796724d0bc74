//! Commits that failed: who is told, and what a full store means for the operations that follow.
//!
//! Nothing that failed to be stored is forgotten: it stays dirty. This module is about the callers.
//!
//! - A close by a drop, a removal and a change that only gathers cannot tell that a commit failed.
//!   The next change, or sync, tells it once, before it changes anything.
//! - Once the store has refused for want of room, a change that may need room is stored before it
//!   returns, or is refused and has changed nothing, until a write is stored. Removals and cuts
//!   gather: they give room back.

use super::change::Change;
use crate::cache::Counts;
use crate::error::Result;
use crate::options::Mode;
use crate::store::Durability;
use crate::volume::Volume;

impl Volume {
    /// Notes a failure that the caller has nobody to tell of: it dropped a descriptor, say. The
    /// next change or sync tells it, unless what is dirty could be stored by then.
    pub fn tell_later(&mut self, outcome: Result<()>) {
        self.pending.untold |= outcome.is_err();
    }

    /// Stores what is dirty for who only looks: a failure is not theirs to know. Returns whether
    /// all is stored.
    pub(crate) fn commit_for_a_look(&mut self) -> bool {
        let untold = self.pending.untold;
        let stored = self.commit(Durability::Buffered).is_ok();
        self.pending.untold = untold && !stored;
        stored
    }

    /// Comes before a change, while nothing has changed yet: tells what nobody was told, and
    /// refuses what may need room as long as what is dirty finds none.
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

    /// Whether a change that has no commit of its own gets one.
    pub(crate) fn is_stored_at_once(&self, change: Change) -> bool {
        self.pending.full && !change.frees()
    }

    /// Says what a change's caller is told of its commit, which the change itself has asked for if
    /// `at_once`. A change that is refused for want of room is undone.
    pub(crate) fn answer(&mut self, change: Change, at_once: bool, outcome: Result<()>) -> Result<()> {
        let Err(error) = outcome else {
            // Whatever else was stored may just have been small.
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

    /// Makes memory what the store is, if it was before the change that the store has refused.
    fn undo(&mut self) {
        let extent_bytes = self.backing.extent_bytes();
        let Some(undone) = self.cache.undo(extent_bytes) else { return };
        let (superblock, before) = (&mut self.pending.superblock, undone.counts);
        superblock.set_used(before.used);
        // Numbers under which bytes went ahead are taken.
        superblock.next_inode = before.next_inode.max(self.backing.committed.next_inode);
        // Their removal went along.
        self.orphans.queue.extend(undone.orphans);
        (self.pending.since, self.pending.removals) = (None, 0);
    }

    /// Gets ready to undo a change: only one that starts from what is stored can be undone, and
    /// only one that is stored before it returns needs to be.
    pub(crate) fn prepare_undo(&mut self, change: Change, durable: bool) {
        let stored = match self.options.mode {
            _ if durable => true,
            Mode::Strict => true,
            // A replacement that finds no room waits.
            Mode::Close => change == Change::Names || self.is_stored_at_once(change),
            Mode::Lazy => self.is_stored_at_once(change),
        };
        let counts = Counts { used: self.used(), next_inode: self.pending.superblock.next_inode };
        self.cache.prepare_undo(stored, counts);
    }
}
