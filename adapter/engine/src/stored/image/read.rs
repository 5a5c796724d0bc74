//! Reads an image in place. Every length and offset in it may be hostile.
//!
//! A search compares keys of unchecked blocks, and then checks the block that it ends at. The
//! block's checksum covers its place, its records and the first key of the next block. So a key
//! between the two first keys is in this block or nowhere.

use super::layout::{
    BLOCK_ENTRY_BYTES, BLOCK_RECORDS, FORMAT, HEADER_BYTES, HEADER_SUMMED_BYTES, MAGIC, RECORD_ENTRY_BYTES,
};
use crate::error::{Error, Result};
use crate::stored::key::KeySpace;
use crate::stored::record::superblock::Superblock;
use crate::types::ImageId;
use std::fmt;
use xxhash_rust::xxh64::{Xxh64, xxh64};

/// An image, ready to be read.
///
/// Opening costs the same for every size: each block is checked when it is first read.
#[derive(Clone)]
pub struct Image {
    bytes: &'static [u8],
    id: ImageId,
    volume: String,
    records: usize,
    blocks: usize,
    /// The start of the table of blocks.
    table_at: usize,
    /// One bit for each block: its checksum was found right.
    checked: Vec<u64>,
}

impl fmt::Debug for Image {
    /// Omits the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("id", &self.id).field("volume", &self.volume).finish_non_exhaustive()
    }
}

fn damaged(found: &'static str) -> Error {
    Error::damaged("image", 0, found)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk::<2>()?;
    Some(usize::from(u16::from_be_bytes(*bytes)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

/// Returns the checksum of a block at this index, before a block that starts with this key.
pub(super) fn block_sum(index: usize, block: &[u8], next_first: &[u8]) -> u64 {
    xxh64(block, xxh64(next_first, index as u64))
}

/// The checksum of a header.
pub(super) fn header_sum(fixed: &[u8], names: &[u8]) -> u64 {
    xxh64(names, xxh64(fixed, 0))
}

/// Computes the digest of an image: of its records in order, the superblock without its uuid.
pub(crate) struct Digest([Xxh64; 2]);

impl Digest {
    pub(crate) fn new() -> Self {
        Self([Xxh64::new(1), Xxh64::new(2)])
    }

    pub(crate) fn record(&mut self, key: &[u8], value: &[u8]) {
        for half in &mut self.0 {
            half.update(&(key.len() as u64).to_be_bytes());
            half.update(key);
            half.update(&(value.len() as u64).to_be_bytes());
            half.update(value);
        }
    }

    pub(crate) fn end(&self) -> [u8; 16] {
        let mut digest = [0; 16];
        for (place, half) in digest.chunks_exact_mut(8).zip(&self.0) {
            place.copy_from_slice(&half.digest().to_be_bytes());
        }
        digest
    }
}

/// One block: its bytes, and its number of records.
#[derive(Debug, Clone, Copy)]
struct Block {
    bytes: &'static [u8],
    records: usize,
}

impl Block {
    fn key(&self, index: usize) -> Option<&'static [u8]> {
        if index >= self.records {
            return None;
        }
        let end_at = |index: usize| u16_at(self.bytes, index * RECORD_ENTRY_BYTES + 8);
        let start = if index == 0 { 0 } else { end_at(index - 1)? };
        self.bytes.get(self.records * RECORD_ENTRY_BYTES..)?.get(start..end_at(index)?)
    }
}

/// The header of an image, decoded.
struct Header {
    id: ImageId,
    volume: String,
    records: usize,
    blocks: usize,
    /// The start of the table of blocks.
    table_at: usize,
    /// Bytes of the image.
    total: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self> {
        let fixed = bytes.get(..HEADER_BYTES).ok_or(Error::Format("it is too short for an image"))?;
        if !fixed.starts_with(&MAGIC) {
            return Err(Error::Format("it is not an image"));
        }
        if u16_at(fixed, MAGIC.len()) != Some(usize::from(FORMAT)) {
            return Err(Error::Format("the image was made by a newer version; use that version"));
        }
        let cut = || damaged("cut short");
        let (volume_bytes, name_bytes) = (usize::from(fixed[10]), usize::from(fixed[11]));
        let number = |at: usize| u32_at(fixed, at).ok_or_else(cut);
        let (records, blocks, total) = (number(12)?, number(16)?, number(20)?);
        let bytes = bytes.get(..total).ok_or_else(cut)?;
        let table_at = HEADER_BYTES + volume_bytes + name_bytes;
        let names = bytes.get(HEADER_BYTES..table_at).ok_or_else(cut)?;
        let (summed, sum) = fixed.split_at(HEADER_SUMMED_BYTES);
        if sum != header_sum(summed, names).to_be_bytes() {
            return Err(damaged("checksum mismatch in the header"));
        }
        let text =
            |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| damaged("a name that is no UTF-8"));
        let (volume, name) = names.split_at_checked(volume_bytes).ok_or_else(cut)?;
        let table_bytes =
            blocks.checked_mul(BLOCK_ENTRY_BYTES).and_then(|length| length.checked_add(table_at));
        if blocks != records.div_ceil(BLOCK_RECORDS) || table_bytes.is_none_or(|end| end > total) {
            return Err(damaged("counts that do not fit"));
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&fixed[24..HEADER_SUMMED_BYTES]);
        let id = ImageId { name: text(name)?, digest };
        Ok(Self { id, volume: text(volume)?, records, blocks, table_at, total })
    }
}

impl ImageId {
    /// Reads the identity of an image. Anything may follow it in `bytes`.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn read(bytes: &[u8]) -> Result<Self> {
        Header::read(bytes).map(|header| header.id)
    }
}

