//! The bytes of a record: a header of fixed size, an index of keys, and the values.
//!
//! ```text
//!  0 magic "kvf1"        24 synced-to   u64       48 hash of the values  u64
//!  4 flags     u32       32 index bytes u32       56 hash of bytes 0..56 u64, seeded with
//!  8 epoch     u64       36 value bytes u32          the record's offset and the salt
//! 16 sequence  u64       40 hash of the index u64
//! ```
//!
//! Numbers are little-endian, hashes XXH64. The index holds for each change the key's length (u16),
//! the value's length plus one (u32; 0 for a removal), and the key; the values follow each other in
//! that order. `synced-to` is the offset up to which the segment was durable when the record was
//! written.
//!
//! A segment has a salt, which its start has in front of its list ([`FLAG_SALT`]). The header of the
//! start itself, and all headers in segments that older versions wrote, are hashed without it.
//!
//! A *note* is a header alone, at the offset up to which it declares the segment durable. It has no
//! place in the sequence: the next record overwrites it.

use crate::salt::Salt;
use kvfs_contract::Mutation;
use xxhash_rust::xxh64::xxh64;

pub(crate) const HEADER_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"kvf1";

/// The first record of a segment. Its index lists the segments before it.
pub(crate) const FLAG_START: u32 = 1;
/// A start of a snapshot, which older versions wrote: the segment holds everything itself, once a
/// record with [`FLAG_END`] follows.
pub(crate) const FLAG_SNAPSHOT: u32 = 2;
/// The end of a snapshot or of copied records.
pub(crate) const FLAG_END: u32 = 4;

/// A note: only its `synced-to` counts, which is the offset where it lies.
pub(crate) const FLAG_NOTE: u32 = 8;
/// A start with a list of the present form. Older versions, which do not know the flag, take the
/// list for one of the first form, miss a segment and refuse the store.
pub(crate) const FLAG_LIST: u32 = 16;
/// A start of copied records: the segment counts once a record with [`FLAG_END`] follows.
pub(crate) const FLAG_COPIES: u32 = 32;
/// A start whose index is the segment's salt and then a list with the salts of others. Versions
/// that do not know the flag take it for a list that is none, and refuse the store.
pub(crate) const FLAG_SALT: u32 = 64;

/// All flags that this version knows.
const KNOWN_FLAGS: u32 =
    FLAG_START | FLAG_SNAPSHOT | FLAG_END | FLAG_NOTE | FLAG_LIST | FLAG_COPIES | FLAG_SALT;

/// The sequence number of a note. No record has it, so a reader of records stops at a note.
pub(crate) const NOTE_SEQUENCE: u64 = u64::MAX;

/// Most bytes of an index: a batch of the largest size that is all keys, with their overhead.
pub(crate) const MAX_INDEX_BYTES: u32 = 32 << 20;
/// Most bytes of values: a batch of the largest size.
pub(crate) const MAX_VALUES_BYTES: u32 = 16 << 20;

/// Bytes of an index for each key beside the key itself.
pub(crate) const KEY_OVERHEAD_BYTES: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: u32,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) synced_to: u64,
    pub(crate) index_bytes: u32,
    pub(crate) values_bytes: u32,
    index_hash: u64,
    values_hash: u64,
}

impl Header {
    /// Returns the size of the whole record.
    pub(crate) fn record_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.index_bytes) + u64::from(self.values_bytes)
    }

    /// Reads the header of a record at `offset` of a segment with this salt; `None` if it is not
    /// whole. The start of a segment has none.
    pub(crate) fn read(bytes: &[u8], offset: u64, salt: Salt) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let u32_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        if bytes[..4] != MAGIC || u64_at(56)? != salt.hash(&bytes[..56], offset) {
            return None;
        }
        let header = Self {
            flags: u32_at(4)?,
            epoch: u64_at(8)?,
            sequence: u64_at(16)?,
            synced_to: u64_at(24)?,
            index_bytes: u32_at(32)?,
            values_bytes: u32_at(36)?,
            index_hash: u64_at(40)?,
            values_hash: u64_at(48)?,
        };
        let bounded = header.index_bytes <= MAX_INDEX_BYTES && header.values_bytes <= MAX_VALUES_BYTES;
        bounded.then_some(header)
    }

    /// Returns the flags of a header that is perhaps damaged elsewhere; `None` if it does not even
    /// begin as one.
    pub(crate) fn flags_left(bytes: &[u8]) -> Option<u32> {
        let flags = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
        bytes.starts_with(&MAGIC).then_some(flags)
    }

    /// Returns whether only a newer version knows what the record is.
    pub(crate) fn is_of_newer_version(&self) -> bool {
        self.flags & !KNOWN_FLAGS != 0
    }

    pub(crate) fn index_is_whole(&self, index: &[u8]) -> bool {
        index.len() == self.index_bytes as usize && xxh64(index, 0) == self.index_hash
    }

    pub(crate) fn values_are_whole(&self, values: &[u8]) -> bool {
        values.len() == self.values_bytes as usize && xxh64(values, 0) == self.values_hash
    }
}

