//! The files of an open store: a segment to append to, older ones to read from, and the index.

use crate::chain::{Covered, Older, older_file};
use crate::directory::{Directory, File, IoError};
use crate::index::{Index, shrinks};
use crate::known::Known;
use crate::lease::{Lease, remove};
use crate::list::{List, ListedSegment, ListedTable, MAX_COLLECTED, Part};
use crate::location::Location;
use crate::making::Making;
use crate::mark::{Mark, Marker};
use crate::moving::Moving;
use crate::names::{Name, segment_name};
use crate::options::Options;
use crate::own::{NotWritten, Own};
use crate::record::Builder;
use crate::records::replay_bytes_of;
use crate::remedy::reason;
use crate::reserve;
use crate::usage::Used;
use kvfs_contract::{Mutation, StoreError};

/// The files of an open store, and its state.
#[derive(Debug)]
pub(crate) struct Log<D: Directory> {
    pub(crate) directory: D,
    pub(crate) own: Own<D::File>,
    pub(crate) marker: Marker<D::File>,
    /// The segments before the own one, oldest first. Behind another writer, all segments: the own
    /// one may be among them.
    pub(crate) older: Vec<Older<D::File>>,
    /// The lease of the writer behind whom this opener reads. The last of the older segments is that
    /// writer's.
    pub(crate) behind: Option<Lease<D::File>>,
    /// Files that count no more, and go once that is durable.
    pub(crate) retired: Vec<Retired>,
    /// Tables that are damaged and that the own start still lists. They count no more once the next
    /// segment begins.
    pub(crate) unused: Vec<Retired>,
    /// Segments that were collected of late: epochs and accepted bytes.
    pub(crate) collected: Vec<(u64, u64)>,
    /// Names were created since the directory was last made durable.
    pub(crate) new_names: bool,
    pub(crate) index: Index<D::File>,
    /// What the tables of the index cover.
    pub(crate) covered: Covered,
    /// What an opening would read of the segments that the tables do not cover.
    pub(crate) replay_bytes: u64,
    /// How often the index was made anew because a table was damaged.
    pub(crate) rebuilt: u64,
    pub(crate) state: State,
    /// Size of the files at which a collection that failed is tried again.
    pub(crate) collect_at_bytes: u64,
    /// The activity before which no collection is due.
    pub(crate) collect_at_activity: u64,
    /// All bytes that were appended since the opening.
    pub(crate) appended_bytes: u64,
    /// What there must be to replay before a checkpoint that failed is tried again.
    pub(crate) checkpoint_at_bytes: u64,
    /// How much more that was at the last failure.
    pub(crate) checkpoint_retry_bytes: u64,
    /// Size of the own segment at which a roll that failed is tried again.
    pub(crate) roll_at_bytes: u64,
    /// Segments that cannot be collected, because they are damaged.
    pub(crate) stays: Vec<u64>,
    /// The opener took the store back from another, which may do the same at any moment.
    pub(crate) in_turns: bool,
    /// The collection under way.
    pub(crate) moving: Option<Moving>,
    /// The table in the making.
    pub(crate) making: Option<Making<D::File>>,
    /// Segments of which everything that counts is in newer ones. The next segment does not list
    /// them.
    pub(crate) emptied: Vec<u64>,
    /// How large the reserve was made, if it was made since the opening.
    pub(crate) reserve_bytes: usize,
    pub(crate) reserve_is_kept: bool,
    /// Buffers for records.
    pub(crate) builder: Builder,
    /// On a full disk: a collection is tried once so few bytes are live.
    pub(crate) full_until_live_bytes: Option<u64>,
    pub(crate) options: Options,
}

/// A segment or table that counts no more.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) name: Name,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Writable,
    /// A newer opener has the store. A record may be in doubt.
    Fenced(Option<Doubtful>),
    /// The contents of the disk are unknown. In words: why.
    Broken(String),
}

impl State {
    /// Takes in that a record was not written. Returns the error to report.
    pub(crate) fn after(&mut self, not_written: NotWritten) -> StoreError {
        match not_written {
            NotWritten::Undone(error) => error,
            NotWritten::InDoubt => StoreError::UnknownOutcome,
            NotWritten::Unknown(why) => {
                *self = Self::Broken(format!("{why}; open the store anew"));
                StoreError::UnknownOutcome
            }
        }
    }
}

/// A record that was written when another opener may have had the store already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubtful {
    pub(crate) epoch: u64,
    pub(crate) end: u64,
}

