//! Files with holes, as GNU tar writes them: with a map in the header, or in the forms 0.0, 0.1 and 1.0 of extended
//! headers, which its manual describes ("Storing Sparse Files").

use super::stream::BLOCK_BYTES;

/// What the headers of an entry say of holes.
#[derive(Default)]
pub(super) struct Sparse {
    /// Whether there is any of it.
    pub(super) is_there: bool,
    /// The path of the file, where the entry has one that was made up.
    pub(super) name: Option<Vec<u8>>,
    size_bytes: Option<u64>,
    /// How many pieces there are.
    count: Option<u64>,
    /// Offset and length of each piece, by turns.
    map: Vec<u64>,
    version: [u64; 2],
}

impl Sparse {
    /// Takes a map that stands in the header itself: offsets and lengths by turns, and the whole size.
    pub(super) fn in_header(map: Vec<u64>, size_bytes: u64) -> Self {
        let count = Some(map.len() as u64 / 2);
        Self { is_there: true, map, count, size_bytes: Some(size_bytes), ..Self::default() }
    }

    /// Takes one record, if it is about holes.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn take(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        let Some(key) = key.strip_prefix("GNU.sparse.") else { return Ok(()) };
        self.is_there = true;
        if key == "name" {
            self.name = Some(value.to_owned());
            return Ok(());
        }
        let text = str::from_utf8(value).unwrap_or_default();
        let number = |text: &str| {
            let wrong = || format!("`GNU.sparse.{key}={}` is no number", value.escape_ascii());
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
            _ => return Err(format!("a file with holes has `GNU.sparse.{key}` where it is not known")),
        }
        Ok(())
    }

    /// Returns how many bytes the file has with its holes.
    ///
    /// # Errors
    ///
    /// That it is not said, or that the form is another.
    pub(super) fn size_bytes(&self) -> Result<u64, String> {
        if !matches!(self.version, [0, 0 | 1] | [1, 0]) {
            let [major, minor] = self.version;
            return Err(format!("it has holes in the form {major}.{minor}, which is not known"));
        }
        self.size_bytes.ok_or_else(|| "it has holes, and its size is not said".to_owned())
    }

    /// Makes the whole file of what the archive has of it.
    ///
    /// # Errors
    ///
    /// That the pieces are not as they must be.
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
            let outside = || wrong("its pieces do not lie in it one behind the other");
            let (to, from) = to.zip(from).ok_or_else(outside)?;
            (end, at) = (to.end, from.end);
            let (to, from) = whole.get_mut(to).zip(stored.get(from)).ok_or_else(outside)?;
            to.copy_from_slice(from);
        }
        if at != stored.len() {
            return Err(wrong("there is more of it than its pieces"));
        }
        Ok(whole)
    }
}

/// Reads the map of form 1.0, which stands before the pieces: lines with numbers, how many pairs there are first,
/// filled up to a block. Returns it, and where the pieces start.
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
    // Ends with the bytes, whatever the count says.
    for _ in 0..count.checked_mul(2)? {
        map.push(number()?);
    }
    Some((map, at.next_multiple_of(BLOCK_BYTES)))
}