/// Bytes that a buffer keeps for the next record.
const MAX_KEPT_BYTES: usize = 2 << 20;

/// A record in the making, in buffers that serve the next one too: fresh memory costs more than the
/// bytes that are put into it.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Room for the header, and the index; in the end the values too.
    bytes: Vec<u8>,
    /// Values that do not lie behind the index yet.
    values: Vec<u8>,
    /// Where the index ends, if values lie behind it.
    index_end: Option<usize>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEADER_BYTES], values: Vec::new(), index_end: None }
    }

    /// Begins another record.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(HEADER_BYTES);
        self.bytes.shrink_to(MAX_KEPT_BYTES);
        self.values.clear();
        self.values.shrink_to(MAX_KEPT_BYTES);
        self.index_end = None;
    }

    /// Adds all changes of a record that has none. Their values follow each other from
    /// [`Self::values_at`] on.
    pub(crate) fn fill(&mut self, mutations: &[Mutation<&[u8]>]) {
        let changed = |mutation: &Mutation<&[u8]>| {
            KEY_OVERHEAD_BYTES + mutation.key().len() + mutation.value().map_or(0, |value| value.len())
        };
        self.bytes.reserve_exact(mutations.iter().map(changed).sum());
        for mutation in mutations {
            self.push_key(mutation.key(), mutation.value().map(|value| value.len()));
        }
        self.index_end = Some(self.bytes.len());
        for value in mutations.iter().filter_map(Mutation::value) {
            self.bytes.extend_from_slice(value);
        }
    }

    /// Adds a change. Returns the offset of its value behind the record's index.
    pub(crate) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> u32 {
        self.push_key(key, value.map(|value| value.len()));
        let at = self.values.len() as u32;
        self.values.extend_from_slice(value.unwrap_or_default());
        at
    }

    fn push_key(&mut self, key: &[u8], length: Option<usize>) {
        // The contract's limits keep lengths far below the ends of these types.
        self.bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
        let length = length.map_or(0, |length| length as u32 + 1);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(key);
    }

    /// Makes the record of a start, whose index is a salt and a list.
    pub(crate) fn with_list(salt: Salt, list: &[u8]) -> Self {
        let mut builder = Self::new();
        builder.bytes.extend_from_slice(&salt.to_bytes());
        builder.bytes.extend_from_slice(list);
        builder
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER_BYTES
    }

    /// Returns the bytes so far, header included.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.values.len()
    }

    /// Returns the offset of the values in the record.
    pub(crate) fn values_at(&self) -> u64 {
        self.index_end.unwrap_or(self.bytes.len()) as u64
    }

    /// Returns the changes of a finished record.
    pub(crate) fn changes(&self) -> Option<Vec<Change<'_>>> {
        let (index, values) =
            self.bytes.get(HEADER_BYTES..)?.split_at_checked(self.index_end? - HEADER_BYTES)?;
        changes(index, values.len() as u32)
    }

    /// Returns the finished record.
    pub(crate) fn record(&self) -> &[u8] {
        &self.bytes
    }

    /// Finishes the record for its offset in a segment of this salt, and returns it.
    pub(crate) fn finish(
        &mut self,
        flags: u32,
        epoch: u64,
        sequence: u64,
        offset: u64,
        synced_to: u64,
        salt: Salt,
    ) -> &[u8] {
        let Self { bytes, values, index_end } = self;
        let index_end = *index_end.get_or_insert(bytes.len());
        bytes.append(values);
        let (head, values) = bytes.split_at_mut(index_end);
        let (head, index) = head.split_at_mut(HEADER_BYTES);
        let index = &*index;
        let (index_bytes, index_hash) = (index.len() as u32, xxh64(index, 0));
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&flags.to_le_bytes());
        header.extend_from_slice(&epoch.to_le_bytes());
        header.extend_from_slice(&sequence.to_le_bytes());
        header.extend_from_slice(&synced_to.to_le_bytes());
        header.extend_from_slice(&index_bytes.to_le_bytes());
        header.extend_from_slice(&(values.len() as u32).to_le_bytes());
        header.extend_from_slice(&index_hash.to_le_bytes());
        header.extend_from_slice(&xxh64(values, 0).to_le_bytes());
        let hash = salt.hash(&header, offset);
        header.extend_from_slice(&hash.to_le_bytes());
        head.copy_from_slice(&header);
        bytes
    }
}

