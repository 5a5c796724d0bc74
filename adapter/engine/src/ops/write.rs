use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::limits::WRITE_BYTES_MAX;
use crate::store::Durability;
use crate::txn::Finish;
use crate::volume::Volume;

/// Where a write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// To this offset.
    Offset(u64),
    /// To the file's end as it is at this moment.
    End,
}

impl Volume {
    /// Writes to a file and returns how many bytes were taken: all, but no more than
    /// [`crate::limits::WRITE_BYTES_MAX`]. Behind the end, the gap becomes a hole, which takes no room.
    ///
    /// # Errors
    /// [`crate::Error::BadDescriptor`] unless open for writing, [`crate::Error::FileTooLarge`],
    /// [`crate::Error::NoSpace`]. Nothing was written then.
    ///
    /// # Durability
    /// In memory, until the close, a sync, or a limit; durable at once on a descriptor opened so.
    ///
    /// # Cost
    /// Nothing, or one `get` for extents that are overwritten in part and not in memory, or a commit
    /// where too much is dirty.
    pub fn write(&mut self, file: &Descriptor, at: At, data: &[u8]) -> Result<usize> {
        let ino = file.writable_file()?;
        let data = data.get(..WRITE_BYTES_MAX).unwrap_or(data);
        if data.is_empty() {
            return Ok(0);
        }
        let sync = file.access.sync;
        let mut txn = self.begin_change(data.len())?;
        let offset = match at {
            At::Offset(offset) => offset,
            At::End => txn.inode(ino)?.size,
        };
        txn.prepare_write(ino, offset, data.len())?;
        let mut writes = txn.write();
        writes.write(ino, offset, data);
        writes.finish(Finish::Data)?;
        if sync {
            self.commit(Durability::Durable)?;
        }
        Ok(data.len())
    }
}
