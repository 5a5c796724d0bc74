//! Removes names of files and symbolic links.

use crate::error::{Error, Result};
use crate::storing::change::Change;
use crate::types::Kind;
use crate::volume::Volume;
use crate::walking::path::{Ending, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Removes a name of a file or symbolic link. A file without names exists while it is open.
    ///
    /// # Errors
    /// [`Error::IsDirectory`] for a directory, [`Error::NotDirectory`] for anything else with a
    /// slash behind its name.
    ///
    /// # Durability
    /// Stored with the next stored change, or after [`crate::limits::MAX_GATHERED_REMOVALS`]
    /// removals; in mode `strict` at once. A kill before that brings the name back.
    ///
    /// A failed commit of other changes does not fail a removal: the next change reports it. In
    /// mode `strict`, and when one commit can hold no more, the removal itself reports it.
    ///
    /// # Cost
    /// One `apply`, and those of the lookup, for any size of the file: later commits delete many
    /// extents.
    pub fn unlink_file_at(&mut self, base: impl Into<Start>, path: &str) -> Result<()> {
        let dir = base.into().mutable_directory()?;
        let mut txn = self.begin_removal()?;
        let found = resolve(&mut txn, dir, path, Ending::Name)?;
        let (name, entry) = found.old_name(&txn, Error::IsDirectory)?;
        if entry.kind == Kind::Directory {
            return Err(Error::IsDirectory);
        }
        // A slash behind the name of a link asks for its directory, which has another name.
        if found.must_be_dir {
            return Err(Error::NotDirectory);
        }
        txn.inode_of(entry)?;
        txn.volume.note_place(entry.ino, found.place());
        txn.inode(found.dir)?;
        let mut writes = txn.into_writes(Change::Removal)?;
        writes.remove_name(found.dir, name, entry);
        writes.drop_link(entry.ino);
        writes.finish()
    }
}
