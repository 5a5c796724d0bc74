//! Removes names of files and symbolic links.

use crate::error::{Error, Result};
use crate::storing::change::Change;
use crate::types::Kind;
use crate::volume::Volume;
use crate::walking::path::{Ending, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Removes a name of a file or symbolic link. A file without names stays while it is open.
    ///
    /// # Errors
    /// [`Error::IsDirectory`] for a directory, [`Error::NotDirectory`] for anything else with a
    /// slash behind its name.
    ///
    /// # Durability
    /// With the next change that is stored, or after [`crate::limits::MAX_GATHERED_REMOVALS`]
    /// removals; in mode `strict` at once. A kill before that brings the name back.
    ///
    /// A removal does not fail for what others wrote: if it brings a commit, and that fails, the
    /// next change tells the error. In mode `strict`, and when as much waits as one commit can
    /// hold, the removal itself tells it.
    ///
    /// # Cost
    /// One `apply`, and the lookup's, however large the file is: many extents are deleted with the
    /// commits that follow.
    pub fn unlink_file_at(&mut self, base: impl Into<Start>, path: &str) -> Result<()> {
        let dir = base.into().mutable_directory()?;
        let mut txn = self.begin_removal()?;
        let found = resolve(&mut txn, dir, path, Ending::Name)?;
        let (name, entry) = found.old_name(&txn, Error::IsDirectory)?;
        if entry.kind == Kind::Directory {
            return Err(Error::IsDirectory);
        }
        // A slash behind the name of a link asks for the directory that it leads to, which has
        // another.
        if found.must_be_dir {
            return Err(Error::NotDirectory);
        }
        txn.inode_of(entry)?;
        txn.inode(found.dir)?;
        let mut writes = txn.into_writes(Change::Removal)?;
        writes.remove_name(found.dir, name, entry);
        writes.drop_link(entry.ino);
        writes.finish()
    }
}
