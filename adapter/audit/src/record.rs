//! Records: pieces of the log, each the value of one key.
//!
//! All numbers are big-endian.
//!
//! ```text
//! [0, 8)    XXH64 of [8, end), seeded with XXH64 (seed 0) of the key
//! [8]       version, 1
//! [9]       1 if the first byte goes on with a line of the record before, else 0
//! [10, …)   lines
//! ```
//!
//! A record ends with a line's end, unless the store takes no value as long as the line.

use crate::key::Key;
use xxhash_rust::xxh64::xxh64;

/// Bytes of a record before its lines.
pub const HEADER_BYTES: usize = 10;

const VERSION: u8 = 1;

/// A record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'v> {
    /// Whether it goes on with a line of the record before.
    pub continues: bool,
    /// The lines.
    pub lines: &'v [u8],
}

impl<'v> Record<'v> {
    /// Reads a value. `None` if it is damaged, lies under another key than its own, or has a form
    /// that this version does not know.
    pub fn read(key: Key, value: &'v [u8]) -> Option<Self> {
        let (checksum, rest) = value.split_first_chunk()?;
        if u64::from_be_bytes(*checksum) != sum(key, rest) {
            return None;
        }
        match rest {
            [VERSION, continues @ (0 | 1), lines @ ..] => Some(Self { continues: *continues == 1, lines }),
            _ => None,
        }
    }

    /// Appends the value for a key.
    pub fn write(&self, key: Key, value: &mut Vec<u8>) {
        let start = value.len();
        value.extend_from_slice(&[0; 8]);
        value.extend_from_slice(&[VERSION, u8::from(self.continues)]);
        value.extend_from_slice(self.lines);
        let checksum = value.get(start + 8..).map_or(0, |rest| sum(key, rest)).to_be_bytes();
        value.iter_mut().skip(start).zip(checksum).for_each(|(to, from)| *to = from);
    }
}

/// Returns how many of the waiting bytes go into the next record of a store that takes values of so
/// many bytes: whole lines, or a part of one if it alone is too long.
pub fn next_bytes(lines: &[u8], max_value_bytes: usize) -> usize {
    let room = max_value_bytes.saturating_sub(HEADER_BYTES).max(1);
    match lines.get(..room) {
        None => lines.len(),
        Some(head) => head.iter().rposition(|byte| *byte == b'\n').map_or(room, |at| at + 1),
    }
}

fn sum(key: Key, rest: &[u8]) -> u64 {
    xxh64(rest, xxh64(&key.to_bytes(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::RunId;

    #[test]
    fn a_record_comes_back_and_no_changed_bit_is_missed() {
        let key = Key { run: RunId::new(5, 0), seq: 3 };
        let record = Record { continues: true, lines: b"{\"n\":1}\n" };
        let mut value = Vec::new();
        record.write(key, &mut value);
        assert_eq!(Record::read(key, &value), Some(record));
        assert_eq!(Record::read(Key { seq: 4, ..key }, &value), None, "under another key");
        for bit in 0..value.len() * 8 {
            value[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::read(key, &value), None, "bit {bit}");
            value[bit / 8] ^= 1 << (bit % 8);
        }
        for end in 0..value.len() {
            assert_eq!(Record::read(key, &value[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn records_hold_whole_lines_where_they_can() {
        assert_eq!(next_bytes(b"ab\ncd\n", 100), 6);
        assert_eq!(next_bytes(b"ab\ncd\n", HEADER_BYTES + 5), 3);
        assert_eq!(next_bytes(b"abcdef\n", HEADER_BYTES + 4), 4, "a part of a line");
        assert_eq!(next_bytes(b"abcdef\n", 0), 1, "progress on any store");
    }
}
