//! The files of an open store: a segment to append to, older ones to read from, and the index in
//! memory.

use crate::chain::{Older, older_file};
use crate::directory::{Directory, File, IoError};
use crate::index::{Index, Location};
use crate::lease::remove;
use crate::list::{List, ListedSegment};
use crate::mark::Marker;
use crate::names::segment_name;
use crate::own::Own;
use crate::record::Builder;
use crate::reserve;
use kvfs_contract::{Mutation, StoreError};

/// The files of an open store, and its state.
#[derive(Debug)]
pub(crate) struct Log<D: Directory> {
    pub(crate) directory: D,
    pub(crate) own: Own<D::File>,
    pub(crate) marker: Marker<D::File>,
    /// The segments before the own one, oldest first.
    pub(crate) older: Vec<Older<D::File>>,
    /// Segments that count no more, and go once that is durable.
    pub(crate) retired: Vec<Retired>,
    /// Names were created since the directory was last made durable.
    pub(crate) new_names: bool,
    pub(crate) index: Index,
    pub(crate) state: State,
    /// Size of the files at which a collection that failed is tried again.
    pub(crate) collect_at_bytes: u64,
    /// Size of the own segment at which a roll that failed is tried again.
    pub(crate) roll_at_bytes: u64,
    /// Segments that cannot be collected, because they are damaged.
    pub(crate) stays: Vec<u64>,
    /// On a full disk: a collection is tried once so few bytes are live.
    pub(crate) full_until_live_bytes: Option<u64>,
    pub(crate) options: Options,
}

/// Options for opening a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Garbage that is always put up with; 4 MiB unless told.
    pub min_garbage_bytes: u64,
    /// Room kept on the disk for opening and removing when it is full; 1 MiB unless told.
    pub reserve_bytes: usize,
    /// A segment ends at this size, or at a 64th of the live bytes if that is more; 32 MiB unless
    /// told.
    pub min_segment_bytes: u64,
    /// A segment ends at this size however much is live; 1 GiB unless told.
    pub max_segment_bytes: u64,
    /// Opens a store that has lost what was durable, as far as a mark tells, with what is there;
    /// the marks that tell of more are removed. False unless told.
    pub accept_loss: bool,
}

impl Options {
    /// The options of a store that was told none.
    pub const DEFAULT: Self = Self {
        min_garbage_bytes: 4 << 20,
        reserve_bytes: 1 << 20,
        min_segment_bytes: 32 << 20,
        max_segment_bytes: 1 << 30,
        accept_loss: false,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A segment that counts no more.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) epoch: u64,
    pub(crate) bytes: u64,
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
        own.clear_leftover()?;
        let mut builder = Builder::new();
        let at: Vec<u32> = mutations.iter().map(|m| builder.push(m.key(), m.value())).collect();
        let values_at = own.end + builder.values_at();
        let record = own.finish(builder, 0);
        let written = own.write(&record);
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
            reserve::without(&self.directory, self.options.reserve_bytes, || own.write(&record))?;
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
        own.accept(&record);
        let epoch = own.lease.epoch;
        for (mutation, at) in mutations.iter().zip(at) {
            match *mutation {
                Mutation::Put { key, value } => {
                    self.index.put(key, epoch, values_at + u64::from(at), value.len() as u32);
                    self.index.keep(key, value);
                }
                Mutation::Delete { key } => self.index.delete(key, epoch),
            }
        }
        Ok(())
    }

    /// Makes everything durable: older segments before the own one says so of itself. Then removes
    /// the segments that count no more.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        if self.own.synced_to == self.own.end && !self.new_names && self.retired.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.sync_files() {
            return Err(self.sync_failed(&error));
        }
        self.new_names = false;
        for older in &mut self.older {
            older.durable_bytes = older.accepted_bytes;
        }
        self.own.note_synced();
        self.marker.put(&self.directory, self.own.lease.epoch, self.own.synced_to);
        for retired in self.retired.drain(..) {
            // The next opener removes what is left.
            let _ = remove(&self.directory, &segment_name(retired.epoch));
        }
        Ok(())
    }

    fn sync_files(&self) -> Result<(), IoError> {
        let not_durable = self.older.iter().filter(|older| older.durable_bytes < older.accepted_bytes);
        not_durable.map(|older| &older.file).chain([&self.own.file]).try_for_each(File::sync)?;
        if self.new_names { self.directory.sync() } else { Ok(()) }
    }

    /// Makes the oldest segments durable until at most this much is not.
    pub(crate) fn sync_oldest(&mut self, at_most: u64) -> Result<(), StoreError> {
        let mut left: u64 = self.older.iter().map(|older| older.accepted_bytes - older.durable_bytes).sum();
        if left > at_most && self.new_names {
            if let Err(error) = self.directory.sync() {
                return Err(self.sync_failed(&error));
            }
            self.new_names = false;
        }
        for number in 0..self.older.len() {
            let older = &mut self.older[number];
            if left <= at_most {
                break;
            }
            if older.durable_bytes < older.accepted_bytes {
                if let Err(error) = older.file.sync() {
                    return Err(self.sync_failed(&error));
                }
                left -= older.accepted_bytes - older.durable_bytes;
                older.durable_bytes = older.accepted_bytes;
            }
        }
        Ok(())
    }

    fn sync_failed(&mut self, error: &IoError) -> StoreError {
        // The system may have dropped what it could not write, and report success at the next
        // attempt.
        self.state = State::Broken(format!("a sync failed ({error}); open the store anew"));
        StoreError::UnknownOutcome
    }

    /// Returns the list for a segment after the own one, without some of the segments.
    pub(crate) fn list(&self, without: &[u64]) -> List {
        let own = (self.own.lease.epoch, self.own.end, self.own.synced_to);
        let older = self.older.iter().map(|older| (older.epoch, older.accepted_bytes, older.durable_bytes));
        let all = older.chain([own]).filter(|(epoch, ..)| !without.contains(epoch));
        let segments = all.map(|(epoch, accepted_bytes, durable_bytes)| ListedSegment {
            epoch,
            accepted_bytes,
            durable_bytes,
            live_bytes: 0,
            removal_bytes: 0,
        });
        List { segments: segments.collect(), ..List::default() }
    }

    /// Returns the bytes of all segments that count.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.own.end + self.older.iter().map(|older| older.accepted_bytes).sum::<u64>()
    }
}
