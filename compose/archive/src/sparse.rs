//! Files with holes, as GNU tar writes them: with a map in the header, or in the formats 0.0, 0.1
//! and 1.0 of extended headers, which its manual describes ("Storing Sparse Files").

use crate::stream::BLOCK_BYTES;

/// The headers of an entry that are about holes.
#[derive(Default)]
pub struct Sparse {
    /// True if there are any.
    pub is_there: bool,
    /// The path of the file, if the header of the entry has a placeholder.
    pub(crate) name: Option<Vec<u8>>,
    size_bytes: Option<u64>,
    /// The number of pieces.
    count: Option<u64>,
    /// Offset and length of each piece, in turns.
    map: Vec<u64>,
    version: [u64; 2],
}

impl Sparse {
    /// Makes it of the map in the header itself: offsets and lengths in turns, and the whole size.
    pub(crate) fn in_header(map: Vec<u64>, size_bytes: u64) -> Self {
        let count = Some(map.len() as u64 / 2);
        Self { is_there: true, map, count, size_bytes: Some(size_bytes), ..Self::default() }
    }

    /// Adds a record, if it is about holes.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub(crate) fn take(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        let Some(key) = key.strip_prefix("GNU.sparse.") else { return Ok(()) };
        self.is_there = true;
        if key == "name" {
            self.name = Some(value.to_owned());
            return Ok(());
        }
        let text = str::from_utf8(value).unwrap_or_default();
        let number = |text: &str| {
            let wrong = || format!("`GNU.sparse.{key}={}` is not a number", value.escape_ascii());
            text.parse::<u64>().map_err(|_| wrong())
        };
        match key {
            "size" | "realsize" => self.size_bytes = Some(number(text)?),
            "numblocks" => self.count = Some(number(text)?),
            "major" => self.version[0] = number(text)?,
            "minor" => self.version[1] = number(text)?,
            "offset" if self.map.len().is_multiple_of(2) => self.map.push(number(text)?),
            "numbytes" if !self.map.len().is_multiple_of(2) => self.map.push(number(text)?),
            "map" if text.is_empty() => self.map.clear(),
            "map" => self.map = text.split(',').map(number).collect::<Result<_, _>>()?,
            _ => return Err(format!("a file with holes has an unknown or misplaced `GNU.sparse.{key}`")),
        }
        Ok(())
    }

    /// Returns the size of the file with its holes.
    ///
    /// # Errors
    ///
    /// Says that the size is missing, or that the format is not known.
    pub fn size_bytes(&self) -> Result<u64, String> {
        if !matches!(self.version, [0, 0 | 1] | [1, 0]) {
            let [major, minor] = self.version;
            return Err(format!("it has holes in the unknown format {major}.{minor}"));
        }
        self.size_bytes.ok_or_else(|| "it has holes, and its size is missing".to_owned())
    }

    /// Returns whether the data starts with the map.
    pub(crate) fn has_map_in_front(&self) -> bool {
        self.version == [1, 0]
    }

    /// Makes the whole file of its data in the archive.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the pieces.
    pub fn fill(self, stored: &[u8]) -> Result<Vec<u8>, String> {
        let mut front = Front::default();
        let mut rest = stored;
        while self.has_map_in_front() && !front.is_whole() {
            let (block, behind) = rest.split_at(rest.len().min(BLOCK_BYTES));
            front.feed(block)?;
            rest = behind;
        }
        let map = self.map(front, rest.len() as u64)?;
        let size = usize::try_from(map.size_bytes).map_err(|_| wrong("it is too large"))?;
        let mut whole = vec![0; size];
        for (offset, length) in map.pieces {
            let (offset, length) = (offset as usize, length as usize);
            let piece = rest.split_off(..length).ok_or_else(|| wrong(OUTSIDE))?;
            whole.get_mut(offset..offset + length).ok_or_else(|| wrong(OUTSIDE))?.copy_from_slice(piece);
        }
        Ok(whole)
    }

    /// Checks the map, with the part of it that precedes the pieces, against the bytes of the pieces.
    pub(crate) fn map(mut self, front: Front, stored_bytes: u64) -> Result<Map, String> {
        if self.has_map_in_front() {
            self.map = front.map;
            self.count = Some(self.map.len() as u64 / 2);
        }
        let (pairs, rest) = self.map.as_chunks::<2>();
        if !rest.is_empty() || self.count != Some(pairs.len() as u64) {
            return Err(wrong("their map is not whole"));
        }
        let size_bytes = self.size_bytes()?;
        let (mut end, mut at) = (0, 0_u64);
        for [offset, length] in pairs {
            if *length > 0 && !at.is_multiple_of(BLOCK_BYTES as u64) {
                return Err(wrong("a piece of it does not start on a block"));
            }
            let behind = offset.checked_add(*length).filter(|behind| *offset >= end && *behind <= size_bytes);
            let read = at.checked_add(*length).filter(|read| *read <= stored_bytes);
            (end, at) = behind.zip(read).ok_or_else(|| wrong(OUTSIDE))?;
        }
        if at != stored_bytes {
            return Err(wrong("it has more data than its pieces"));
        }
        let pieces = pairs.iter().map(|[offset, length]| (*offset, *length)).collect();
        Ok(Map { size_bytes, pieces })
    }
}

