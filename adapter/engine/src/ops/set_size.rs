//! Truncates and extends files.

use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::types::Kind;
use crate::volume::Volume;

impl Volume {
    /// Truncates a file, or extends it by a hole.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] for a directory, [`Error::Invalid`] if it is not open for writing,
    /// both as wasmtime's host file system; [`Error::FileTooLarge`].
    ///
    /// # Durability
    /// As a write.
    ///
    /// # Cost
    /// Nothing, or one `get` for the extent in which the file ends. If a file with holes is
    /// truncated, a `scan` for the extents that it loses.
    pub fn set_size(&mut self, file: &Descriptor, size: u64) -> Result<()> {
        if file.kind != Kind::File {
            return Err(Error::BadDescriptor);
        }
        if !file.access.write {
            return Err(Error::Invalid);
        }
        if size > 0 && self.scrubs(file.ino) {
            // The extent in which it ends is stored anew.
            self.look_through(file.ino)?;
        }
        let mut txn = self.begin_change(0)?;
        let resize = txn.prepare_resize(file.ino, size)?;
        let mut writes = txn.into_writes_with(resize.change(), file.access.sync)?;
        writes.resize(file.ino, resize);
        writes.finish()
    }
}
