//! What one apply carries, gathered before it is lent to the store.

use crate::cache::Cache;
use crate::store::Mutation;
use crate::stored::record::TOMBSTONE_BYTES;
use crate::types::InodeNo;
use std::ops::Range;

/// The tombstone that takes the place of a deletion; `None` where nothing lies below.
pub(crate) type Grave = Option<[u8; TOMBSTONE_BYTES]>;

/// Mutations whose keys and small values lie in one buffer; extents stay where they are in the cache.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Pending>,
    /// Where a value is built: it cannot be while its key is read from the same buffer.
    scratch: Vec<u8>,
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
        // Above an image it may become the put of a tombstone.
        self.push(key, Value::Delete, TOMBSTONE_BYTES);
    }

    /// The keys of some of the mutations, `None` for those that are no deletion.
    pub(crate) fn deletions(&self, range: Range<usize>) -> impl Iterator<Item = Option<&[u8]>> {
        let entries = self.entries.get(range).unwrap_or_default().iter();
        entries.map(|entry| match entry.value {
            Value::Delete => self.bytes.get(entry.key.clone()),
            _ => None,
        })
    }

    /// Adds a put; `value` is given the key and an empty buffer to build the value in.
    pub(crate) fn put(&mut self, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&[u8], &mut Vec<u8>)) {
        let key = self.key(key);
        self.scratch.clear();
        value(self.bytes.get(key.clone()).unwrap_or_default(), &mut self.scratch);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&self.scratch);
        let range = start..self.bytes.len();
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

    /// Bytes of the buffer in use, so that a key can be looked at before it is added.
    fn key(&mut self, key: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.bytes.len();
        key(&mut self.bytes);
        start..self.bytes.len()
    }

    /// Where a piece that starts here must end, to be within so many entries and bytes: one entry at
    /// least, which is for the store to refuse if it is too large alone.
    pub(crate) fn piece(&self, start: usize, max_entries: usize, max_bytes: usize) -> usize {
        let mut bytes = 0;
        let entries = self.entries.get(start..).unwrap_or_default().iter().take(max_entries.max(1));
        let fitting = entries.take_while(|entry| {
            bytes += entry.bytes;
            bytes <= max_bytes
        });
        (start + fitting.count().max(1)).min(self.entries.len())
    }

    /// Some of the mutations as the store takes them. An extent that is not in memory any more has no place
    /// in a commit and is left out; commits take only dirty ones, which stay. `graves` has, for each of
    /// them, the tombstone that takes the place of the deletion of what lies below; it may be empty.
    pub(crate) fn mutations<'b>(
        &'b self,
        range: Range<usize>,
        cache: &'b Cache,
        graves: &'b [Grave],
    ) -> Vec<Mutation<'b>> {
        let slice = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        let entries = self.entries.get(range).unwrap_or_default();
        // One more for the superblock.
        let mut mutations = Vec::with_capacity(entries.len() + 1);
        for (index, Pending { key, value, .. }) in entries.iter().enumerate() {
            let key = slice(key);
            match value {
                Value::Delete => mutations.push(match graves.get(index) {
                    Some(Some(value)) => Mutation::Put { key, value },
                    _ => Mutation::Delete { key },
                }),
                Value::Bytes(range) => mutations.push(Mutation::Put { key, value: slice(range) }),
                Value::Extent(ino, index) => {
                    if let Some(extent) = cache.node(*ino).and_then(|node| node.extents.get(index)) {
                        mutations.push(Mutation::Put { key, value: &extent.value });
                    }
                }
            }
        }
        mutations
    }

    /// Starts anew, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.batch_bytes = 0;
    }
}