const OUTSIDE: &str = "its pieces do not follow each other inside it";

fn wrong(what: &str) -> String {
    format!("it has holes, and {what}")
}

/// The places of a file's data: all else of it are holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// The size of the file with its holes.
    pub size_bytes: u64,
    /// Offset and length of each piece, ascending, none in another one.
    pub pieces: Vec<(u64, u64)>,
}

/// The map of format 1.0, which precedes the pieces: lines with numbers, the number of pairs first,
/// padded to a block.
#[derive(Default)]
pub(crate) struct Front {
    line: Vec<u8>,
    count: Option<usize>,
    map: Vec<u64>,
}

impl Front {
    pub(crate) fn is_whole(&self) -> bool {
        self.count.is_some_and(|count| self.map.len() >= 2 * count)
    }

    /// Takes the next block. None may follow the one with the last number.
    pub(crate) fn feed(&mut self, block: &[u8]) -> Result<(), String> {
        let unreadable = || wrong("their map cannot be read");
        if block.is_empty() {
            return Err(unreadable());
        }
        for byte in block {
            if self.is_whole() {
                break;
            }
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > MAX_DIGITS {
                    return Err(unreadable());
                }
                continue;
            }
            let number: u64 =
                str::from_utf8(&self.line).ok().and_then(|line| line.parse().ok()).ok_or_else(unreadable)?;
            self.line.clear();
            if self.count.is_some() {
                self.map.push(number);
                continue;
            }
            let count = usize::try_from(number).ok().filter(|count| *count <= MAX_PIECES);
            self.count = Some(count.ok_or_else(unreadable)?);
        }
        Ok(())
    }
}

/// Most pieces of a file with holes.
pub(crate) const MAX_PIECES: usize = 1 << 20;

/// Most digits of a number in a map.
const MAX_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn sparse(records: &[(&str, &str)]) -> Sparse {
        let mut sparse = Sparse::default();
        for (key, value) in records {
            sparse.take(&format!("GNU.sparse.{key}"), value.as_bytes()).unwrap();
        }
        sparse
    }

    #[test]
    fn a_map_in_front_is_read_block_by_block() {
        let pieces: Vec<(u64, u64)> = (0..200).map(|place| (place * 10_000, 512)).collect();
        let mut data = format!("{}\n", pieces.len()).into_bytes();
        for (offset, length) in &pieces {
            data.extend_from_slice(format!("{offset}\n{length}\n").as_bytes());
        }
        data.resize(data.len().next_multiple_of(512), 0);
        assert!(data.len() > 1024);
        let (mut front, mut blocks) = (Front::default(), data.chunks(512));
        while !front.is_whole() {
            front.feed(blocks.next().unwrap()).unwrap();
        }
        assert_eq!(blocks.next(), None);
        let records = [("major", "1"), ("minor", "0"), ("realsize", "3000000")];
        let map = sparse(&records).map(front, 200 * 512).unwrap();
        assert_eq!(map, Map { size_bytes: 3_000_000, pieces });
        data.resize(data.len() + 200 * 512, b'x');
        let whole = sparse(&records).fill(&data).unwrap();
        assert_eq!((whole.len(), whole[1_990_000], whole[1_990_512]), (3_000_000, b'x', 0));
    }

    #[test]
    fn maps_that_are_not_whole_are_refused() {
        let front = |text: &str| {
            let mut front = Front::default();
            front.feed(text.as_bytes()).map(|()| front)
        };
        for bad in ["", "x\n", "99999999999999999999999", "1048577\n", "1\n-1\n"] {
            assert!(front(bad).is_err(), "{bad}");
        }
        let records = [("major", "1"), ("minor", "0"), ("realsize", "1000")];
        for (text, stored, words) in [
            ("2\n0\n512\n512\n500\n", 1012, "inside it"),
            ("2\n512\n100\n0\n100\n", 200, "on a block"),
            ("2\n512\n0\n0\n100\n", 100, "inside it"),
            ("1\n0\n512\n", 513, "more data"),
            ("1\n0\n512\n", 511, "inside it"),
            ("1\n18446744073709551615\n1\n", 1, "inside it"),
        ] {
            let error = sparse(&records).map(front(text).unwrap(), stored).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
