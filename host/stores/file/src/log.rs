//! The open store: an index in memory, and a segment to append to.

use crate::compact;
use crate::directory::{Directory, File};
use crate::error::StoreError;
use crate::lease::Lease;
use crate::record::{Builder, FLAG_NOTE, HEADER_BYTES, KEY_OVERHEAD_BYTES, NOTE_SEQUENCE};
use crate::reserve;
use crate::segment::segment_name;
use kvfs_key::Key;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Most keys: each takes about 150 bytes of memory, of which a component has 4 GiB.
pub const MAX_ENTRIES: usize = 8 << 20;

/// Values up to this length may be kept in memory: the file system's records of files and names.
const CACHED_VALUE_BYTES: usize = 256;

/// Most bytes of values kept in memory.
const CACHE_BYTES: usize = 32 << 20;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// A change of one key: its new value, or none to remove it.
pub type Mutation<'a> = (&'a [u8], Option<&'a [u8]>);

/// A key-value store in a directory.
///
/// Keys have up to 64 KiB and values up to 16 MiB, as have all changes of one `apply` together: callers keep
/// to the smaller limits of their contract.
///
/// # Two at once
///
/// The newer opener has the store. The older one's next [`FileStore::apply`] is not acknowledged, and every
/// later one fails with [`StoreError::Fenced`]; what it had been acknowledged is in the newer one's store.
#[derive(Debug)]
pub struct FileStore<D: Directory> {
    pub(crate) directory: D,
    pub(crate) own: Own<D::File>,
    /// The segments before the own, oldest first.
    pub(crate) older: Vec<Older<D::File>>,
    pub(crate) index: Index,
    pub(crate) state: State,
    /// Compaction is tried again when the files have so many bytes.
    pub(crate) compact_at_bytes: u64,
    /// If the disk is full: compaction is tried once so few bytes are live.
    pub(crate) full_until_live_bytes: Option<u64>,
    pub(crate) options: Options,
}

/// What can be chosen when a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The store is compacted when garbage is more than what is live and more than this; 16 MiB unless told.
    pub min_garbage_bytes: u64,
    /// Room on the disk that is kept for opening and removing when it is full; 1 MiB unless told.
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
    /// Whether the file's name is durable, and all names before it.
    pub(crate) name_synced: bool,
    /// Whether there may be a whole record at the end that was not acknowledged.
    pub(crate) leftover: bool,
}

impl<F: File> Own<F> {
    /// Writes a record at the end, or nothing that anybody takes for one.
    fn write_record(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let Err(error) = self.file.write(self.end, record) else { return Ok(()) };
        let cut_off = |size_bytes| size_bytes < self.end + record.len() as u64;
        let cut_off = self.file.status().is_ok_and(|status| cut_off(status.size_bytes));
        // If it may be there whole, nobody may find it: without its header it is nothing.
        if !cut_off && self.file.write(self.end, &[0; HEADER_BYTES]).is_err() {
            self.leftover = true;
            return Err(StoreError::UnknownOutcome);
        }
        Err(StoreError::io(&segment_name(self.lease.epoch), &error))
    }

    /// Takes note, in memory and in the file, that all of the segment is durable.
    ///
    /// Without it what was written before the last sync could not be told from the end that a crash leaves.
    /// The next record is written over the note, and says the same. A crash may keep the note or not, as it
    /// may have been written or not.
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
    /// What the disk holds is not known any more.
    Broken(String),
}

