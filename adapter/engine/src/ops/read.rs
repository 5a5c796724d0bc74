use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::limits::READ_BYTES_MAX;
use crate::volume::Volume;

impl Volume {
    /// Appends up to `length` bytes of a file, from `offset` on, to `out`.
    ///
    /// Returns how many; less than asked only at the file's end and over
    /// [`crate::limits::READ_BYTES_MAX`], 0 at or behind the end. The access time stays.
    ///
    /// # Errors
    /// [`crate::Error::BadDescriptor`] unless open for reading, [`crate::Error::IsDirectory`],
    /// [`crate::Error::Damaged`] rather than wrong bytes.
    ///
    /// # Cost
    /// Nothing for what is in memory; one `get` for all that is not, with some extents ahead for a
    /// sequential reader. A small file lies in its inode.
    pub fn read(
        &mut self,
        file: &Descriptor,
        offset: u64,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize> {
        let ino = file.readable_file()?;
        let before = out.len();
        self.begin()?.read(ino, offset, length.min(READ_BYTES_MAX), out)?;
        Ok(out.len() - before)
    }
}
