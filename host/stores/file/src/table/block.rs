//! A block: keys in ascending order, each with a place (level 0) or a child of the level below.
//!
//! ```text
//! entries         each: shared varint, suffix length varint, suffix, payload
//! restarts        offset u32 of every 16th entry
//! restarts u32    their number
//! level u32
//! ```
//!
//! A key begins with the first `shared` bytes of the key before it. An entry at a restart shares
//! nothing, and the place before it does not count either, so reading may begin there. Fixed
//! numbers are little-endian.

use super::place::{Behind, Child, Place};
use super::varint::{MAX_VARINT_BYTES, put, take};
use std::cmp::Ordering;

/// Longest key of an entry.
pub(crate) const MAX_KEY_BYTES: usize = u16::MAX as usize;

/// A block is closed once its entries take so much.
const DATA_BLOCK_BYTES: usize = 4 << 10;
/// The same of a block of children. Wide blocks keep the tree flat.
const INDEX_BLOCK_BYTES: usize = 16 << 10;

/// Most bytes of an entry: two numbers, the key, three numbers, and a restart.
const MAX_ENTRY_BYTES: usize = 5 * MAX_VARINT_BYTES + MAX_KEY_BYTES + 4;
/// Most bytes of a block: one of children has two entries at least.
pub(crate) const MAX_BLOCK_BYTES: usize = INDEX_BLOCK_BYTES + 2 * MAX_ENTRY_BYTES + TAIL_BYTES;

const TAIL_BYTES: usize = 8;
const ENTRIES_PER_RESTART: usize = 16;

/// A block in the making.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    entries: usize,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
    behind: Behind,
}

impl BlockBuilder {
    pub(crate) fn push_place(&mut self, key: &[u8], place: Place) {
        self.push_key(key);
        self.behind.put_place(&mut self.bytes, place);
    }

    pub(crate) fn push_child(&mut self, key: &[u8], child: Child) {
        self.push_key(key);
        child.put(&mut self.bytes);
    }

