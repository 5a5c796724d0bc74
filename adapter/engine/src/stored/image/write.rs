//! Packs a volume into an image.

use super::read::{Digest, block_sum, header_sum};
use super::{
    BLOCK_ENTRY_BYTES, BLOCK_RECORDS, FORMAT, HEADER_BYTES, HEADER_SUMMED_BYTES, MAGIC, RECORD_ENTRY_BYTES,
};
use crate::error::{Error, Result};
use crate::fsck;
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::store::KvStore;
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::superblock::Superblock;

/// Longest name of an image, in bytes: its length is one byte of the header.
pub const NAME_BYTES_MAX: usize = 255;

/// Packs a volume of a store into an image, under a name for people.
///
/// The bytes are a function of what the volume holds, inode numbers and times included, and of the two
/// names: the same operations under the same clock give the same image, whatever happened to the volume's
/// epoch. The volume itself is not changed.
///
/// # Errors
/// [`Error::Invalid`] for a name of no or more than 255 bytes, [`Error::Format`] for a volume that is not at
/// rest (it must have been synced and have nothing unlinked that was open), lies on an image itself, or is too
/// large for an image, which has less than 4 GiB; [`Error::Damaged`] for one that [`crate::fsck`] finds
/// something in; [`Error::NoEntry`] if there is none; the store's.
///
/// # Cost
/// Reads the volume twice, and holds its content in memory twice.
pub fn pack(store: &mut dyn KvStore, volume: &str, name: &str) -> Result<Vec<u8>> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Error::Invalid);
    }
    let report = fsck::fsck(store, volume)?;
    if !report.is_clean() {
        return Err(Error::damaged("volume", 0, "a check finds something wrong with it; repair it first"));
    }
    let keys = KeySpace::new(volume);
    let mut records = read(store, &keys)?;
    let (superblock_key, superblock_value) = records.first_mut().ok_or(Error::NoEntry)?;
    let mut superblock = Superblock::decode(keys.superblock(), superblock_value)?;
    if superblock.lower.is_some() {
        return Err(Error::Format("it lies on an image itself"));
    }
    superblock.freeze(report.content_bytes);
    *superblock_value = superblock.encode(keys.superblock());
    debug_assert_eq!(superblock_key.as_slice(), [tag::SUPERBLOCK]);

    let mut digest = Digest::new();
    for (key, value) in &records {
        digest.record(key, value);
    }
    superblock.uuid = digest.end();
    if let Some((_, value)) = records.first_mut() {
        *value = superblock.encode(keys.superblock());
    }
    lay_out(&records, volume, name, superblock.uuid)
}

type Record = (Vec<u8>, Vec<u8>);

/// Reads all records, in order, their keys without the volume's name.
fn read(store: &mut dyn KvStore, keys: &KeySpace) -> Result<Vec<Record>> {
    let limits = store.limits()?;
    let (entries_max, bytes_max) =
        (READDIR_PAGE_ENTRIES.min(limits.max_batch_entries), READDIR_PAGE_BYTES.min(limits.max_batch_bytes));
    let (mut start, end) = keys.volume_range();
    let mut records = Vec::new();
    loop {
        let page = store.scan(&start, &end, entries_max, bytes_max)?;
        let Some(last) = page.last() else { return Ok(records) };
        start.clone_from(&last.key);
        start.push(0);
        for entry in page {
            let inner = keys.inner(&entry.key).unwrap_or_default().to_vec();
            if !matches!(inner.first(), Some(&(tag::SUPERBLOCK | tag::INODE | tag::DENTRY | tag::EXTENT))) {
                return Err(Error::Format("it is not at rest: sync it, and close what was unlinked"));
            }
            records.push((inner, entry.value));
        }
    }
}

pub(crate) fn lay_out(records: &[Record], volume: &str, name: &str, digest: [u8; 16]) -> Result<Vec<u8>> {
    let too_large = || Error::Format("it is too large for an image, which has less than 4 GiB");
    let number = |number: usize| u32::try_from(number).map(u32::to_be_bytes).map_err(|_| too_large());
    let blocks: Vec<&[Record]> = records.chunks(BLOCK_RECORDS).collect();
    let keys_bytes = |block: &[Record]| block.iter().map(|(key, _)| key.len()).sum::<usize>();
    let table_at = HEADER_BYTES + volume.len() + name.len();
    let blocks_at = table_at + blocks.len() * BLOCK_ENTRY_BYTES;
    let blocks_bytes = blocks.iter().map(|block| block.len() * RECORD_ENTRY_BYTES + keys_bytes(block));
    let mut value_at = blocks_at + blocks_bytes.sum::<usize>();
    let total = value_at + records.iter().map(|(_, value)| value.len()).sum::<usize>();

    let (mut table, mut packed) = (Vec::new(), Vec::new());
    for (index, block) in blocks.iter().enumerate() {
        let (start, mut key_end) = (packed.len(), 0);
        for (key, value) in *block {
            key_end += key.len();
            packed.extend_from_slice(&number(value_at)?);
            packed.extend_from_slice(&number(value.len())?);
            // 32 keys of up to 520 bytes.
            packed.extend_from_slice(&u16::try_from(key_end).map_err(|_| too_large())?.to_be_bytes());
            value_at += value.len();
        }
        block.iter().for_each(|(key, _)| packed.extend_from_slice(key));
        let bytes = packed.get(start..).unwrap_or_default();
        let next_first = blocks.get(index + 1).and_then(|next| next.first()).map(|(key, _)| key.as_slice());
        table.extend_from_slice(&number(blocks_at + start)?);
        table.extend_from_slice(&number(bytes.len())?);
        table.extend_from_slice(&block_sum(index, bytes, next_first.unwrap_or_default()).to_be_bytes());
    }

    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT.to_be_bytes());
    for length in [volume.len(), name.len()] {
        out.push(u8::try_from(length).map_err(|_| Error::Invalid)?);
    }
    for count in [records.len(), blocks.len(), total] {
        out.extend_from_slice(&number(count)?);
    }
    out.extend_from_slice(&digest);
    let names = [volume.as_bytes(), name.as_bytes()].concat();
    debug_assert_eq!(out.len(), HEADER_SUMMED_BYTES);
    out.extend_from_slice(&header_sum(&out, &names).to_be_bytes());
    for part in [&names, &table, &packed] {
        out.extend_from_slice(part);
    }
    for (_, value) in records {
        out.extend_from_slice(value);
    }
    debug_assert_eq!(out.len(), total);
    Ok(out)
}
