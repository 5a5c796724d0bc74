//! Removes directories.

use crate::error::{Error, Result};
use crate::storing::change::Change;
use crate::types::Kind;
use crate::volume::Volume;
use crate::walking::path::{Ending, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Removes an empty directory. Open descriptors of it stay valid and see no entries.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::NotDirectory`] (also for a symbolic link to one),
    /// [`Error::Busy`] for a mountpoint, [`Error::Invalid`] for a path that ends in `.`; one that
    /// ends in `..` is never empty.
    ///
    /// # Durability
    /// With the next change that is stored, or after [`crate::limits::MAX_GATHERED_REMOVALS`]
    /// removals; in mode `strict` at once. A kill before that brings the name back.
    ///
    /// As [`Volume::unlink_file_at`] it does not fail for what others wrote.
    ///
    /// # Cost
    /// One `apply`, and the lookup's.
    pub fn remove_directory_at(&mut self, base: impl Into<Start>, path: &str) -> Result<()> {
        let dir = base.into().mutable_directory()?;
        let mut txn = self.begin_removal()?;
        let found = resolve(&mut txn, dir, path, Ending::Name)?;
        let dots = if found.ends_up { Error::NotEmpty } else { Error::Invalid };
        let (name, entry) = found.old_name(&txn, dots)?;
        if entry.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        if txn.volume.mountpoints.cover(entry.ino) {
            return Err(Error::Busy);
        }
        if txn.inode_of(entry)?.size > 0 {
            return Err(Error::NotEmpty);
        }
        txn.inode(found.dir)?;
        let mut writes = txn.into_writes(Change::Removal)?;
        writes.remove_name(found.dir, name, entry);
        writes.drop_link(entry.ino);
        writes.finish()
    }
}
