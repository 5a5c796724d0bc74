//! What a volume may hold: settable, and counted exactly whether it is set or not.

use crate::batch::Batch;
use crate::error::Result;
use crate::record::superblock::Superblock;
use crate::store::{Durability, StoreError};
use crate::volume::Volume;

/// How much a volume may hold. Growth over it is refused with [`crate::Error::Quota`]; what a volume
/// holds already stays, and everything else goes on working.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Bytes of files and of links' targets, holes not counted; `None` for no limit.
    pub bytes: Option<u64>,
    /// Files, directories (the root is one) and links; `None` for no limit.
    pub inodes: Option<u64>,
}

impl Quota {
    pub(crate) fn put_into(self, superblock: &mut Superblock) {
        superblock.quota_bytes = self.bytes.unwrap_or(u64::MAX);
        superblock.quota_inodes = self.inodes.unwrap_or(u64::MAX);
    }

    fn of(superblock: &Superblock) -> Quota {
        let limit = |number: u64| (number != u64::MAX).then_some(number);
        Quota { bytes: limit(superblock.quota_bytes), inodes: limit(superblock.quota_inodes) }
    }
}

impl Volume {
    /// Returns what the volume may hold. [`Volume::used`] is what it does hold.
    pub fn quota(&self) -> Quota {
        Quota::of(&self.superblock)
    }

    /// Sets what the volume may hold, for this and all later openers. It may be less than it holds.
    ///
    /// # Durability
    /// Durable when it returns, with everything applied before; what only waits in memory stays there.
    ///
    /// # Errors
    /// The store's; nothing has changed then. If the outcome is unknown, the new quota counts, and the next
    /// commit stores it.
    ///
    /// # Cost
    /// One `apply`.
    pub fn set_quota(&mut self, quota: Quota) -> Result<()> {
        self.check_alive()?;
        self.resolve_doubt()?;
        let before = self.quota();
        let mut superblock = self.committed.clone();
        superblock.seq = superblock.seq.saturating_add(1);
        quota.put_into(&mut superblock);
        quota.put_into(&mut self.superblock);
        let outcome = self.apply(&Batch::default(), Some(superblock), Durability::Durable);
        match &outcome {
            Ok(()) => self.unsynced = false,
            Err(crate::Error::Store(StoreError::UnknownOutcome)) => self.unsynced = true,
            Err(_) => before.put_into(&mut self.superblock),
        }
        outcome
    }
}
