use crate::error::{Error, Result};
use crate::limits::LINKS_MAX;
use crate::mount::Start;
use crate::path::{Follow, resolve, resolve_name};
use crate::txn::Change;
use crate::types::{Dentry, Kind};
use crate::volume::Volume;

impl Volume {
    /// Gives a file or symbolic link one more name.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for a directory, [`Error::Exist`], [`Error::TooManyLinks`].
    ///
    /// # Durability
    /// In the store when it returns, but in mode `lazy`.
    ///
    /// # Cost
    /// One `apply`, and the lookups'.
    pub fn link_at(
        &mut self,
        old_base: impl Into<Start>,
        old_path: &str,
        follow: Follow,
        new_base: impl Into<Start>,
        new_path: &str,
    ) -> Result<()> {
        let (old_dir, new_dir) = (old_base.into().mutable_directory()?, new_base.into().mutable_directory()?);
        let mut txn = self.begin_change(0)?;
        let entry = resolve(&mut txn, old_dir, old_path, follow)?.existing()?;
        let found = resolve_name(&mut txn, new_dir, new_path)?;
        if found.entry.is_some() {
            return Err(Error::Exist);
        }
        if found.must_be_dir {
            return Err(Error::NoEntry);
        }
        let name = found.last_name(Error::Exist)?;
        if entry.kind == Kind::Directory {
            return Err(Error::NotPermitted);
        }
        txn.check_accepts_names(found.dir)?;
        if txn.inode_of(entry)?.nlink >= LINKS_MAX {
            return Err(Error::TooManyLinks);
        }
        let mut writes = txn.write(Change::Names)?;
        writes.edit(entry.ino, |inode, now| {
            inode.nlink = inode.nlink.saturating_add(1);
            inode.ctime = now;
        });
        writes.add_name(found.dir, name, Dentry::new(entry.kind, entry.ino));
        writes.finish()
    }
}