impl<D: Directory> Log<D> {
    /// Notes that another opener has the store, whether it has the record that was just written or
    /// not.
    pub(crate) fn fenced_with(&mut self, record: &[u8]) {
        let end = self.own.end + record.len() as u64;
        self.state = State::Fenced(Some(Doubtful { epoch: self.own.lease.epoch, end }));
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.state == State::Writable
    }

    /// Reads a value from its segment.
    pub(crate) fn read(&self, location: &Location) -> Result<Vec<u8>, StoreError> {
        if location.epoch == self.own.lease.epoch {
            return location.read(&self.own.file);
        }
        match older_file(&self.older, location.epoch) {
            Some(file) => location.read(file),
            None => Err(of_no_segment(location)),
        }
    }

    /// Writes a record, and applies its changes to the index once the next opener is certain to
    /// read it.
    pub(crate) fn append(&mut self, mutations: &[Mutation<&[u8]>]) -> Result<(), StoreError> {
        let before = self.index.find_all(mutations)?;
        let mut builder = std::mem::replace(&mut self.builder, Builder::new());
        builder.fill(mutations);
        let mut offset = self.own.end + builder.values_at();
        let appended = self.append_record(&mut builder, || shrinks(mutations, &before));
        builder.clear();
        self.builder = builder;
        appended?;
        let epoch = self.own.lease.epoch;
        for (mutation, before) in mutations.iter().zip(before) {
            match *mutation {
                Mutation::Put { key, value } => {
                    let length = value.len() as u32;
                    self.index.change(key, Some(Location { epoch, offset, length }), epoch, before);
                    self.index.small.keep(key, value);
                    offset += u64::from(length);
                }
                Mutation::Delete { key } => {
                    self.index.change(key, None, epoch, before);
                    self.index.small.forget(key);
                }
            }
        }
        Ok(())
    }

    /// Writes a record that is complete but for its header. `shrinks` says whether fewer bytes are
    /// live afterwards.
    pub(crate) fn append_record(
        &mut self,
        builder: &mut Builder,
        shrinks: impl Fn() -> bool,
    ) -> Result<(), StoreError> {
        let own = &mut self.own;
        // Seldom does another opener take the lease while a record is written. Mostly it was some
        // time ago, and this keeps the record from being in doubt.
        if !own.lease.is_held()? {
            self.state = State::Fenced(None);
            return Err(StoreError::AccessDenied);
        }
        own.finish(builder, 0);
        let (record, index_bytes) = (builder.record(), builder.values_at() as usize);
        let mut written = own.write(record);
        if let Err(NotWritten::Undone(StoreError::QuotaExceeded)) = written {
            self.full_until_live_bytes.get_or_insert(u64::MAX);
            let values_bytes = record.len() - index_bytes;
            if shrinks() && reserve::is_for(record.len(), values_bytes, self.reserve_bytes) {
                let reserve_bytes = self.reserve_bytes;
                let write = || own.write(record);
                let is_full = |written: &Result<(), NotWritten>| {
                    matches!(written, Err(NotWritten::Undone(StoreError::QuotaExceeded)))
                };
                written = reserve::lend(&self.directory, record.len(), reserve_bytes, write, is_full);
            }
        } else if self.full_until_live_bytes.is_some() && written.is_ok() && !shrinks() {
            self.full_until_live_bytes = None;
        }
        if let Err(not_written) = written {
            return Err(self.state.after(not_written));
        }
        // A newer opener that took the lease before this moment may have read the segment before
        // the write above. While the lease is held, a later one will read the segment after the
        // write.
        match own.lease.is_held() {
            Ok(true) => {}
            Ok(false) => {
                self.fenced_with(record);
                return Err(StoreError::UnknownOutcome);
            }
            Err(error) => {
                // Another opener may have read the record, so it must stay as it is.
                let why = reason(error);
                self.state =
                    State::Broken(format!("a lease could not be looked at ({why}); open the store anew"));
                return Err(StoreError::UnknownOutcome);
            }
        }
        own.accept(record);
        self.appended_bytes += record.len() as u64;
        self.replay_bytes += replay_bytes_of(record.len() as u64, index_bytes);
        Ok(())
    }

