//! Tells what a policy allows.

use crate::error::Result;
use crate::policy::Rights;
use crate::volume::Volume;
use crate::walking::path::{Ending, Follow, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Returns the rights that the policy gives at the end of a path. Whether the volume and the
    /// descriptor take changes is another matter.
    ///
    /// # Errors
    /// Those of path resolution.
    ///
    /// # Cost
    /// As [`Volume::stat_at`].
    pub fn rights_at(&mut self, base: impl Into<Start>, path: &str, follow: Follow) -> Result<Rights> {
        let dir = base.into().directory()?;
        let mut txn = self.begin()?;
        let found = resolve(&mut txn, dir, path, Ending::Object(follow))?;
        found.existing()?;
        Ok(txn.volume.rights(found.place()))
    }
}
