//! Takes hints about reads to come.

use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::load;
use crate::types::Kind;
use crate::volume::Volume;

/// Most extents that one hint fetches.
const MAX_ADVISED_EXTENTS: u64 = 8;

impl Volume {
    /// Takes a hint that a range of a file will be read soon, and fetches the start of it.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] for a directory. A failed fetch is no error: the read reports it.
    ///
    /// # Cost
    /// Up to one `get`.
    pub fn will_need(&mut self, file: &Descriptor, offset: u64, length: u64) -> Result<()> {
        self.check_advice(file)?;
        let extent_bytes = self.backing.extent_bytes();
        let mut txn = self.begin()?;
        let size = txn.inode(file.ino)?.size;
        let end = size.min(offset.saturating_add(length));
        if offset < end {
            let first = offset / extent_bytes;
            let last = ((end - 1) / extent_bytes).min(first.saturating_add(MAX_ADVISED_EXTENTS - 1));
            let _ =
                load::extents(&mut txn.volume.backing, &mut txn.volume.cache, file.ino, first, last, false);
        }
        Ok(())
    }

    /// Checks that a descriptor takes hints. Hints other than [`Volume::will_need`] do nothing.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] for a directory.
    pub fn check_advice(&self, file: &Descriptor) -> Result<()> {
        if file.kind == Kind::File { Ok(()) } else { Err(Error::BadDescriptor) }
    }
}