impl<D: Directory> FileStore<D> {
    /// Returns the value of a key.
    ///
    /// # Cost
    ///
    /// One read of a file, none for a small value that was used before.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let key = Key::new(key);
        let Some(place) = self.index.places.get(&key) else { return Ok(None) };
        if let Some(value) = &place.cached {
            return Ok(Some(value.to_vec()));
        }
        let value = read_value(&self.own, &self.older, place)?;
        self.index.keep(&key, &value);
        Ok(Some(value))
    }

    /// Returns entries with `start <= key < end` in order, as long as `take` says yes to the sum of the lengths
    /// of key and value; an empty `end` is the end of the store.
    ///
    /// # Cost
    ///
    /// As [`FileStore::get`] for each entry.
    pub fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        mut take: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut found = Vec::new();
        for (key, place) in self.index.range(start, end) {
            if !take(key.len() + place.length as usize) {
                break;
            }
            let value = match &place.cached {
                Some(value) => value.to_vec(),
                None => read_value(&self.own, &self.older, place)?,
            };
            found.push((key.to_vec(), value));
        }
        Ok(found)
    }

    /// Applies all mutations if every guard's key has the value it names, or changes nothing. Without
    /// mutations and `durable` it makes everything applied before durable.
    ///
    /// # Durability
    ///
    /// From the end of the process everything is safe that was acknowledged; from a crash of the machine
    /// everything up to the last durable apply, and a crash loses a suffix only.
    ///
    /// # Errors
    ///
    /// After [`StoreError::UnknownOutcome`] the call may have been applied; after any other error it was not.
    /// On a full disk a call that removes more bytes than it puts works as long as there is a reserve.
    ///
    /// # Cost
    ///
    /// One write and one look at the lease; if durable, a sync and a write of 64 bytes that none waits for.
    pub fn apply(
        &mut self,
        guards: &[Mutation<'_>],
        mutations: &[Mutation<'_>],
        durable: bool,
    ) -> Result<(), StoreError> {
        match &self.state {
            State::Writable => {}
            State::Fenced => return Err(StoreError::Fenced),
            State::Broken(why) => return Err(StoreError::Unavailable(why.clone())),
        }
        for (key, expected) in guards {
            if !self.holds(key, *expected)? {
                return Err(StoreError::Conflict);
            }
        }
        if !mutations.is_empty() {
            let puts = mutations.iter().filter(|(_, value)| value.is_some()).count();
            if self.index.places.len() + puts > MAX_ENTRIES && puts > 0 {
                return Err(StoreError::QuotaExceeded);
            }
            self.append(mutations)?;
        }
        if durable {
            self.sync()?;
        }
        compact::if_due(self);
        Ok(())
    }

    fn holds(&mut self, key: &[u8], expected: Option<&[u8]>) -> Result<bool, StoreError> {
        match (self.index.places.get(&Key::new(key)), expected) {
            (None, None) => Ok(true),
            (Some(place), Some(expected)) if place.length as usize == expected.len() => {
                Ok(self.get(key)?.as_deref() == Some(expected))
            }
            _ => Ok(false),
        }
    }

    /// Writes a record and takes its changes into the index once it is certain to be read by whoever opens
    /// the store next.
    fn append(&mut self, mutations: &[Mutation<'_>]) -> Result<(), StoreError> {
        let own = &mut self.own;
        let io = |error| StoreError::io(&segment_name(own.lease.epoch), &error);
        if own.leftover {
            own.file.write(own.end, &[0; HEADER_BYTES]).map_err(io)?;
            own.leftover = false;
        }
        let mut builder = Builder::new();
        let at: Vec<u32> = mutations.iter().map(|(key, value)| builder.push(key, *value)).collect();
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
        // Whoever took the lease before this may have read the segment before the write above. If it is held,
        // whoever takes it will read the segment after it.
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
        for ((key, value), at) in mutations.iter().zip(at) {
            match value {
                Some(value) => {
                    self.index.put(key, epoch, values_at + u64::from(at), value.len() as u32);
                    self.index.keep(&Key::new(key), value);
                }
                None => self.index.delete(key),
            }
        }
        Ok(())
    }

    /// Makes everything in the own segment durable; what is in older ones was when this one was begun.
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
            // The system may have dropped what it could not write, and say at the next attempt that all is
            // well.
            self.state = State::Broken(format!("a sync failed ({error}); open the store anew"));
            return Err(StoreError::UnknownOutcome);
        }
        own.name_synced = true;
        own.note_synced();
        Ok(())
    }

    /// Returns the bytes of all segments of the store.
    pub fn size_bytes(&self) -> u64 {
        self.own.end + self.older.iter().map(|older| older.accepted_bytes).sum::<u64>()
    }
}

