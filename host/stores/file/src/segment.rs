//! Reads the records of a segment and finds the end of its valid part.

use crate::directory::{File, IoError};
use crate::record::{FLAG_END, FLAG_SNAPSHOT, FLAG_START, HEADER_BYTES, Header, segments};
use kvfs_contract::StoreError;

/// Bytes read at once where the length of what follows is unknown.
const WINDOW_BYTES: usize = 64 << 10;

/// The greatest epoch: files with greater numbers are not the store's. Each opening takes one
/// epoch, and so does each compaction.
pub(crate) const MAX_EPOCH: u64 = (1 << 48) - 1;

/// The name of an epoch's segment.
pub(crate) fn segment_name(epoch: u64) -> String {
    format!("{epoch:016x}.kvfs")
}

/// The name of an epoch's lease.
pub(crate) fn lease_name(epoch: u64) -> String {
    format!("{epoch:016x}.lease")
}

/// The meaning of a name in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Segment(u64),
    Lease(u64),
}

impl Name {
    pub(crate) fn epoch(self) -> u64 {
        match self {
            Self::Segment(epoch) | Self::Lease(epoch) => epoch,
        }
    }

    pub(crate) fn segment(self) -> Option<u64> {
        match self {
            Self::Segment(epoch) => Some(epoch),
            Self::Lease(_) => None,
        }
    }
}

/// Parses a name; `None` if it is not the store's.
pub(crate) fn parse_name(name: &str) -> Option<Name> {
    let (number, kind) = name.split_once('.')?;
    let epoch = u64::from_str_radix(number, 16).ok().filter(|&epoch| epoch <= MAX_EPOCH)?;
    let parsed = match kind {
        "kvfs" => Name::Segment(epoch),
        "lease" => Name::Lease(epoch),
        _ => return None,
    };
    // Each has one spelling: `1.kvfs` and `+0…1.kvfs` are somebody else's.
    let spelling = if kind == "kvfs" { segment_name(epoch) } else { lease_name(epoch) };
    (spelling == name).then_some(parsed)
}

/// One record that was read: its offset and its index.
pub(crate) struct Record {
    pub(crate) offset: u64,
    pub(crate) header: Header,
    pub(crate) index: Vec<u8>,
}

impl Record {
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.header.record_bytes()
    }

    pub(crate) fn values_at(&self) -> u64 {
        self.offset + HEADER_BYTES as u64 + u64::from(self.header.index_bytes)
    }
}

/// How a segment starts.
pub(crate) enum Start {
    /// Behind other segments: their epochs and accepted bytes, oldest first.
    After(Vec<(u64, u64)>),
    /// With a snapshot of everything before.
    Snapshot,
}

/// A segment, read up to the end of its valid part.
pub(crate) struct Segment {
    pub(crate) start: Start,
    pub(crate) records: Vec<Record>,
}

impl Segment {
    /// Returns the bytes of the valid part.
    pub(crate) fn accepted_bytes(&self) -> u64 {
        self.records.last().map_or(0, Record::end)
    }
}

/// Reads a segment whose end is unknown: its writer was replaced, killed or struck by a crash.
///
/// The valid part ends before the first record that is not whole. Returns `None` if the start
/// itself is not whole, or a snapshot has no end: its writer never acknowledged anything.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if bytes are missing that a later record or a note declares durable.
pub(crate) fn read_open<F: File>(file: &F, epoch: u64) -> Result<Option<Segment>, StoreError> {
    let name = segment_name(epoch);
    let io = |error: IoError| error.at(&name);
    let size = file.status().map_err(io)?.size_bytes;
    let mut records = read_records(file, epoch, size)?;
    let whole_to = records.last().map_or(0, Record::end);
    let noted =
        file.read(whole_to, size.saturating_sub(whole_to).min(HEADER_BYTES as u64) as usize).map_err(io)?;
    let noted = Header::read(&noted, whole_to).filter(|header| header.epoch == epoch);
    let headers = records.iter().map(|record| record.header).chain(noted);
    let durable_to = headers.map(|header| header.synced_to).max().unwrap_or(0);

    // Durable records are whole. The values of the others are checked: a crash keeps any part of
    // them.
    let mut valid = records.len();
    for (number, record) in records.iter().enumerate() {
        if record.end() > durable_to {
            let length = record.header.values_bytes as usize;
            let values = file.read(record.values_at(), length).map_err(io)?;
            if !record.header.values_are_whole(&values) {
                valid = number;
                break;
            }
        }
    }
    let valid_to = if valid == records.len() { whole_to } else { records[valid].offset };
    if valid_to < size
        && let Some(durable_to) = durable_further_on(file, epoch, valid_to, size)?
        && durable_to > valid_to
    {
        return Err(damaged(&name, valid_to));
    }
    records.truncate(valid);
    let Some(start) = start_of(&records) else { return Ok(None) };
    Ok(Some(Segment { start, records }))
}

