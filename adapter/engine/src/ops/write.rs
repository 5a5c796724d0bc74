//! Writes files, with a copy or without.

use crate::bytes::{Source, ToFill};
use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::limits::MAX_WRITE_BYTES;
use crate::storing::change::Change;
use crate::transaction::txn::{Txn, Writes};
use crate::types::InodeNo;
use crate::volume::Volume;
use std::borrow::Cow;

/// The place of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// At this offset.
    Offset(u64),
    /// At the current end of the file.
    End,
}

impl Volume {
    /// Writes to a file and returns how many bytes it took: all, up to
    /// [`crate::limits::MAX_WRITE_BYTES`], or fewer if the store failed on the way or the limit of
    /// [`crate::Quota::file_bytes`] was reached. A gap behind the end becomes a hole, which takes
    /// no room.
    ///
    /// # Errors
    /// [`crate::Error::BadDescriptor`] unless open for writing, [`crate::Error::FileTooLarge`],
    /// [`crate::Error::NoSpace`]. Nothing was written then. After an error of the store, in mode
    /// `strict` or on a descriptor opened for durable writes, the bytes may be stored or not.
    ///
    /// # Durability
    /// In memory until the close, a sync, or a limit. Durable at once on a descriptor opened for
    /// that.
    ///
    /// # Cost
    /// Nothing; one `get` for extents that are overwritten in part and not in memory; a commit if
    /// too much is dirty.
    pub fn write(&mut self, file: &Descriptor, at: At, data: &[u8]) -> Result<usize> {
        file.writable_file()?;
        let data = data.get(..MAX_WRITE_BYTES).unwrap_or(data);
        if data.is_empty() {
            return Ok(0);
        }
        if self.scrubs(file.ino) {
            return self.write_scrubbed(file.ino, file.access.sync, at, data);
        }
        let mut written = 0;
        while let Some(rest) = data.get(written..).filter(|rest| !rest.is_empty()) {
            let at = match at {
                At::Offset(offset) => At::Offset(offset.saturating_add(written as u64)),
                At::End => At::End,
            };
            match self.write_piece(file.ino, file.access.sync, at, rest) {
                Ok(length) => written += length,
                Err(error) if written == 0 => return Err(error),
                // Some bytes are written: the next call reports the error, if it lasts.
                Err(_) => break,
            }
        }
        Ok(written)
    }

    /// Writes without a copy, first half: makes room for `length` bytes and shows it piece by
    /// piece, for the caller to fill. Until the second half, [`Volume::placed`], the volume may
    /// only be read: a commit would store bytes that are not there yet.
    ///
    /// Returns false and changes nothing if one transaction cannot take all of it, or if the file
    /// is scrubbed: then the bytes must be seen first. Use [`Volume::write`] then.
    ///
    /// # Errors
    /// As [`Volume::write`]; nothing has changed then.
    ///
    /// # Cost
    /// As [`Volume::write`].
    pub fn place(
        &mut self,
        file: &Descriptor,
        at: At,
        length: usize,
        show: impl FnMut(&mut [u8]),
    ) -> Result<bool> {
        let ino = file.writable_file()?;
        if length == 0 || length > MAX_WRITE_BYTES || self.scrubs(ino) {
            return Ok(false);
        }
        let (txn, plan) = self.plan_write(ino, at, length, self.max_file_bytes())?;
        if plan.length < length {
            return Ok(false);
        }
        let mut writes = txn.into_writes_with(Change::Write, file.access.sync)?;
        plan.carry_out(&mut writes, ino, &mut ToFill(show));
        let now = writes.now;
        self.pending.placing = Some((ino, now));
        Ok(true)
    }

    /// Writes without a copy, second half: ends the write that [`Volume::place`] began.
    ///
    /// # Durability
    /// As [`Volume::write`].
    ///
    /// # Errors
    /// The store's, for a commit that the write causes. [`Error::Invalid`] without a first half on
    /// this file.
    pub fn placed(&mut self, file: &Descriptor) -> Result<()> {
        let (_, now) = self.pending.placing.take_if(|(ino, _)| *ino == file.ino).ok_or(Error::Invalid)?;
        Writes { volume: self, now, change: Change::Write, durable: file.access.sync }.finish()
    }

    /// Writes as much as one transaction takes, nearly always all, and returns how much.
    pub(super) fn write_piece(&mut self, ino: InodeNo, sync: bool, at: At, data: &[u8]) -> Result<usize> {
        self.write_piece_below(self.max_file_bytes(), (ino, sync), at, data)
    }

    /// As [`Volume::write_piece`], with another limit of files than the volume's.
    pub(super) fn write_piece_below(
        &mut self,
        max_file_bytes: u64,
        (ino, sync): (InodeNo, bool),
        at: At,
        data: &[u8],
    ) -> Result<usize> {
        let (mut txn, plan) = self.plan_write(ino, at, data.len(), max_file_bytes)?;
        let mut data = Cow::Borrowed(data);
        if plan.length < data.len() && txn.volume.scrubs(ino) {
            // The bytes behind the piece are the old ones still.
            let piece = data.get(..plan.length).unwrap_or_default();
            let masked = txn.mask_write(ino, plan.offset, piece)?;
            data = Cow::Owned(masked.written(plan.length).to_vec());
        }
        let mut writes = txn.into_writes_with(Change::Write, sync)?;
        plan.carry_out(&mut writes, ino, &mut &*data);
        writes.finish()?;
        Ok(plan.length)
    }

    /// Starts a transaction and plans its write.
    fn plan_write(
        &mut self,
        ino: InodeNo,
        at: At,
        length: usize,
        max_file_bytes: u64,
    ) -> Result<(Txn<'_>, Plan)> {
        let mut txn = self.begin_change(length)?;
        let offset = match at {
            At::Offset(offset) => offset,
            At::End => txn.inode(ino)?.size,
        };
        let length = Txn::within_file_limit(max_file_bytes, offset, length)?;
        let overwrites = txn.is_overwrite(ino, offset, length)?;
        let length = if overwrites { length } else { txn.prepare_write(ino, offset, length)? };
        Ok((txn, Plan { offset, length, overwrites }))
    }
}

/// The write of one transaction.
struct Plan {
    offset: u64,
    length: usize,
    /// It only replaces bytes in memory.
    overwrites: bool,
}

impl Plan {
    fn carry_out(&self, writes: &mut Writes<'_>, ino: InodeNo, source: &mut impl Source) {
        if self.overwrites {
            writes.overwrite(ino, self.offset, self.length, source);
        } else {
            writes.write_bytes(ino, self.offset, self.length, source);
        }
    }
}