impl Image {
    /// Opens an image. Anything may follow it in `bytes`.
    ///
    /// # Errors
    /// [`Error::Format`] for something else, or an image of a newer version; [`Error::Damaged`].
    ///
    /// # Cost
    /// Reads the header.
    pub fn open(bytes: &'static [u8]) -> Result<Self> {
        let Header { id, volume, records, blocks, table_at, total } = Header::read(bytes)?;
        let bytes = bytes.get(..total).ok_or(damaged("cut short"))?;
        Ok(Self { bytes, id, volume, records, blocks, table_at, checked: vec![0; blocks.div_ceil(64)] })
    }

    /// Returns the identity of the image.
    pub fn id(&self) -> &ImageId {
        &self.id
    }

    /// Returns the name of the packed volume. A volume above the image must have the same name.
    pub fn volume(&self) -> &str {
        &self.volume
    }

    /// Returns the size of the image in bytes.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Checks everything below the file system: every block, and that the content matches the
    /// digest.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    ///
    /// # Cost
    /// Reads all of it.
    pub fn verify(&mut self) -> Result<()> {
        let mut digest = Digest::new();
        let mut last: Option<&[u8]> = None;
        for index in 0..self.records {
            let (key, value) = self.record(index)?.ok_or(damaged("a record is missing"))?;
            if last.is_some_and(|last| last >= key) {
                return Err(damaged("its records are not in order"));
            }
            last = Some(key);
            if index == 0 {
                let superblock = self.superblock()?;
                let anonymous = Superblock { uuid: [0; 16], ..superblock };
                digest.record(key, &anonymous.encode(KeySpace::new(&self.volume).superblock()));
            } else {
                digest.record(key, value);
            }
        }
        if digest.end() == self.id.digest {
            Ok(())
        } else {
            Err(damaged("its content does not match its digest"))
        }
    }

    /// Returns the superblock of the packed volume.
    pub(crate) fn superblock(&mut self) -> Result<Superblock> {
        Ok(self.superblock_value()?.0)
    }

    /// As [`Image::superblock`], with its stored value.
    pub(crate) fn superblock_value(&mut self) -> Result<(Superblock, &'static [u8])> {
        let keys = KeySpace::new(&self.volume);
        let inner = keys.inner(keys.superblock()).unwrap_or_default();
        let value = self.get(inner)?.ok_or(damaged("it has no superblock"))?;
        let superblock = Superblock::decode(keys.superblock(), value)?;
        if !superblock.frozen || superblock.lower.is_some() || superblock.has_journal() {
            return Err(damaged("its superblock is not that of an image"));
        }
        Ok((superblock, value))
    }

    /// Returns the value of a key, which is given without the volume's name.
    ///
    /// # Cost
    /// A search. The first read from a block of 32 records checks it.
    pub(crate) fn get(&mut self, inner: &[u8]) -> Result<Option<&'static [u8]>> {
        let at = self.seek(inner)?;
        match self.record(at)? {
            Some((key, value)) if key == inner => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    /// Returns the index of the first record whose key is not less; the number of records if there
    /// is none.
    pub(crate) fn seek(&mut self, inner: &[u8]) -> Result<usize> {
        let (mut low, mut high) = (0, self.blocks);
        // Blocks before `low` do not start with a greater key, and those from `high` on do.
        while low < high {
            let middle = low + (high - low) / 2;
            let first = self.first_key(middle).ok_or(damaged("a block out of range"))?;
            if first <= inner { low = middle + 1 } else { high = middle }
        }
        let Some(index) = low.checked_sub(1) else {
            // The key is less than the first one, if block 0 proves to be the first.
            return if self.blocks == 0 { Ok(0) } else { self.checked_block(0).map(|_| 0) };
        };
        let block = self.checked_block(index)?;
        if block.key(0).is_none_or(|first| first > inner)
            || self.first_key(index + 1).is_some_and(|next| next <= inner)
        {
            return Err(damaged("its blocks are not in order"));
        }
        let (mut low, mut high) = (0, block.records);
        while low < high {
            let middle = low + (high - low) / 2;
            let key = block.key(middle).ok_or(damaged("a key out of range"))?;
            if key < inner { low = middle + 1 } else { high = middle }
        }
        Ok(index * BLOCK_RECORDS + low)
    }

    /// Returns the key, without the volume's name, and the value of a record; `None` behind the
    /// last.
    pub(crate) fn record(&mut self, place: usize) -> Result<Option<(&'static [u8], &'static [u8])>> {
        if place >= self.records {
            return Ok(None);
        }
        let block = self.checked_block(place / BLOCK_RECORDS)?;
        let index = place % BLOCK_RECORDS;
        let key = block.key(index).ok_or(damaged("a key out of range"))?;
        let entry = index * RECORD_ENTRY_BYTES;
        let range = u32_at(block.bytes, entry).zip(u32_at(block.bytes, entry + 4));
        let value = range.and_then(|(start, length)| self.bytes.get(start..)?.get(..length));
        Ok(Some((key, value.ok_or(damaged("a value out of range"))?)))
    }

    fn first_key(&self, index: usize) -> Option<&'static [u8]> {
        self.block(index)?.0.key(0)
    }

