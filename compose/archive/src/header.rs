//! Headers of a tar: the block before each entry.

use crate::stream::BLOCK_BYTES;
use std::ops::Range;

/// Kinds of entries in a header.
pub(crate) mod kind {
    pub(crate) const OLD_FILE: u8 = 0;
    pub(crate) const FILE: u8 = b'0';
    pub(crate) const LINK: u8 = b'1';
    pub(crate) const SYMLINK: u8 = b'2';
    pub(crate) const CHARACTER_DEVICE: u8 = b'3';
    pub(crate) const BLOCK_DEVICE: u8 = b'4';
    pub(crate) const DIRECTORY: u8 = b'5';
    pub(crate) const FIFO: u8 = b'6';
    pub(crate) const CONTIGUOUS: u8 = b'7';
    /// Records about the next entry. Solaris wrote `X`.
    pub(crate) const RECORDS: u8 = b'x';
    pub(crate) const SOLARIS_RECORDS: u8 = b'X';
    /// Records about all entries that follow.
    pub(crate) const GLOBAL_RECORDS: u8 = b'g';
    // Only GNU tar writes these.
    pub(crate) const LONG_NAME: u8 = b'L';
    pub(crate) const LONG_TARGET: u8 = b'K';
    pub(crate) const SPARSE: u8 = b'S';
    pub(crate) const LABEL: u8 = b'V';
    pub(crate) const DUMPED_DIRECTORY: u8 = b'D';
    pub(crate) const CONTINUATION: u8 = b'M';
}

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const OWNER: Range<usize> = 108..116;
const SIZE: Range<usize> = 124..136;
const MODIFIED: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;
const TARGET: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const PREFIX: Range<usize> = 345..500;

/// The magic of GNU tar's own format, with holes in the header and without a prefix of the name.
const GNU_MAGIC: &[u8] = b"ustar  \0";
const POSIX_MAGIC: &[u8] = b"ustar\0";

/// Offsets in a header of GNU's format: the pieces of a file with holes, the flag for a block with
/// more pieces, and the whole size.
const SPARSE_PIECES: Range<usize> = 386..482;
const SPARSE_MORE: usize = 482;
const SPARSE_SIZE: Range<usize> = 483..495;

/// The same in a block with more pieces.
const MORE_PIECES: Range<usize> = 0..504;
const MORE_MORE: usize = 504;

/// Bytes of a number, and of a piece, which has two numbers.
const NUMBER_BYTES: usize = 12;
const PIECE_BYTES: usize = 2 * NUMBER_BYTES;

pub(crate) type Block = [u8; BLOCK_BYTES];

pub(crate) struct Header<'a>(pub(crate) &'a Block);

impl<'a> Header<'a> {
    /// Returns true if the checksum is right. The field of the checksum counts as spaces. Some old
    /// programs took bytes as signed.
    pub(crate) fn is_whole(&self) -> bool {
        let bytes = self.0.iter().enumerate();
        let bytes = bytes.map(|(at, byte)| if CHECKSUM.contains(&at) { b' ' } else { *byte });
        let (mut sum, mut signed_sum) = (0, 0);
        for byte in bytes {
            sum += i64::from(byte);
            signed_sum += i64::from(byte.cast_signed());
        }
        number(&self.0[CHECKSUM]).is_ok_and(|told| told == sum || told == signed_sum)
    }

    pub(crate) fn kind(&self) -> u8 {
        self.0[KIND]
    }

    pub(crate) fn is_gnu(&self) -> bool {
        &self.0[MAGIC] == GNU_MAGIC
    }

