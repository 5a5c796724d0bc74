//! A batch: the mutations of an apply, gathered before they are lent to the store.

use crate::cache::Cache;
use crate::store::Mutation;
use crate::stored::record::TOMBSTONE_BYTES;
use crate::types::InodeNo;
use std::ops::Range;

/// The tombstone to write instead of a deletion; `None` if nothing lies below.
pub(crate) type Tombstone = Option<[u8; TOMBSTONE_BYTES]>;

/// Mutations. Their keys lie in one buffer, and small values in another, where they are built while
/// their keys are read. Extents stay in the cache.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    keys: Vec<u8>,
    values: Vec<u8>,
    entries: Vec<Pending>,
    /// Bytes that count against the store's limit.
    pub(crate) batch_bytes: usize,
}

#[derive(Debug)]
struct Pending {
    key: Range<usize>,
    value: Value,
    /// Bytes that count against the store's limit.
    bytes: usize,
}

#[derive(Debug)]
enum Value {
    Delete,
    Bytes(Range<usize>),
    Extent(InodeNo, u64),
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn delete(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        let key = self.key(key);
        // Above an image, a tombstone may be written instead.
        self.push(key, Value::Delete, TOMBSTONE_BYTES);
    }

    /// Returns the keys of the deletions in `range`, each with its place there.
    pub(crate) fn deletions(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &[u8])> {
        let entries = self.entries.get(range).unwrap_or_default().iter().enumerate();
        entries.filter_map(|(at, entry)| match entry.value {
            Value::Delete => Some((at, self.keys.get(entry.key.clone())?)),
            _ => None,
        })
    }

    /// Adds a put. `value` gets the key, and appends the value to a buffer.
    pub(crate) fn put(&mut self, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&[u8], &mut Vec<u8>)) {
        let key = self.key(key);
        let start = self.values.len();
        value(self.keys.get(key.clone()).unwrap_or_default(), &mut self.values);
        let range = start..self.values.len();
        let value_bytes = range.len();
        self.push(key, Value::Bytes(range), value_bytes);
    }

    /// Adds an extent of `value_bytes` bytes, which must have been sealed for this key.
    pub(crate) fn put_extent(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>),
        ino: InodeNo,
        index: u64,
        value_bytes: usize,
    ) {
        let key = self.key(key);
        self.push(key, Value::Extent(ino, index), value_bytes);
    }

    fn push(&mut self, key: Range<usize>, value: Value, value_bytes: usize) {
        let bytes = key.len() + value_bytes;
        self.batch_bytes += bytes;
        self.entries.push(Pending { key, value, bytes });
    }

    /// Appends a key to the buffer and returns its place.
    fn key(&mut self, key: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.keys.len();
        key(&mut self.keys);
        start..self.keys.len()
    }

    /// Returns the end of a piece that starts at `start` and keeps to the limits. It has at least
    /// one entry, which the store refuses if it is too large alone.
    pub(crate) fn piece(&self, start: usize, max_entries: usize, max_bytes: usize) -> usize {
        let mut bytes = 0;
        let entries = self.entries.get(start..).unwrap_or_default().iter().take(max_entries.max(1));
        let fitting = entries.take_while(|entry| {
            bytes += entry.bytes;
            bytes <= max_bytes
        });
        (start + fitting.count().max(1)).min(self.entries.len())
    }

    /// Empties the batch and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.entries.clear();
        self.batch_bytes = 0;
    }
}

/// A piece of a batch that goes to the store in one apply.
pub(crate) struct Piece<'b> {
    pub(crate) batch: &'b Batch,
    pub(crate) range: Range<usize>,
    /// Its extents lie here.
    pub(crate) cache: &'b Cache,
    /// One for each mutation, or none at all.
    pub(crate) tombstones: &'b [Tombstone],
}

impl<'b> Piece<'b> {
    /// Returns the mutations as the store takes them. An extent that is not in memory is left out.
    /// Those of a commit are dirty, and so always in memory.
    pub(crate) fn mutations(self) -> Vec<Mutation<'b>> {
        let Self { batch, range, cache, tombstones } = self;
        let value_at = |range: &Range<usize>| batch.values.get(range.clone()).unwrap_or_default();
        let entries = batch.entries.get(range).unwrap_or_default();
        // One more, for the superblock.
        let mut mutations = Vec::with_capacity(entries.len() + 1);
        for (index, Pending { key, value, .. }) in entries.iter().enumerate() {
            let key = batch.keys.get(key.clone()).unwrap_or_default();
            match value {
                Value::Delete => mutations.push(match tombstones.get(index) {
                    Some(Some(value)) => Mutation::Put { key, value },
                    _ => Mutation::Delete { key },
                }),
                Value::Bytes(range) => mutations.push(Mutation::Put { key, value: value_at(range) }),
                Value::Extent(ino, index) => {
                    if let Some(extent) = cache.node(*ino).and_then(|node| node.extents.get(index)) {
                        mutations.push(Mutation::Put { key, value: &extent.value });
                    }
                }
            }
        }
        mutations
    }
}
