//! The segment that this opener writes.

use crate::directory::{Directory, File, IoError, IoKind};
use crate::lease::{Lease, remove};
use crate::list::List;
use crate::names::segment_name;
use crate::record::{Builder, FLAG_LIST, FLAG_NOTE, FLAG_SALT, FLAG_START, HEADER_BYTES, NOTE_SEQUENCE};
use crate::records::Records;
use crate::salt::Salt;
use kvfs_contract::StoreError;

/// The segment that this opener writes.
#[derive(Debug)]
pub(crate) struct Own<F> {
    pub(crate) lease: Lease<F>,
    pub(crate) file: F,
    pub(crate) salt: Salt,
    /// The end of its start, which is longer the more segments there are.
    pub(crate) start_bytes: u64,
    pub(crate) end: u64,
    pub(crate) sequence: u64,
    pub(crate) synced_to: u64,
    /// The end may hold a part of a record that was not acknowledged.
    leftover: bool,
}

/// Why a record was not written.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// Nobody takes what is left of it for a record, whatever a crash keeps and loses.
    Undone(StoreError),
    /// It may count after a crash, until the next call that writes.
    InDoubt,
    /// It is unknown what the file has. In words: why.
    Unknown(String),
}

/// Why a segment was not begun.
pub(crate) enum NotBegun {
    /// Its name is taken.
    Exists,
    /// It is not there, nor is any part of it that counts.
    Undone(StoreError),
    /// Its start may be there whole, so others may build on it.
    Unknown(StoreError),
}

impl<F: File> Own<F> {
    /// Begins the segment of a lease with a list.
    pub(crate) fn begin<D: Directory<File = F>>(
        directory: &D,
        lease: Lease<F>,
        list: &List,
        flags: u32,
    ) -> Result<Self, NotBegun> {
        let name = segment_name(lease.epoch);
        let salt = Salt::random(directory).map_err(NotBegun::Undone)?;
        let file = match directory.create(&name) {
            Ok(file) => file,
            Err(error) if error.kind == IoKind::Exists => return Err(NotBegun::Exists),
            Err(error) => return Err(NotBegun::Undone(error.at(&name))),
        };
        let mut start = Builder::with_list(salt, &list.to_bytes());
        let flags = FLAG_START | FLAG_LIST | FLAG_SALT | flags;
        let start = start.finish(flags, lease.epoch, 0, 0, 0, Salt::NONE);
        if let Err(error) = file.write(0, start) {
            // An opener that found the start whole may build on it, so only one that was cut off
            // may go.
            let cut_off = file.status().is_ok_and(|status| status.size_bytes < start.len() as u64);
            return Err(match cut_off && remove(directory, &name).is_ok() {
                true => NotBegun::Undone(error.at(&name)),
                false => NotBegun::Unknown(error.at(&name)),
            });
        }
        let end = start.len() as u64;
        Ok(Self { lease, file, salt, start_bytes: end, end, sequence: 1, synced_to: 0, leftover: false })
    }

    /// Walks over its records.
    pub(crate) fn records(&self) -> Records<'_, F> {
        Records::new(&self.file, self.lease.epoch, 0, self.end, Some(self.salt))
    }

    /// Makes a record of what goes to the end.
    pub(crate) fn finish(&self, builder: &mut Builder, flags: u32) {
        builder.finish(flags, self.lease.epoch, self.sequence, self.end, self.synced_to, self.salt);
    }

    /// Writes a record at the end.
    ///
    /// A write that the system reports as failed counts if all of it is there: a newer opener may
    /// have read it. Otherwise its header is overwritten, and that made durable: a crash might
    /// complete the record with bytes that lie, or will lie, behind what was written of it.
    ///
    /// # Cost
    ///
    /// One write; after a failure that left bytes behind, also a sync.
    pub(crate) fn write(&mut self, record: &[u8]) -> Result<(), NotWritten> {
        if self.leftover {
            self.clear_leftover()?;
        }
        let Err(error) = self.file.write(self.end, record) else { return Ok(()) };
        let undone = NotWritten::Undone(error.at(&self.name()));
        let size = self.file.status().map(|status| status.size_bytes);
        if size.as_ref().is_ok_and(|&size| size <= self.end) {
            return Err(undone);
        }
        let is_cut_off = size.is_ok_and(|size| size < self.end + record.len() as u64);
        if !is_cut_off {
            match self.file.read(self.end, record.len()) {
                Ok(there) if there == record => return Ok(()),
                Ok(_) => {}
                // A newer opener may have read it whole.
                Err(second) => {
                    let name = self.name();
                    let why = format!("{name}: a write failed ({error}), and so did reading it ({second})");
                    return Err(NotWritten::Unknown(why));
                }
            }
        }
        self.leftover = true;
        match self.clear_leftover() {
            // It is no record now, and the next call clears it before it writes.
            Err(NotWritten::Undone(_)) if is_cut_off => Err(undone),
            Err(NotWritten::Undone(_)) => Err(NotWritten::InDoubt),
            Err(unknown) => Err(unknown),
            Ok(()) => Err(undone),
        }
    }

    /// Makes the record that was written at the end a part of the segment.
    pub(crate) fn accept(&mut self, record: &[u8]) {
        self.end += record.len() as u64;
        self.sequence += 1;
    }

    /// Overwrites what may be left at the end of a record that was not acknowledged, and makes that
    /// durable.
    pub(crate) fn clear_leftover(&mut self) -> Result<(), NotWritten> {
        if !self.leftover {
            return Ok(());
        }
        let cleared = match self.synced_to == self.end {
            true => self.write_note(),
            false => self.file.write(self.end, &[0; HEADER_BYTES]),
        };
        cleared.map_err(|error| NotWritten::Undone(error.at(&self.name())))?;
        // On a full disk nothing else gives the room back. A failure leaves bytes without meaning.
        let _ = self.file.cut(self.end + HEADER_BYTES as u64);
        // A failed sync may drop other bytes of the file too.
        self.file.sync().map_err(|error| NotWritten::Unknown(format!("a sync failed ({error})")))?;
        self.leftover = false;
        Ok(())
    }

    /// Overwrites a record at the end that nobody counts, and makes that durable. Without it the
    /// record would count after a crash that loses everything of the openers who did not find it.
    pub(crate) fn void(&self) -> Result<(), IoError> {
        self.file.write(self.end, &[0; HEADER_BYTES])?;
        self.file.sync()
    }

    fn name(&self) -> String {
        segment_name(self.lease.epoch)
    }

    /// Notes, in memory and in the file, that all of the segment is durable.
    ///
    /// Without the note a reader could not tell bytes from before the last sync from the end that a
    /// crash leaves. The next record overwrites the note and says the same. A crash may lose the
    /// note, as it may lose a write that never happened.
    pub(crate) fn note_synced(&mut self) {
        self.synced_to = self.end;
        let _ = self.write_note();
    }

    fn write_note(&self) -> Result<(), IoError> {
        let (epoch, end) = (self.lease.epoch, self.end);
        let mut note = Builder::new();
        self.file.write(end, note.finish(FLAG_NOTE, epoch, NOTE_SEQUENCE, end, self.synced_to, self.salt))
    }
}