    fn push_key(&mut self, key: &[u8]) {
        let mut shared = 0;
        if self.entries.is_multiple_of(ENTRIES_PER_RESTART) {
            self.restarts.push(self.bytes.len() as u32);
            self.behind = Behind::default();
        } else {
            shared = shared_bytes(&self.last_key, key);
        }
        if self.entries == 0 {
            self.first_key = key.to_vec();
        }
        self.entries += 1;
        put(&mut self.bytes, shared as u64);
        put(&mut self.bytes, (key.len() - shared) as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Returns whether a block of places is large enough.
    pub(crate) fn is_full_of_places(&self) -> bool {
        self.bytes.len() >= DATA_BLOCK_BYTES
    }

    /// Returns whether a block of children is large enough. Two at least, or the tree had no end.
    pub(crate) fn is_full_of_children(&self) -> bool {
        self.bytes.len() >= INDEX_BLOCK_BYTES && self.entries > 1
    }

    /// Returns the first key and the bytes, and begins the next block.
    pub(crate) fn finish(&mut self, level: u32) -> (Vec<u8>, Vec<u8>) {
        let Self { mut bytes, restarts, first_key, .. } = std::mem::take(self);
        for restart in &restarts {
            bytes.extend_from_slice(&restart.to_le_bytes());
        }
        bytes.extend_from_slice(&(restarts.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&level.to_le_bytes());
        (first_key, bytes)
    }
}

/// A block whose entries do not follow the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A block that was read.
///
/// Whoever computed its hash may still have written anything into it, so every length is checked
/// when it is used.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    entries_end: usize,
    restarts: usize,
    level: u32,
}

impl Block {
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self, Malformed> {
        let read = || {
            let tail = bytes.len().checked_sub(TAIL_BYTES)?;
            let restarts = u32::from_le_bytes(*bytes.get(tail..)?.first_chunk()?) as usize;
            let level = u32::from_le_bytes(*bytes.get(tail + 4..)?.first_chunk()?);
            let entries_end = tail.checked_sub(restarts.checked_mul(4)?)?;
            // Only a table without keys has a block without entries.
            ((entries_end == 0) == (restarts == 0)).then_some((entries_end, restarts, level))
        };
        let (entries_end, restarts, level) = read().ok_or(Malformed)?;
        Ok(Self { bytes, entries_end, restarts, level })
    }

    /// Makes a page of a filter, which has no entries, to be cached beside blocks.
    pub(crate) fn of_filter(bytes: Vec<u8>) -> Self {
        Self { bytes, entries_end: 0, restarts: 0, level: u32::MAX }
    }

    /// Returns all its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns its distance from the blocks of places, which have level 0.
    pub(crate) fn level(&self) -> u32 {
        self.level
    }

    /// Returns whether it has no entries.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries_end == 0
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn entries(&self) -> &[u8] {
        &self.bytes[..self.entries_end]
    }

    /// Returns the offset of a restart's entry.
    fn restart(&self, number: usize) -> Result<usize, Malformed> {
        let at = self.entries_end + 4 * number;
        let offset = self.bytes.get(at..).and_then(|bytes| bytes.first_chunk()).ok_or(Malformed)?;
        Ok(u32::from_le_bytes(*offset) as usize)
    }

    /// Returns the offset of the last restart whose key is at most `key`, or of the first one.
    fn restart_before(&self, key: &[u8]) -> Result<usize, Malformed> {
        let (mut low, mut high) = (0, self.restarts);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let head = Head::read(self.entries(), self.restart(middle)?).ok_or(Malformed)?;
            if head.shared != 0 {
                return Err(Malformed);
            }
            if head.suffix <= key { low = middle } else { high = middle }
        }
        if self.restarts == 0 { Ok(0) } else { self.restart(low) }
    }

    /// Returns the place of a key.
    pub(crate) fn place(&self, key: &[u8]) -> Result<Option<Place>, Malformed> {
        let mut search = Search::new(self, key)?;
        let mut behind = Behind::default();
        while let Some(order) = search.next()? {
            if order == Ordering::Greater {
                return Ok(None);
            }
            let place = behind.take_place(self.entries(), &mut search.at).ok_or(Malformed)?;
            if order == Ordering::Equal {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Returns the child under which a key is: the last whose key is at most `key`.
    pub(crate) fn child(&self, key: &[u8]) -> Result<Child, Malformed> {
        let mut search = Search::new(self, key)?;
        let mut found = None;
        while let Some(order) = search.next()? {
            if order == Ordering::Greater {
                break;
            }
            found = Some(Child::take(self.entries(), &mut search.at).ok_or(Malformed)?);
        }
        // The first key of a table's blocks of children is empty.
        found.ok_or(Malformed)
    }
}

/// The lengths and the new bytes of an entry's key.
struct Head<'a> {
    shared: usize,
    suffix: &'a [u8],
    payload_at: usize,
}

impl<'a> Head<'a> {
    fn read(entries: &'a [u8], mut at: usize) -> Option<Self> {
        let shared = usize::try_from(take(entries, &mut at)?).ok()?;
        let suffix_bytes = usize::try_from(take(entries, &mut at)?).ok()?;
        let suffix = entries.get(at..)?.get(..suffix_bytes)?;
        let whole = shared.checked_add(suffix_bytes)? <= MAX_KEY_BYTES;
        whole.then_some(Self { shared, suffix, payload_at: at + suffix_bytes })
    }
}

/// A walk over entries that compares their keys with one key, without putting any key together.
struct Search<'a> {
    entries: &'a [u8],
    at: usize,
    key: &'a [u8],
    /// How many bytes the last entry's key and `key` share.
    matched: usize,
    /// The length of the last entry's key.
    length: usize,
}

impl<'a> Search<'a> {
    fn new(block: &'a Block, key: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { entries: block.entries(), at: block.restart_before(key)?, key, matched: 0, length: 0 })
    }

    /// Goes to the payload of the next entry and returns how the entry's key compares with the key
    /// sought. All entries before must have been less.
    fn next(&mut self) -> Result<Option<Ordering>, Malformed> {
        if self.at >= self.entries.len() {
            return Ok(None);
        }
        let head = Head::read(self.entries, self.at).ok_or(Malformed)?;
        if head.shared > self.length {
            return Err(Malformed);
        }
        self.at = head.payload_at;
        self.length = head.shared + head.suffix.len();
        if head.shared > self.matched {
            // It has the byte that made the last one less.
            return Ok(Some(Ordering::Less));
        }
        let rest = &self.key[head.shared..];
        self.matched = head.shared + shared_bytes(head.suffix, rest);
        Ok(Some(head.suffix.cmp(rest)))
    }
}

/// A walk over entries that puts their keys together.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    at: usize,
    /// The key of the entry read last.
    pub(crate) key: Vec<u8>,
    behind: Behind,
    /// Entries read since a restart.
    entries: usize,
}

impl Cursor {
    /// Starts at the first entry.
    pub(crate) fn first() -> Self {
        Self { at: 0, key: Vec::new(), behind: Behind::default(), entries: 0 }
    }

    /// Starts at the restart before `key`.
    pub(crate) fn before(block: &Block, key: &[u8]) -> Result<Self, Malformed> {
        Ok(Self { at: block.restart_before(key)?, ..Self::first() })
    }

    /// Reads the next entry's place; `None` behind the last one.
    pub(crate) fn place(&mut self, block: &Block) -> Result<Option<Place>, Malformed> {
        if !self.step(block)? {
            return Ok(None);
        }
        self.behind.take_place(block.entries(), &mut self.at).map(Some).ok_or(Malformed)
    }

    /// Reads the next entry's child; `None` behind the last one.
    pub(crate) fn child(&mut self, block: &Block) -> Result<Option<Child>, Malformed> {
        if !self.step(block)? {
            return Ok(None);
        }
        Child::take(block.entries(), &mut self.at).map(Some).ok_or(Malformed)
    }

    /// Puts the next key together.
    fn step(&mut self, block: &Block) -> Result<bool, Malformed> {
        let entries = block.entries();
        if self.at >= entries.len() {
            return Ok(false);
        }
        if self.entries.is_multiple_of(ENTRIES_PER_RESTART) {
            self.behind = Behind::default();
        }
        self.entries += 1;
        let head = Head::read(entries, self.at).ok_or(Malformed)?;
        if head.shared > self.key.len() {
            return Err(Malformed);
        }
        self.key.truncate(head.shared);
        self.key.extend_from_slice(head.suffix);
        self.at = head.payload_at;
        Ok(true)
    }
}

/// Returns how many bytes two keys begin with in common.
pub(crate) fn shared_bytes(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
