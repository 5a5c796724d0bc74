//! Reads files, with a copy or without.

use crate::bytes::Lend;
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::limits::MAX_READ_BYTES;
use crate::volume::Volume;

impl Volume {
    /// Appends up to `length` bytes of a file, from `offset` on, to `out`.
    ///
    /// Returns how many: all of `length`, up to [`crate::limits::MAX_READ_BYTES`] and the end of
    /// the file; 0 at or behind the end. The access time stays.
    ///
    /// # Errors
    /// [`crate::Error::BadDescriptor`] unless open for reading, [`crate::Error::IsDirectory`],
    /// [`crate::Error::Damaged`] rather than wrong bytes.
    ///
    /// # Cost
    /// Nothing for bytes in memory, one `get` for all others. A sequential reader gets some extents
    /// ahead. A small file lies in its inode.
    pub fn read(
        &mut self,
        file: &Descriptor,
        offset: u64,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize> {
        let ino = file.readable_file()?;
        let before = out.len();
        self.begin()?.read(ino, offset, length.min(MAX_READ_BYTES), out)?;
        Ok(out.len() - before)
    }

    /// Reads without a copy: shows the bytes that [`Volume::read`] would append, piece by piece, in
    /// place. They stay there unchanged until the volume is used again.
    ///
    /// Returns how many, with the rules, errors and cost of [`Volume::read`].
    pub fn lend(
        &mut self,
        file: &Descriptor,
        offset: u64,
        length: usize,
        show: impl FnMut(&[u8]),
    ) -> Result<usize> {
        let ino = file.readable_file()?;
        let mut lend = Lend { show, count: 0 };
        self.begin()?.read(ino, offset, length.min(MAX_READ_BYTES), &mut lend)?;
        Ok(lend.count)
    }
}
