//! Makes everything durable.

use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::store::Durability;
use crate::volume::Volume;

impl Volume {
    /// Makes everything on the volume durable, not this file alone.
    ///
    /// # Errors
    /// The store's. Everything stays dirty then: a later sync does not succeed before all of it is
    /// stored.
    ///
    /// # Cost
    /// One `apply`, none if nothing happened since the last durable one.
    pub fn sync(&mut self, _descriptor: &Descriptor) -> Result<()> {
        self.commit(Durability::Durable)
    }

    /// Stores everything, durably, as the end of a program does.
    ///
    /// # Errors
    /// The store's. Everything stays dirty then: another call tries again.
    ///
    /// # Cost
    /// One `apply`, or more if the changes exceed the store's batch limits; none if nothing has
    /// changed since the last one.
    pub fn sync_all(&mut self) -> Result<()> {
        self.commit(Durability::Durable)
    }
}
