//! The segment that this opener writes.

use crate::directory::{Directory, File, IoKind};
use crate::lease::{Lease, remove};
use crate::list::List;
use crate::names::segment_name;
use crate::record::{Builder, FLAG_LIST, FLAG_NOTE, FLAG_START, HEADER_BYTES, NOTE_SEQUENCE};
use kvfs_contract::StoreError;

/// The segment that this opener writes.
#[derive(Debug)]
pub(crate) struct Own<F> {
    pub(crate) lease: Lease<F>,
    pub(crate) file: F,
    /// The end of its start, which is longer the more segments there are.
    pub(crate) start_bytes: u64,
    pub(crate) end: u64,
    pub(crate) sequence: u64,
    pub(crate) synced_to: u64,
    /// The end may hold a whole record that was not acknowledged.
    pub(crate) leftover: bool,
    /// Up to where writes that failed may have left bytes.
    pub(crate) left_to: u64,
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
        let file = match directory.create(&name) {
            Ok(file) => file,
            Err(error) if error.kind == IoKind::Exists => return Err(NotBegun::Exists),
            Err(error) => return Err(NotBegun::Undone(error.at(&name))),
        };
        let start = Builder::with_list(&list.to_bytes());
        let start = start.finish(FLAG_START | FLAG_LIST | flags, lease.epoch, 0, 0, 0);
        if let Err(error) = file.write(0, &start) {
            // An opener that found the start whole may build on it, so only one that was cut off
            // may go.
            let cut_off = file.status().is_ok_and(|status| status.size_bytes < start.len() as u64);
            return Err(match cut_off && remove(directory, &name).is_ok() {
                true => NotBegun::Undone(error.at(&name)),
                false => NotBegun::Unknown(error.at(&name)),
            });
        }
        let end = start.len() as u64;
        Ok(Self {
            lease,
            file,
            start_bytes: end,
            end,
            sequence: 1,
            synced_to: 0,
            leftover: false,
            left_to: 0,
        })
    }

    /// Makes a record of what goes to the end.
    pub(crate) fn finish(&self, builder: Builder, flags: u32) -> Vec<u8> {
        builder.finish(flags, self.lease.epoch, self.sequence, self.end, self.synced_to)
    }

    /// Writes a record at the end. After an error no reader may take it for a record.
    pub(crate) fn write(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let end = self.end + record.len() as u64;
        // What a longer write left behind may look like records: values are whatever a guest wants.
        let written = match end < self.left_to {
            true => self.file.write(self.end, &[record, &[0; HEADER_BYTES]].concat()),
            false => self.file.write(self.end, record),
        };
        let Err(error) = written else { return Ok(()) };
        self.left_to = self.left_to.max(end);
        let cut_off = self.file.status().is_ok_and(|status| status.size_bytes < end);
        // It may be there whole. Without its header it is no record.
        if !cut_off && self.file.write(self.end, &[0; HEADER_BYTES]).is_err() {
            self.leftover = true;
            return Err(StoreError::UnknownOutcome);
        }
        Err(error.at(&segment_name(self.lease.epoch)))
    }

    /// Makes the record that was written at the end a part of the segment.
    pub(crate) fn accept(&mut self, record: &[u8]) {
        self.end += record.len() as u64;
        self.sequence += 1;
    }

    /// Removes what may be left at the end of a record that was not acknowledged.
    pub(crate) fn clear_leftover(&mut self) -> Result<(), StoreError> {
        if self.leftover {
            let cleared = self.file.write(self.end, &[0; HEADER_BYTES]);
            cleared.map_err(|error| error.at(&segment_name(self.lease.epoch)))?;
            self.leftover = false;
        }
        Ok(())
    }

    /// Notes, in memory and in the file, that all of the segment is durable.
    ///
    /// Without the note a reader could not tell bytes from before the last sync from the end that a
    /// crash leaves. The next record overwrites the note and says the same. A crash may lose the
    /// note, as it may lose a write that never happened.
    pub(crate) fn note_synced(&mut self) {
        self.synced_to = self.end;
        let note =
            Builder::new().finish(FLAG_NOTE, self.lease.epoch, NOTE_SEQUENCE, self.end, self.synced_to);
        let _ = self.file.write(self.end, &note);
    }
}
