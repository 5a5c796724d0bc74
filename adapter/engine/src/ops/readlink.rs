//! Reads the targets of symbolic links.

use crate::error::{Error, Result};
use crate::stored::record::inode::Content;
use crate::volume::Volume;
use crate::walking::path::{Ending, Follow, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Returns the target of a symbolic link, as it was written.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    ///
    /// # Cost
    /// As [`Volume::stat_at`].
    pub fn readlink_at(&mut self, base: impl Into<Start>, path: &str) -> Result<String> {
        let dir = base.into().directory()?;
        let mut txn = self.begin()?;
        let entry = resolve(&mut txn, dir, path, Ending::Object(Follow::No))?.existing()?;
        match &txn.inode_of(entry)?.content {
            Content::Target(target) => Ok(target.to_string()),
            _ => Err(Error::Invalid),
        }
    }
}
