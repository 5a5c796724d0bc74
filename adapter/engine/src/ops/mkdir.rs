use crate::error::{Error, Result};
use crate::mount::Start;
use crate::path::resolve_name;
use crate::record::inode::Content;
use crate::txn::Change;
use crate::types::{Dentry, Kind};
use crate::volume::Volume;

impl Volume {
    /// Makes an empty directory.
    ///
    /// # Errors
    /// [`Error::Exist`] if there is something of this name, a symbolic link to nowhere included.
    ///
    /// # Durability
    /// In the store when it returns, but in mode `lazy`.
    ///
    /// # Cost
    /// One `apply`, and the lookup's.
    pub fn create_directory_at(&mut self, base: impl Into<Start>, path: &str) -> Result<()> {
        let dir = base.into().mutable_directory()?;
        let mut txn = self.begin_change(0)?;
        let found = resolve_name(&mut txn, dir, path)?;
        if found.entry.is_some() {
            return Err(Error::Exist);
        }
        let name = found.last_name(Error::Exist)?;
        txn.check_accepts_names(found.dir)?;
        txn.check_growth(0, 1)?;
        let mut writes = txn.write(Change::Names)?;
        let ino = writes.create(Kind::Directory, found.dir, Content::None);
        writes.add_name(found.dir, name, Dentry::new(Kind::Directory, ino));
        writes.finish()
    }
}
