//! Sets a volume's quota.

use crate::error::{Error, Result};
use crate::quota::Quota;
use crate::store::{Durability, StoreError};
use crate::volume::Volume;

impl Volume {
    /// Sets the quota, for this and all later openers. It may be less than the volume holds.
    ///
    /// # Durability
    /// Durable when it returns, together with everything applied before. Dirty state stays in
    /// memory.
    ///
    /// # Errors
    /// The store's, and nothing has changed. If the outcome is unknown, the new quota counts, and
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