    pub(crate) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[NAME]);
        let prefix = text(&self.0[PREFIX]);
        match self.0[MAGIC].starts_with(POSIX_MAGIC) && !prefix.is_empty() {
            true => [prefix, name].join(&b'/'),
            false => name.to_owned(),
        }
    }

    pub(crate) fn target(&self) -> &'a [u8] {
        text(&self.0[TARGET])
    }

    pub(crate) fn size_bytes(&self) -> Result<u64, String> {
        size(&self.0[SIZE])
    }

    /// Returns the bits of the mode that say who may do what; `None` if there is no number.
    pub(crate) fn mode(&self) -> Option<u32> {
        number(&self.0[MODE]).ok().map(|mode| (mode & 0o7777) as u32)
    }

    /// Returns the number of the owner; `None` if there is no number.
    pub(crate) fn owner(&self) -> Option<i64> {
        number(&self.0[OWNER]).ok()
    }

    /// Returns the time of modification in seconds.
    pub(crate) fn modified(&self) -> Result<i64, String> {
        number(&self.0[MODIFIED])
    }

    /// Returns the pieces of a file with holes in GNU's format, and true if a block with more
    /// follows.
    pub(crate) fn pieces(&self) -> Result<(Vec<u64>, bool), String> {
        pieces(&self.0[SPARSE_PIECES], self.0[SPARSE_MORE])
    }

    /// Returns the size of a file with its holes in GNU's format.
    pub(crate) fn whole_size_bytes(&self) -> Result<u64, String> {
        size(&self.0[SPARSE_SIZE])
    }
}

/// Reads a block with more pieces of a file, and returns true beside them if another follows.
pub(crate) fn more_pieces(block: &Block) -> Result<(Vec<u64>, bool), String> {
    pieces(&block[MORE_PIECES], block[MORE_MORE])
}

/// Reads offsets and lengths in turns, up to the first empty field.
fn pieces(list: &[u8], more: u8) -> Result<(Vec<u64>, bool), String> {
    let mut numbers = Vec::new();
    for piece in list.as_chunks::<PIECE_BYTES>().0 {
        let (offset, length) = piece.split_at(NUMBER_BYTES);
        if length[0] == 0 {
            return Ok((numbers, false));
        }
        numbers.extend([size(offset)?, size(length)?]);
    }
    Ok((numbers, more != 0))
}

/// Returns the bytes before the first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn size(field: &[u8]) -> Result<u64, String> {
    let wrong = || format!("`{}` is not a size", field.escape_ascii());
    u64::try_from(number(field)?).map_err(|_| wrong())
}

/// Reads a number: octal digits after spaces and before a space or a zero byte; or binary, marked
/// by the first bit, as GNU tar writes numbers that are negative or have too many digits.
fn number(field: &[u8]) -> Result<i64, String> {
    let wrong = || format!("`{}` is not a number", field.escape_ascii());
    match field {
        [0x80, rest @ ..] => binary(0, rest).ok_or_else(wrong),
        [0xff, rest @ ..] => binary(-1, rest).ok_or_else(wrong),
        _ => {
            let digits = field.trim_ascii_start();
            let end = digits.iter().position(|byte| !(b'0'..=b'7').contains(byte)).unwrap_or(digits.len());
            let (digits, behind) = digits.split_at(end);
            let is_number = match behind.first() {
                None => !digits.is_empty(),
                Some(byte) => *byte == 0 || byte.is_ascii_whitespace(),
            };
            let digit = |value: i64, byte: &u8| value.checked_mul(8)?.checked_add(i64::from(byte - b'0'));
            digits.iter().try_fold(0, digit).filter(|_| is_number).ok_or_else(wrong)
        }
    }
}

fn binary(sign: i64, bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(sign, |value, byte| value.checked_mul(256)?.checked_add(i64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        for (field, value) in [
            (&b"00000000644\0"[..], 0o644),
            (b"     644 \0  ", 0o644),
            (b"777777777777", 0o777777777777),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", 0),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\x02", 258),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfb", -5),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
        ] {
            assert_eq!(number(field), Ok(value), "{}", field.escape_ascii());
        }
        for wrong in
            [&b"            "[..], b"zzzzzzzzzzzz", b"12x45678901\0", b"\x80\0\0\0\x80\0\0\0\0\0\0\0", b""]
        {
            assert!(number(wrong).is_err(), "{}", wrong.escape_ascii());
        }
        let negative = size(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").unwrap_err();
        assert_eq!(negative, format!("`{}` is not a size", r"\xff".repeat(12)));
    }
}
