//! Makes directories.

use crate::error::Result;
use crate::quota::Used;
use crate::stored::record::inode::Content;
use crate::storing::change::Change;
use crate::types::{Dentry, Kind};
use crate::volume::Volume;
use crate::walking::path::{Ending, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Makes an empty directory.
    ///
    /// # Errors
    /// [`crate::Error::Exist`] if the name exists, even as a symbolic link to nowhere.
    ///
    /// # Durability
    /// In the store when it returns, except in mode `lazy`.
    ///
    /// # Cost
    /// One `apply`, and those of the lookup.
    pub fn create_directory_at(&mut self, base: impl Into<Start>, path: &str) -> Result<()> {
        let dir = base.into().mutable_directory()?;
        let mut txn = self.begin_change(0)?;
        let found = resolve(&mut txn, dir, path, Ending::Name)?;
        let name = found.new_name(&mut txn, Kind::Directory)?;
        txn.check_growth(Used::inode(0).and(Used::name(name)).and(txn.copy_up(found.dir)))?;
        let mut writes = txn.into_writes(Change::Names)?;
        let ino = writes.create(Kind::Directory, found.dir, Content::None);
        writes.add_name(found.dir, name, Dentry::new(Kind::Directory, ino));
        writes.finish()
    }
}
