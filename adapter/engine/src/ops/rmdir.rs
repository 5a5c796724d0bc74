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
    /// [`Error::NotEmpty`], also for a path that ends in `..`; [`Error::NotDirectory`], also for a
    /// symbolic link to a directory; [`Error::Busy`] for a mountpoint; [`Error::Invalid`] for a
    /// path that ends in `.`.
    ///
    /// # Durability
    /// Stored with the next stored change, or after [`crate::limits::MAX_GATHERED_REMOVALS`]
    /// removals; in mode `strict` at once. A kill before that brings the name back.
    ///
    /// As with [`Volume::unlink_file_at`], a failed commit of other changes does not fail it.
    ///
    /// # Cost
    /// One `apply`, and those of the lookup.
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
