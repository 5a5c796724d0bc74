//! Makes everything durable.

use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::store::Durability;
use crate::volume::Volume;

impl Volume {
    /// Makes everything durable that was done on the volume, not this file alone.
    ///
    /// # Errors
    /// The store's. A failed sync stays failed until one succeeds: nothing dirty is ever taken for
    /// stored.
    ///
    /// # Cost
    /// One `apply`, none if nothing happened since the last durable one.
    pub fn sync(&mut self, _descriptor: &Descriptor) -> Result<()> {
        self.commit(Durability::Durable)
    }

    /// Stores everything, durably. What a program's end does.
    ///
    /// # Errors
    /// The store's. Nothing is forgotten: calling it again tries again.
    ///
    /// # Cost
    /// One `apply`, or more if the changes are over the store's batch limits; none if nothing was
    /// changed since the last one.
    pub fn sync_all(&mut self) -> Result<()> {
        self.commit(Durability::Durable)
    }
}
