//! Gives a file one more name.

use crate::error::{Error, Result};
use crate::limits::MAX_LINKS;
use crate::quota::Used;
use crate::storing::change::Change;
use crate::types::{Dentry, Kind};
use crate::volume::Volume;
use crate::walking::path::{Ending, Follow, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Gives a file or symbolic link one more name.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for a directory, [`Error::Exist`], [`Error::TooManyLinks`],
    /// [`Error::CrossDevice`] if the policy gives more rights at the new name than at the old one,
    /// or if only one of the names is scrubbed.
    ///
    /// # Durability
    /// In the store when it returns, except in mode `lazy`.
    ///
    /// # Cost
    /// One `apply`, and those of the lookups.
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
        let old = resolve(&mut txn, old_dir, old_path, Ending::Object(follow))?;
        let entry = old.existing()?;
        let found = resolve(&mut txn, new_dir, new_path, Ending::New)?;
        let name = found.new_name(&mut txn, Kind::File)?;
        if entry.kind == Kind::Directory {
            return Err(Error::NotPermitted);
        }
        txn.check_no_more_rights(old.place(), found.place())?;
        if entry.kind == Kind::File
            && txn.volume.scrubs_at(old.place()) != txn.volume.scrubs_at(found.place())
        {
            return Err(Error::CrossDevice);
        }
        if txn.inode_of(entry)?.nlink >= MAX_LINKS {
            return Err(Error::TooManyLinks);
        }
        txn.volume.note_place(entry.ino, old.place());
        txn.volume.note_name(entry.ino, old.dir, old.name.as_deref());
        txn.check_growth(Used::name(name).and(txn.copy_up(entry.ino)).and(txn.copy_up(found.dir)))?;
        let mut writes = txn.into_writes(Change::Names)?;
        writes.edit(entry.ino, |inode, now| {
            inode.nlink = inode.nlink.saturating_add(1);
            inode.ctime = now;
        });
        writes.add_name(found.dir, name, Dentry::new(entry.kind, entry.ino));
        writes.finish()
    }
}
