//! The index: for each key, the location of its value; for each segment, how much of it is in use.

use crate::directory::File;
use crate::names::segment_name;
use crate::record::{Change, KEY_OVERHEAD_BYTES, changes};
use crate::records::Record;
use kvfs_contract::{Key, KeyRef, Mutation, StoreError, key_range};
use std::collections::BTreeMap;

/// Longest value that may be cached: the file system's records of files and names are shorter.
const MAX_CACHED_VALUE_BYTES: usize = 256;

/// Most bytes of cached values.
const MAX_CACHE_BYTES: usize = 32 << 20;

/// Locations of values, by key.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) locations: BTreeMap<Key, Location>,
    pub(crate) usage: Usage,
    cached_bytes: usize,
}

/// The bytes in use of the segments.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    segments: BTreeMap<u64, Used>,
    live_bytes: u64,
}

/// The bytes in use of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// What the index names.
    pub(crate) live_bytes: u64,
    /// Removals, which must stay as long as an older segment may have the key.
    pub(crate) removal_bytes: u64,
}

impl Usage {
    /// Returns the bytes that all entries would take in one segment.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Returns the bytes in use of a segment.
    pub(crate) fn of(&self, epoch: u64) -> Used {
        self.segments.get(&epoch).copied().unwrap_or_default()
    }

    fn add(&mut self, epoch: u64, bytes: u64) {
        self.segments.entry(epoch).or_default().live_bytes += bytes;
        self.live_bytes += bytes;
    }

    fn take(&mut self, epoch: u64, bytes: u64) {
        self.live_bytes = self.live_bytes.saturating_sub(bytes);
        if let Some(used) = self.segments.get_mut(&epoch) {
            used.live_bytes = used.live_bytes.saturating_sub(bytes);
        }
    }

    fn add_removal(&mut self, epoch: u64, bytes: u64) {
        self.segments.entry(epoch).or_default().removal_bytes += bytes;
    }

    /// Forgets a segment that does not count any more.
    pub(crate) fn forget(&mut self, epoch: u64) {
        let used = self.segments.remove(&epoch).unwrap_or_default();
        self.live_bytes = self.live_bytes.saturating_sub(used.live_bytes);
    }
}

/// The location of one value.
#[derive(Debug)]
pub(crate) struct Location {
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) cached: Option<Box<[u8]>>,
}

impl Location {
    /// Reads the value from its file.
    pub(crate) fn read<F: File>(&self, file: &F) -> Result<Vec<u8>, StoreError> {
        let name = segment_name(self.epoch);
        let value = file.read(self.offset, self.length as usize).map_err(|error| error.at(&name))?;
        if value.len() == self.length as usize {
            Ok(value)
        } else {
            let end = self.offset + u64::from(self.length);
            Err(StoreError::Corrupt(format!("{name} ends before byte {end}")))
        }
    }
}

impl Index {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Location> {
        self.locations.get(&KeyRef::new(key))
    }

    /// Returns the locations of `start <= key < end` in order; an empty `end` is the end of the
    /// store.
    pub(crate) fn range(&self, start: &[u8], end: &[u8]) -> impl Iterator<Item = (&Key, &Location)> {
        let range = key_range(start, end).map(|(start, end)| {
            self.locations.range::<KeyRef<'_>, _>((start.map(KeyRef::new), end.map(KeyRef::new)))
        });
        range.into_iter().flatten()
    }

    /// Takes in the changes of a record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if its index is none.
    pub(crate) fn take_in(&mut self, record: &Record) -> Result<(), StoreError> {
        let epoch = record.header.epoch;
        let mut offset = record.values_at();
        for (key, length) in changes_of(record)? {
            match length {
                Some(length) => {
                    self.put(key, epoch, offset, length);
                    offset += u64::from(length);
                }
                None => self.delete(key, epoch),
            }
        }
        Ok(())
    }

    pub(crate) fn put(&mut self, key: &[u8], epoch: u64, offset: u64, length: u32) {
        self.usage.add(epoch, cost(key.len(), length));
        let location = Location { epoch, offset, length, cached: None };
        if let Some(old) = self.locations.insert(Key::new(key), location) {
            self.forget(key.len(), &old);
        }
    }

    /// Removes a key by a record of this epoch.
    pub(crate) fn delete(&mut self, key: &[u8], epoch: u64) {
        self.usage.add_removal(epoch, cost(key.len(), 0));
        if let Some(old) = self.locations.remove(&KeyRef::new(key)) {
            self.forget(key.len(), &old);
        }
    }

    /// Takes in a record of copies: values that are cached stay so.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if its index is none.
    pub(crate) fn move_to(&mut self, record: &Record) -> Result<(), StoreError> {
        let epoch = record.header.epoch;
        let mut offset = record.values_at();
        for (key, length) in changes_of(record)? {
            let Some(length) = length else {
                self.usage.add_removal(epoch, cost(key.len(), 0));
                continue;
            };
            if let Some(location) = self.locations.get_mut(&KeyRef::new(key)) {
                self.usage.take(location.epoch, cost(key.len(), location.length));
                self.usage.add(epoch, cost(key.len(), length));
                (location.epoch, location.offset) = (epoch, offset);
            }
            offset += u64::from(length);
        }
        Ok(())
    }

    /// Returns whether keys and values together have fewer bytes after these changes.
    pub(crate) fn shrinks_by(&self, mutations: &[Mutation<&[u8]>]) -> bool {
        let (mut before, mut after) = (0, 0);
        for mutation in mutations {
            let key_bytes = mutation.key().len() as u64;
            before += self.get(mutation.key()).map_or(0, |old| key_bytes + u64::from(old.length));
            after += mutation.value().map_or(0, |value| key_bytes + value.len() as u64);
        }
        after < before
    }

    fn forget(&mut self, key_bytes: usize, old: &Location) {
        self.usage.take(old.epoch, cost(key_bytes, old.length));
        self.cached_bytes -= old.cached.as_ref().map_or(0, |value| value.len());
    }

    /// Caches a small value while there is room.
    pub(crate) fn keep(&mut self, key: &[u8], value: &[u8]) {
        if value.len() > MAX_CACHED_VALUE_BYTES || self.cached_bytes + value.len() > MAX_CACHE_BYTES {
            return;
        }
        if let Some(location) = self.locations.get_mut(&KeyRef::new(key))
            && location.cached.is_none()
        {
            location.cached = Some(value.into());
            self.cached_bytes += value.len();
        }
    }
}

/// Reads the changes of a record.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if its index is none.
pub(crate) fn changes_of(record: &Record) -> Result<Vec<Change<'_>>, StoreError> {
    changes(&record.index, record.header.values_bytes).ok_or_else(|| {
        let name = segment_name(record.header.epoch);
        StoreError::Corrupt(format!("{name}: the index at byte {} is none", record.offset))
    })
}

/// Returns what an entry takes in a segment.
fn cost(key_bytes: usize, length: u32) -> u64 {
    (KEY_OVERHEAD_BYTES + key_bytes) as u64 + u64::from(length)
}