    /// Makes everything durable: older segments before the own one says so of itself. Then removes
    /// the files that count no more.
    ///
    /// Once another opener has the store, only syncs: that opener may count a record behind the own
    /// end, where the note would lie, and decides what counts.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        let is_own_durable = self.own.synced_to == self.own.end && self.retired.is_empty();
        if is_own_durable && !self.new_names && self.behind.is_none() {
            return Ok(());
        }
        if let Err(error) = self.sync_files() {
            return Err(self.sync_failed(&error));
        }
        self.new_names = false;
        for older in &mut self.older {
            older.durable_bytes = older.accepted_bytes;
        }
        for kept in &mut self.index.tables {
            kept.is_durable = true;
        }
        if !self.is_writable() {
            return Ok(());
        }
        self.own.note_synced();
        let (epoch, durable_bytes, salt) = (self.own.lease.epoch, self.own.synced_to, self.own.salt);
        self.marker.put(&self.directory, Mark { epoch, durable_bytes, salt });
        for retired in self.retired.drain(..) {
            // The next opener removes what is left.
            let _ = remove(&self.directory, &retired.name.text());
        }
        Ok(())
    }

    fn sync_files(&self) -> Result<(), IoError> {
        let not_durable = self.older.iter().filter(|older| older.durable_bytes < older.accepted_bytes);
        let tables = self.index.tables.iter().filter(|kept| !kept.is_durable);
        let files = not_durable.map(|older| &older.file).chain(tables.map(|kept| kept.table.file()));
        files.chain([&self.own.file]).try_for_each(File::sync)?;
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

    /// Drops the segments that the own start does not list any more because they are empty. They
    /// lose their names once that is durable.
    pub(crate) fn drop_emptied(&mut self) {
        let mut emptied = std::mem::take(&mut self.emptied);
        emptied.sort_unstable();
        for number in emptied {
            let Some(at) = self.older.iter().position(|older| older.epoch == number) else { continue };
            let gone = self.older.remove(at);
            self.index.usage.forget(gone.epoch);
            self.collected.push((gone.epoch, gone.accepted_bytes));
            self.retired.push(Retired { name: Name::Segment(gone.epoch), bytes: gone.accepted_bytes });
        }
        self.collected.drain(..self.collected.len().saturating_sub(MAX_COLLECTED));
    }

    /// Returns the list for a segment after the own one, without some of the segments.
    pub(crate) fn list(&self, without: &[u64]) -> List {
        let own = (self.own.lease.epoch, self.own.end, self.own.synced_to, self.own.salt);
        let older = self.older.iter().map(Older::part);
        let (gone, stay): (Vec<_>, Vec<_>) = older
            .chain([own])
            .partition(|(epoch, ..)| without.contains(epoch) || self.emptied.contains(epoch));
        let tables = self.index.listed();
        let gone = gone.into_iter().map(|(epoch, accepted_bytes, ..)| (epoch, accepted_bytes));
        let mut collected: Vec<_> = self.collected.iter().copied().chain(gone).collect();
        collected.drain(..collected.len().saturating_sub(MAX_COLLECTED));
        List { collected, ..list(stay.into_iter(), &self.covered, tables) }
    }

    /// Returns what is known of the store, for the next turn; `None` if the index is of no use.
    pub(crate) fn known(&self) -> Option<Known> {
        let own = (self.own.lease.epoch, self.own.end, self.own.synced_to, self.own.salt);
        let own = self.behind.is_none().then_some(own);
        (!self.index.is_damaged()).then(|| Known {
            parts: self.older.iter().map(Older::part).chain(own).collect(),
            tables: self.index.listed(),
            covered_before: self.covered.before,
        })
    }

    /// Returns the bytes that were written or became garbage since the opening, a number that only
    /// grows.
    pub(crate) fn activity_bytes(&self) -> u64 {
        self.appended_bytes.saturating_add(self.index.usage.freed_bytes())
    }

    /// Returns the bytes of all segments that count.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.own.end + self.older.iter().map(|older| older.accepted_bytes).sum::<u64>()
    }
}

/// Returns the list of these segments and tables.
pub(crate) fn list(
    segments: impl Iterator<Item = Part>,
    covered: &Covered,
    tables: Vec<ListedTable>,
) -> List {
    let segments = segments.map(|(epoch, accepted_bytes, durable_bytes, salt)| {
        let Used { live_bytes, removal_bytes } = covered.of(epoch);
        ListedSegment { epoch, accepted_bytes, durable_bytes, live_bytes, removal_bytes, salt }
    });
    List { replay_from: covered.before, segments: segments.collect(), tables, collected: Vec::new() }
}

/// Returns the error for a value in a segment that does not count.
pub(crate) fn of_no_segment(location: &Location) -> StoreError {
    let name = segment_name(location.epoch);
    StoreError::Corrupt(format!("a value is in {name}, which is not among the segments"))
}
