//! Writes records as an image.

use super::layout::{
    BLOCK_ENTRY_BYTES, BLOCK_RECORDS, FORMAT, HEADER_BYTES, HEADER_SUMMED_BYTES, MAGIC, RECORD_ENTRY_BYTES,
};
use super::read::{block_sum, header_sum};
use crate::error::{Error, Result};

/// A key without the volume's name, and its value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// Returns records, in the order of their keys, as an image.
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
