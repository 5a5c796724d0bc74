//! Makes symbolic links.

use crate::error::{Error, Result};
use crate::quota::Used;
use crate::stored::record::inode::Content;
use crate::storing::change::Change;
use crate::types::{Dentry, Kind};
use crate::volume::Volume;
use crate::volume::room::max_symlink_bytes;
use crate::walking::path::{Ending, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Makes a symbolic link to `target`, which need not exist.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for an absolute target, which no path could follow,
    /// [`Error::Exist`], [`Error::NoEntry`] for an empty one, [`Error::NameTooLong`] for more than
    /// 4,095 bytes or an extent, [`Error::Invalid`] for a NUL byte.
    ///
    /// # Durability
    /// In the store when it returns, except in mode `lazy`.
    ///
    /// # Cost
    /// One `apply`, and those of the lookup.
    pub fn symlink_at(&mut self, target: &str, base: impl Into<Start>, path: &str) -> Result<()> {
        if target.starts_with('/') {
            return Err(Error::NotPermitted);
        }
        self.import_symlink_at(target, base, path)
    }

    /// As [`Volume::symlink_at`], for a link that is imported unchanged: its target may be
    /// absolute. Such a link can be read; following it is [`Error::NotPermitted`].
    ///
    /// # Errors
    /// As there, without [`Error::NotPermitted`].
    pub fn import_symlink_at(&mut self, target: &str, base: impl Into<Start>, path: &str) -> Result<()> {
        let dir = base.into().mutable_directory()?;
        if target.is_empty() {
            return Err(Error::NoEntry);
        }
        if target.len() > max_symlink_bytes(self.backing.committed.extent_bytes) {
            return Err(Error::NameTooLong);
        }
        if target.as_bytes().contains(&0) {
            return Err(Error::Invalid);
        }
        let target = self.masked_name(target).into_owned();
        let mut txn = self.begin_change(0)?;
        let found = resolve(&mut txn, dir, path, Ending::New)?;
        let name = found.new_name(&mut txn, Kind::Symlink)?;
        let link = Used::inode(target.len() as u64);
        txn.check_growth(link.and(Used::name(name)).and(txn.copy_up(found.dir)))?;
        let mut writes = txn.into_writes(Change::Names)?;
        let ino = writes.create(Kind::Symlink, found.dir, Content::Target(target.into()));
        writes.add_name(found.dir, name, Dentry::new(Kind::Symlink, ino));
        writes.finish()
    }
}
