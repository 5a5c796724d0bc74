use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::limits::WRITE_BYTES_MAX;
use crate::store::Durability;
use crate::txn::Finish;
use crate::types::InodeNo;
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
    /// [`crate::limits::WRITE_BYTES_MAX`], and less if the store failed on the way. Behind the end, the
    /// gap becomes a hole, which takes no room.
    ///
    /// # Errors
    /// [`crate::Error::BadDescriptor`] unless open for writing, [`crate::Error::FileTooLarge`],
    /// [`crate::Error::NoSpace`]. Nothing was written then; an error of the store in mode `strict` or on
    /// a descriptor opened for durable writes leaves open what is stored.
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
        let mut written = 0;
        while let Some(rest) = data.get(written..).filter(|rest| !rest.is_empty()) {
            let at = match at {
                At::Offset(offset) => At::Offset(offset.saturating_add(written as u64)),
                At::End => At::End,
            };
            match self.write_piece(ino, at, rest) {
                Ok(length) => written += length,
                Err(error) if written == 0 => return Err(error),
                // What is written is written; the next call meets the error again, if it lasts.
                Err(_) => break,
            }
        }
        if file.access.sync {
            self.commit(Durability::Durable)?;
        }
        Ok(written)
    }

    /// Writes what one transaction takes, nearly always all, and returns how much that is.
    fn write_piece(&mut self, ino: InodeNo, at: At, data: &[u8]) -> Result<usize> {
        let mut txn = self.begin_change(data.len())?;
        let offset = match at {
            At::Offset(offset) => offset,
            At::End => txn.inode(ino)?.size,
        };
        if txn.is_overwrite(ino, offset, data.len())? {
            let mut writes = txn.write()?;
            writes.overwrite(ino, offset, data);
            writes.finish(Finish::Data)?;
            return Ok(data.len());
        }
        let length = txn.prepare_write(ino, offset, data.len())?;
        let piece = data.get(..length).unwrap_or(data);
        let mut writes = txn.write()?;
        writes.write(ino, offset, piece);
        writes.finish(Finish::Data)?;
        Ok(piece.len())
    }
}