/// Reads a segment whose valid length a later segment states.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if it is shorter: the later segment was written after this one was
/// durable.
pub(crate) fn read_closed<F: File>(file: &F, epoch: u64, accepted: u64) -> Result<Segment, StoreError> {
    let name = segment_name(epoch);
    let size = file.status().map_err(|error| error.at(&name))?.size_bytes;
    let records = read_records(file, epoch, accepted.min(size))?;
    let end = records.last().map_or(0, Record::end);
    match start_of(&records) {
        Some(start) if end == accepted => Ok(Segment { start, records }),
        _ => Err(damaged(&name, end)),
    }
}

fn damaged(name: &str, at: u64) -> StoreError {
    StoreError::Corrupt(format!("{name} is damaged at byte {at}"))
}

/// Reads consecutive records with whole headers and indexes, up to `limit`.
fn read_records<F: File>(file: &F, epoch: u64, limit: u64) -> Result<Vec<Record>, StoreError> {
    let name = segment_name(epoch);
    let mut records: Vec<Record> = Vec::new();
    let mut window = Window { file, name: &name, start: 0, bytes: Vec::new() };
    let mut offset = 0;
    while let Some(header) = Header::read(window.read(offset, HEADER_BYTES)?, offset) {
        let in_order = header.epoch == epoch && header.sequence == records.len() as u64;
        if !in_order || header.record_bytes() > limit.saturating_sub(offset) {
            break;
        }
        let index = window.read(offset + HEADER_BYTES as u64, header.index_bytes as usize)?;
        if !header.index_is_whole(index) {
            break;
        }
        let record = Record { offset, header, index: index.to_vec() };
        offset = record.end();
        records.push(record);
    }
    Ok(records)
}

/// A part of a file in memory, so that one read serves many small records.
struct Window<'a, F> {
    file: &'a F,
    name: &'a str,
    start: u64,
    bytes: Vec<u8>,
}

impl<F: File> Window<'_, F> {
    /// Returns `length` bytes from `offset` on; fewer only at the end of the file.
    fn read(&mut self, offset: u64, length: usize) -> Result<&[u8], StoreError> {
        let inside = |start: u64, have: usize| {
            let at = usize::try_from(offset.checked_sub(start)?).ok()?;
            (at.checked_add(length)? <= have).then_some(at)
        };
        let at = match inside(self.start, self.bytes.len()) {
            Some(at) => at,
            None => {
                let bytes = self.file.read(offset, length.max(WINDOW_BYTES));
                self.bytes = bytes.map_err(|error| error.at(self.name))?;
                self.start = offset;
                0
            }
        };
        let end = (at + length).min(self.bytes.len());
        Ok(self.bytes.get(at..end).unwrap_or_default())
    }
}

/// Returns how a segment starts, if its start is whole.
fn start_of(records: &[Record]) -> Option<Start> {
    let first = records.first()?;
    let flags = first.header.flags;
    if flags & FLAG_START == 0 {
        None
    } else if flags & FLAG_SNAPSHOT == 0 {
        segments(&first.index).map(Start::After)
    } else {
        let ended = records.iter().any(|record| record.header.flags & FLAG_END != 0);
        ended.then_some(Start::Snapshot)
    }
}

/// Searches for records and notes behind the valid part, up to `size`, and returns the furthest
/// offset that one of them declares durable.
fn durable_further_on<F: File>(
    file: &F,
    epoch: u64,
    from: u64,
    size: u64,
) -> Result<Option<u64>, StoreError> {
    let name = segment_name(epoch);
    let mut furthest = None;
    let mut offset = from;
    while offset < size {
        // Bytes added after the size was read belong to a writer that goes on.
        let length = (size - offset).min((WINDOW_BYTES + HEADER_BYTES - 1) as u64) as usize;
        let bytes = file.read(offset, length);
        let bytes = bytes.map_err(|error| error.at(&name))?;
        for (at, part) in bytes.windows(HEADER_BYTES).enumerate() {
            if let Some(header) = Header::read(part, offset + at as u64)
                && header.epoch == epoch
            {
                furthest = furthest.max(Some(header.synced_to));
            }
        }
        offset += WINDOW_BYTES as u64;
    }
    Ok(furthest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(parse_name("00000000000000ff.kvfs"), Some(Name::Segment(255)));
        assert_eq!(parse_name("0000000000000001.lease"), Some(Name::Lease(1)));
        assert_eq!(parse_name("0000ffffffffffff.lease"), Some(Name::Lease(MAX_EPOCH)));
        for name in [
            "1.kvfs",
            "00000000000000FF.kvfs",
            "+000000000000001.kvfs",
            "0000000000000001.x",
            "0001000000000000.kvfs",
            "ffffffffffffffff.lease",
            "kvfs",
            "",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
