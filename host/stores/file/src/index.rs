//! The index: for each key, the location of its value.

use crate::directory::File;
use crate::record::KEY_OVERHEAD_BYTES;
use crate::segment::segment_name;
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
    /// Bytes that the entries would take in one segment.
    pub(crate) live_bytes: u64,
    cached_bytes: usize,
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

    pub(crate) fn put(&mut self, key: &[u8], epoch: u64, offset: u64, length: u32) {
        self.live_bytes += cost(key.len(), length);
        let location = Location { epoch, offset, length, cached: None };
        if let Some(old) = self.locations.insert(Key::new(key), location) {
            self.forget(key.len(), &old);
        }
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        if let Some(old) = self.locations.remove(&KeyRef::new(key)) {
            self.forget(key.len(), &old);
        }
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
        self.live_bytes -= cost(key_bytes, old.length);
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

/// Returns what an entry takes in a segment.
fn cost(key_bytes: usize, length: u32) -> u64 {
    (KEY_OVERHEAD_BYTES + key_bytes) as u64 + u64::from(length)
}
