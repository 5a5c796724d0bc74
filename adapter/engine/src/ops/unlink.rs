use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::path::{Follow, resolve};
use crate::txn::Finish;
use crate::types::Kind;
use crate::volume::Volume;

impl Volume {
    /// Removes a name of a file or symbolic link. A file without names stays while it is open.
    ///
    /// # Errors
    /// [`Error::IsDirectory`] for a directory.
    ///
    /// # Durability
    /// With the next change that is stored, or after [`crate::limits::GATHERED_REMOVALS_MAX`] removals; in
    /// mode `strict` at once. A kill before that brings the name back.
    ///
    /// # Cost
    /// One `apply`, and the lookup's, however large the file is: many extents are deleted with the
    /// commits that follow.
    pub fn unlink_file_at(&mut self, base: &Descriptor, path: &str) -> Result<()> {
        let dir = base.mutable_directory()?;
        let mut txn = self.begin_change(0)?;
        let found = resolve(&mut txn, dir, path, Follow::No)?;
        let entry = found.existing()?;
        let name = found.last_name(Error::IsDirectory)?;
        if entry.kind == Kind::Directory {
            return Err(Error::IsDirectory);
        }
        txn.inode_of(entry)?;
        txn.inode(found.dir)?;
        let mut writes = txn.write();
        writes.remove_name(found.dir, name, entry);
        writes.drop_link(entry.ino);
        writes.finish(Finish::Removal)
    }
}