/// Reads a value from the segment that has it.
pub(crate) fn read_value<F: File>(
    own: &Own<F>,
    older: &[Older<F>],
    place: &Place,
) -> Result<Vec<u8>, StoreError> {
    read_from(older_file(older, place.epoch).unwrap_or(&own.file), place)
}

/// Returns the file of an older segment.
pub(crate) fn older_file<F>(older: &[Older<F>], epoch: u64) -> Option<&F> {
    let found = older.binary_search_by_key(&epoch, |older| older.epoch).ok()?;
    older.get(found).map(|older| &older.file)
}

/// Reads a value from a file.
pub(crate) fn read_from<F: File>(file: &F, place: &Place) -> Result<Vec<u8>, StoreError> {
    let name = segment_name(place.epoch);
    let value = file.read(place.offset, place.length as usize).map_err(|e| StoreError::io(&name, &e))?;
    if value.len() == place.length as usize {
        Ok(value)
    } else {
        let end = place.offset + u64::from(place.length);
        Err(StoreError::Corrupt(format!("{name} ends before byte {end}")))
    }
}

/// Where values lie, by key.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) places: BTreeMap<Key, Place>,
    /// What the entries would take in a segment of their own.
    pub(crate) live_bytes: u64,
    cached_bytes: usize,
}

/// Where one value lies.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    cached: Option<Box<[u8]>>,
}

impl Index {
    /// Returns the places of `start <= key < end`; an empty `end` is the end.
    pub(crate) fn range(&self, start: &[u8], end: &[u8]) -> impl Iterator<Item = (&Key, &Place)> {
        let empty = !end.is_empty() && end <= start;
        let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(Key::new(end)) };
        // Ordered maps panic at a range whose end is before its start.
        let range = (!empty).then(|| self.places.range((Bound::Included(Key::new(start)), upper)));
        range.into_iter().flatten()
    }

    pub(crate) fn put(&mut self, key: &[u8], epoch: u64, offset: u64, length: u32) {
        let key = Key::new(key);
        self.live_bytes += cost(&key, length);
        let place = Place { epoch, offset, length, cached: None };
        let key_bytes = key.len();
        if let Some(old) = self.places.insert(key, place) {
            self.forget(key_bytes, &old);
        }
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        if let Some(old) = self.places.remove(&Key::new(key)) {
            self.forget(key.len(), &old);
        }
    }

    /// Returns whether keys and values together have fewer bytes after these changes.
    fn shrinks_by(&self, mutations: &[Mutation<'_>]) -> bool {
        let (mut before, mut after) = (0, 0);
        for (key, value) in mutations {
            let key_bytes = key.len() as u64;
            before += self.places.get(&Key::new(key)).map_or(0, |place| key_bytes + u64::from(place.length));
            after += value.map_or(0, |value| key_bytes + value.len() as u64);
        }
        after < before
    }

    fn forget(&mut self, key_bytes: usize, old: &Place) {
        self.live_bytes -= (KEY_OVERHEAD_BYTES + key_bytes) as u64 + u64::from(old.length);
        self.cached_bytes -= old.cached.as_ref().map_or(0, |value| value.len());
    }

    /// Keeps a small value in memory, while there is room.
    fn keep(&mut self, key: &Key, value: &[u8]) {
        if value.len() > CACHED_VALUE_BYTES || self.cached_bytes + value.len() > CACHE_BYTES {
            return;
        }
        if let Some(place) = self.places.get_mut(key)
            && place.cached.is_none()
        {
            place.cached = Some(value.into());
            self.cached_bytes += value.len();
        }
    }
}

fn cost(key: &Key, length: u32) -> u64 {
    (KEY_OVERHEAD_BYTES + key.len()) as u64 + u64::from(length)
}
