//! Files with holes, as GNU tar writes them: with a map in the header, or in the formats 0.0, 0.1
//! and 1.0 of extended headers, which its manual describes ("Storing Sparse Files").

use super::stream::BLOCK_BYTES;

/// The headers of an entry that are about holes.
#[derive(Default)]
pub(super) struct Sparse {
    /// True if there are any.
    pub(super) is_there: bool,
    /// The path of the file, if the header of the entry has a placeholder.
    pub(super) name: Option<Vec<u8>>,
    size_bytes: Option<u64>,
    /// The number of pieces.
    count: Option<u64>,
    /// Offset and length of each piece, in turns.
    map: Vec<u64>,
    version: [u64; 2],
}

impl Sparse {
    /// Makes it of the map in the header itself: offsets and lengths in turns, and the whole size.
    pub(super) fn in_header(map: Vec<u64>, size_bytes: u64) -> Self {
        let count = Some(map.len() as u64 / 2);
        Self { is_there: true, map, count, size_bytes: Some(size_bytes), ..Self::default() }
    }

    /// Adds a record, if it is about holes.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub(super) fn take(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
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
    pub(super) fn size_bytes(&self) -> Result<u64, String> {
        if !matches!(self.version, [0, 0 | 1] | [1, 0]) {
            let [major, minor] = self.version;
            return Err(format!("it has holes in the unknown format {major}.{minor}"));
        }
        self.size_bytes.ok_or_else(|| "it has holes, and its size is missing".to_owned())
    }

    /// Makes the whole file of its data in the archive.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the pieces.
    pub(super) fn fill(mut self, stored: &[u8]) -> Result<Vec<u8>, String> {
        let wrong = |what: &str| format!("it has holes, and {what}");
        let mut at = 0;
        if self.version == [1, 0] {
            (self.map, at) = map_in_front(stored).ok_or_else(|| wrong("their map cannot be read"))?;
            self.count = Some(self.map.len() as u64 / 2);
        }
        let (pairs, rest) = self.map.as_chunks::<2>();
        if !rest.is_empty() || self.count != Some(pairs.len() as u64) {
            return Err(wrong("their map is not whole"));
        }
        let size = usize::try_from(self.size_bytes()?).map_err(|_| wrong("it is too large"))?;
        let mut whole = vec![0; size];
        let mut end = 0;
        for [offset, length] in pairs {
            if *length > 0 && !at.is_multiple_of(BLOCK_BYTES) {
                return Err(wrong("a piece of it does not start on a block"));
            }
            let range = |start: usize| Some(start..start.checked_add(usize::try_from(*length).ok()?)?);
            let to = usize::try_from(*offset).ok().filter(|offset| *offset >= end).and_then(range);
            let from = range(at);
            let outside = || wrong("its pieces do not follow each other inside it");
            let (to, from) = to.zip(from).ok_or_else(outside)?;
            (end, at) = (to.end, from.end);
            let (to, from) = whole.get_mut(to).zip(stored.get(from)).ok_or_else(outside)?;
            to.copy_from_slice(from);
        }
        if at != stored.len() {
            return Err(wrong("it has more data than its pieces"));
        }
        Ok(whole)
    }
}

/// Reads the map of format 1.0, which precedes the pieces: lines with numbers, the number of pairs
/// first, padded to a block. Returns the map, and the offset of the pieces.
fn map_in_front(stored: &[u8]) -> Option<(Vec<u64>, usize)> {
    let mut at = 0;
    let mut number = || -> Option<u64> {
        let rest = stored.get(at..)?;
        let length = rest.iter().position(|byte| *byte == b'\n')?;
        at += length + 1;
        str::from_utf8(rest.get(..length)?).ok()?.parse().ok()
    };
    let count = number()?;
    let mut map = Vec::new();
    // The end of the bytes ends the loop, whatever the count.
    for _ in 0..count.checked_mul(2)? {
        map.push(number()?);
    }
    Some((map, at.next_multiple_of(BLOCK_BYTES)))
}
