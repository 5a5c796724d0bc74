//! Sets a volume's quota.

use crate::error::{Error, Result};
use crate::quota::Quota;
use crate::store::{Durability, StoreError};
use crate::volume::Volume;

impl Volume {
    /// Sets what the volume may hold, for this and all later openers. It may be less than it holds.
    ///
    /// # Durability
    /// Durable when it returns, with everything applied before; what only waits in memory stays
    /// there.
    ///
    /// # Errors
    /// The store's; nothing has changed then. If the outcome is unknown, the new quota counts, and
    /// the next commit stores it.
    ///
    /// # Cost
    /// One `apply`.
    pub fn set_quota(&mut self, quota: Quota) -> Result<()> {
        self.backing.check_alive()?;
        self.resolve_doubt()?;
        let before = self.quota();
        let mut superblock = self.backing.committed.clone();
        superblock.seq = superblock.seq.saturating_add(1);
        superblock.set_quota(quota);
        self.pending.superblock.set_quota(quota);
        let outcome = self.backing.apply_superblock(superblock, Durability::Durable);
        match &outcome {
            Ok(()) => self.backing.unsynced = false,
            Err(Error::Store(StoreError::UnknownOutcome)) => self.backing.unsynced = true,
            Err(_) => self.pending.superblock.set_quota(before),
        }
        outcome
    }
}
