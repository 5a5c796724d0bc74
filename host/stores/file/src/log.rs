//! The files of an open store: a segment to append to, older ones to read from, and the index in
//! memory.

use crate::directory::{Directory, File, IoError};
use crate::index::{Index, Location};
use crate::lease::Lease;
use crate::record::{Builder, FLAG_NOTE, HEADER_BYTES, NOTE_SEQUENCE};
use crate::reserve;
use crate::segment::segment_name;
use kvfs_contract::{Mutation, StoreError};

/// The files of an open store, and its state.
#[derive(Debug)]
pub(crate) struct Log<D: Directory> {
    pub(crate) directory: D,
    pub(crate) own: Own<D::File>,
    /// The segments before the own one, oldest first.
    pub(crate) older: Vec<Older<D::File>>,
    pub(crate) index: Index,
    pub(crate) state: State,
    /// Size of the files at which compaction is tried again.
    pub(crate) compact_at_bytes: u64,
    /// On a full disk: compaction is tried once so few bytes are live.
    pub(crate) full_until_live_bytes: Option<u64>,
    pub(crate) options: Options,
}

/// Options for opening a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Least garbage for a compaction, which also waits until garbage is more than the live bytes;
    /// 16 MiB unless told.
    pub min_garbage_bytes: u64,
    /// Room kept on the disk for opening and removing when it is full; 1 MiB unless told.
    pub reserve_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { min_garbage_bytes: 16 << 20, reserve_bytes: 1 << 20 }
    }
}

/// The segment that this opener writes.
#[derive(Debug)]
pub(crate) struct Own<F> {
    pub(crate) lease: Lease<F>,
    pub(crate) file: F,
    pub(crate) end: u64,
    pub(crate) sequence: u64,
    pub(crate) synced_to: u64,
    /// The file's name is durable, and so are all names before it.
    pub(crate) name_synced: bool,
    /// The end may hold a whole record that was not acknowledged.
    pub(crate) leftover: bool,
}

impl<F: File> Own<F> {
    /// Writes a record at the end. After an error no reader may take it for a record.
    fn write_record(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let Err(error) = self.file.write(self.end, record) else { return Ok(()) };
        let cut_off = |size_bytes| size_bytes < self.end + record.len() as u64;
        let cut_off = self.file.status().is_ok_and(|status| cut_off(status.size_bytes));
        // It may be there whole. Without its header it is no record.
        if !cut_off && self.file.write(self.end, &[0; HEADER_BYTES]).is_err() {
            self.leftover = true;
            return Err(StoreError::UnknownOutcome);
        }
        Err(error.at(&segment_name(self.lease.epoch)))
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

/// A segment that is only read.
#[derive(Debug)]
pub(crate) struct Older<F> {
    pub(crate) epoch: u64,
    pub(crate) file: F,
    pub(crate) accepted_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Writable,
    /// A newer opener has the store.
    Fenced,
    /// The contents of the disk are unknown. In words: why.
    Broken(String),
}

impl<D: Directory> Log<D> {
    /// Reads a value from its segment.
    pub(crate) fn read(&self, location: &Location) -> Result<Vec<u8>, StoreError> {
        location.read(older_file(&self.older, location.epoch).unwrap_or(&self.own.file))
    }

    /// Writes a record, and applies its changes to the index once the next opener is certain to
    /// read it.
    pub(crate) fn append(&mut self, mutations: &[Mutation<&[u8]>]) -> Result<(), StoreError> {
        let own = &mut self.own;
        let io = |error: IoError| error.at(&segment_name(own.lease.epoch));
        if own.leftover {
            own.file.write(own.end, &[0; HEADER_BYTES]).map_err(io)?;
            own.leftover = false;
        }
        let mut builder = Builder::new();
        let at: Vec<u32> = mutations.iter().map(|m| builder.push(m.key(), m.value())).collect();
        let values_at = own.end + builder.values_at();
        let record = builder.finish(0, own.lease.epoch, own.sequence, own.end, own.synced_to);
        let written = own.write_record(&record);
        if self.full_until_live_bytes.is_some() && written.is_ok() && !self.index.shrinks_by(mutations) {
            self.full_until_live_bytes = None;
        }
        if let Err(error) = written {
            if error != StoreError::QuotaExceeded {
                return Err(error);
            }
            self.full_until_live_bytes.get_or_insert(u64::MAX);
            if !self.index.shrinks_by(mutations) {
                return Err(error);
            }
            reserve::without(&self.directory, self.options.reserve_bytes, || own.write_record(&record))?;
        }
        // A newer opener that took the lease before this moment may have read the segment before
        // the write above. While the lease is held, a later one will read the segment after the
        // write.
        match own.lease.is_held() {
            Ok(true) => {}
            Ok(false) => {
                self.state = State::Fenced;
                return Err(StoreError::UnknownOutcome);
            }
            Err(_) => {
                own.leftover = true;
                return Err(StoreError::UnknownOutcome);
            }
        }
        own.end += record.len() as u64;
        own.sequence += 1;
        let epoch = own.lease.epoch;
        for (mutation, at) in mutations.iter().zip(at) {
            match *mutation {
                Mutation::Put { key, value } => {
                    self.index.put(key, epoch, values_at + u64::from(at), value.len() as u32);
                    self.index.keep(key, value);
                }
                Mutation::Delete { key } => self.index.delete(key),
            }
        }
        Ok(())
    }

    /// Makes everything in the own segment durable. Older segments were durable when it began.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        let own = &mut self.own;
        if own.synced_to == own.end && own.name_synced {
            return Ok(());
        }
        let synced = own.file.sync().and_then(|()| match own.name_synced {
            true => Ok(()),
            false => self.directory.sync(),
        });
        if let Err(error) = synced {
            // The system may have dropped what it could not write, and report success at the next
            // attempt.
            self.state = State::Broken(format!("a sync failed ({error}); open the store anew"));
            return Err(StoreError::UnknownOutcome);
        }
        own.name_synced = true;
        own.note_synced();
        Ok(())
    }

    /// Returns the bytes of all segments of the store.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.own.end + self.older.iter().map(|older| older.accepted_bytes).sum::<u64>()
    }
}

/// Returns the file of an older segment.
pub(crate) fn older_file<F>(older: &[Older<F>], epoch: u64) -> Option<&F> {
    let found = older.binary_search_by_key(&epoch, |older| older.epoch).ok()?;
    older.get(found).map(|older| &older.file)
}