/// One change of an index: the key, and the length of its value or `None` for a removal.
pub(crate) type Change<'a> = (&'a [u8], Option<u32>);

/// Reads an index; `None` if it is not a run of whole changes whose values take `values_bytes`.
pub(crate) fn changes(mut index: &[u8], values_bytes: u32) -> Option<Vec<Change<'_>>> {
    let mut found = Vec::new();
    let mut values = 0u64;
    while !index.is_empty() {
        let (head, rest) = index.split_at_checked(KEY_OVERHEAD_BYTES)?;
        let key_bytes = u16::from_le_bytes(*head.first_chunk()?);
        let length = u32::from_le_bytes(*head.get(2..)?.first_chunk()?).checked_sub(1);
        let (key, rest) = rest.split_at_checked(usize::from(key_bytes))?;
        values += u64::from(length.unwrap_or(0));
        found.push((key, length));
        index = rest;
    }
    (values == u64::from(values_bytes)).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt::from_numbers([1, 2]);

    #[test]
    fn what_is_built_is_read_and_any_flipped_bit_is_found() {
        let mut builder = Builder::new();
        assert_eq!(builder.push(b"key", Some(b"value")), 0);
        assert_eq!(builder.push(b"gone", None), 5);
        assert_eq!(builder.push(b"", Some(b"")), 5);
        let record = builder.finish(0, 7, 3, 640, 128, SALT).to_vec();
        builder.clear();
        let (put, gone) = (
            Mutation::Put { key: &b"key"[..], value: &b"value"[..] },
            Mutation::Delete { key: &b"gone"[..] },
        );
        builder.fill(&[put, gone, Mutation::Put { key: b"", value: b"" }]);
        assert_eq!(builder.finish(0, 7, 3, 640, 128, SALT), record, "in a buffer that was used before");
        let whole = |record: &[u8]| {
            let header = Header::read(record, 640, SALT)?;
            let (index, values) = record[HEADER_BYTES..].split_at_checked(header.index_bytes as usize)?;
            (header.index_is_whole(index) && header.values_are_whole(values)).then_some(header)
        };
        let header = whole(&record).unwrap();
        assert_eq!((header.epoch, header.sequence, header.synced_to), (7, 3, 128));
        assert_eq!(header.record_bytes(), record.len() as u64);
        let index = &record[HEADER_BYTES..HEADER_BYTES + header.index_bytes as usize];
        let expected: [Change<'_>; 3] = [(b"key", Some(5)), (b"gone", None), (b"", Some(0))];
        assert_eq!(changes(index, header.values_bytes).unwrap(), expected);
        assert_eq!(Header::read(&record, 641, SALT), None, "at another place it is no record");
        assert_eq!(Header::read(&record, 640, Salt::NONE), None, "nor in another segment");
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(whole(&damaged).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn an_index_that_is_not_whole_is_refused() {
        for (index, values) in [(&b"\x01"[..], 0), (b"\x05\0\0\0\0\0abc", 0), (b"\x01\0\x03\0\0\0a", 1)] {
            assert_eq!(changes(index, values), None);
        }
    }
}