    /// Returns a block and its checksum, as the table has them.
    fn block(&self, index: usize) -> Option<(Block, u64)> {
        if index >= self.blocks {
            return None;
        }
        let at = self.table_at + index * BLOCK_ENTRY_BYTES;
        let (start, length) = (u32_at(self.bytes, at)?, u32_at(self.bytes, at + 4)?);
        let sum = u64::from_be_bytes(*self.bytes.get(at + 8..)?.first_chunk::<8>()?);
        let bytes = self.bytes.get(start..)?.get(..length)?;
        let records = (self.records - index * BLOCK_RECORDS).min(BLOCK_RECORDS);
        Some((Block { bytes, records }, sum))
    }

    fn checked_block(&mut self, index: usize) -> Result<Block> {
        let (block, sum) = self.block(index).ok_or(damaged("a block out of range"))?;
        let (word, bit) = (index / 64, 1_u64 << (index % 64));
        if self.checked.get(word).is_some_and(|word| word & bit != 0) {
            return Ok(block);
        }
        let next = self.first_key(index + 1);
        if next.is_none() && index + 1 < self.blocks {
            return Err(damaged("a block out of range"));
        }
        if sum != block_sum(index, block.bytes, next.unwrap_or_default()) {
            return Err(damaged("checksum mismatch in a block"));
        }
        // Keys must ascend even if a hostile image has right checksums: a scan must make progress.
        let keys = (0..block.records).map(|record| block.key(record)).chain(next.map(Some));
        let ascend = keys.clone().zip(keys.skip(1)).all(|(one, other)| one.is_some() && one < other);
        if !ascend || block.key(0).is_none() {
            return Err(damaged("its records are not in order"));
        }
        if let Some(word) = self.checked.get_mut(word) {
            *word |= bit;
        }
        Ok(block)
    }
}

/// Recomputes the checksums of the header and of all blocks that the bytes have.
#[cfg(feature = "fuzzing")]
pub(crate) fn reseal(bytes: &mut [u8]) {
    let count = |at| u32_at(bytes, at);
    let (Some(records), Some(&volume), Some(&name)) = (count(12), bytes.get(10), bytes.get(11)) else {
        return;
    };
    let table_at = HEADER_BYTES + usize::from(volume) + usize::from(name);
    let block = |bytes: &[u8], index: usize| -> Option<Vec<u8>> {
        let at = table_at + index * BLOCK_ENTRY_BYTES;
        Some(bytes.get(u32_at(bytes, at)?..)?.get(..u32_at(bytes, at + 4)?)?.to_vec())
    };
    for index in 0..records.div_ceil(BLOCK_RECORDS) {
        let Some(found) = block(bytes, index) else { break };
        let left = records.saturating_sub((index + 1) * BLOCK_RECORDS).min(BLOCK_RECORDS);
        let next = block(bytes, index + 1).filter(|_| left > 0);
        let first = next.as_ref().and_then(|next| {
            let end = u16_at(next, 8)?;
            next.get(left * RECORD_ENTRY_BYTES..)?.get(..end)
        });
        let sum = block_sum(index, &found, first.unwrap_or_default());
        let at = table_at + index * BLOCK_ENTRY_BYTES + 8;
        if let Some(place) = bytes.get_mut(at..at + 8) {
            place.copy_from_slice(&sum.to_be_bytes());
        }
    }
    let names = bytes.get(HEADER_BYTES..table_at).unwrap_or_default();
    let sum = header_sum(bytes.get(..HEADER_SUMMED_BYTES).unwrap_or_default(), names);
    if let Some(place) = bytes.get_mut(HEADER_SUMMED_BYTES..HEADER_BYTES) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
}
