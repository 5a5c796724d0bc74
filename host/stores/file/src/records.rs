//! Walks over the records of a segment, whole headers and indexes only.

use crate::directory::File;
use crate::names::segment_name;
use crate::record::{FLAG_END, FLAG_SALT, FLAG_START, HEADER_BYTES, Header};
use crate::salt::Salt;
use kvfs_contract::StoreError;
use std::ops::Range;

/// Bytes read at once where the length of what follows is unknown.
pub(crate) const WINDOW_BYTES: usize = 64 << 10;

/// One record: its offset, header and index.
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

    /// Returns whether its index has changes: it is neither a start nor an end.
    pub(crate) fn has_changes(&self) -> bool {
        self.header.flags & (FLAG_START | FLAG_END) == 0
    }

    /// Reads its values; `None` if they are not whole.
    pub(crate) fn values<F: File>(&self, file: &F) -> Result<Option<Vec<u8>>, StoreError> {
        let values = file.read(self.values_at(), self.header.values_bytes as usize);
        let values = values.map_err(|error| error.at(&segment_name(self.header.epoch)))?;
        Ok(self.header.values_are_whole(&values).then_some(values))
    }
}

/// Returns the salt that the first record of a segment gives it.
fn salt_of(start: &Record) -> Salt {
    match start.index.first_chunk() {
        Some(&bytes) if start.header.flags & FLAG_SALT != 0 => Salt::from_bytes(bytes),
        _ => Salt::NONE,
    }
}

/// A walk over consecutive records. It ends before the first whose header or index is not whole.
pub(crate) struct Records<'a, F> {
    file: &'a F,
    epoch: u64,
    name: String,
    offset: u64,
    limit: u64,
    /// The number of the next record; unknown before the first one of a walk from the middle.
    sequence: Option<u64>,
    /// `None` if it is unknown, because the start is damaged. Then there are no records behind it.
    salt: Option<Salt>,
    window: Window,
    /// Bytes read at least at once.
    least_bytes: usize,
}

/// A part of a segment in memory.
#[derive(Debug, Default)]
pub(crate) struct Window {
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Forgets the part and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

impl<'a, F: File> Records<'a, F> {
    /// Begins a walk at `from`, where a record begins, up to `limit`. A whole start says the salt
    /// itself.
    pub(crate) fn new(file: &'a F, epoch: u64, from: u64, limit: u64, salt: Option<Salt>) -> Self {
        Self::with_window(file, epoch, from..limit, salt, Window::default(), WINDOW_BYTES)
    }

    /// As [`Self::new`], for a walk that reads values too: so many bytes at once, into memory that
    /// has nothing or a part of this segment.
    pub(crate) fn with_window(
        file: &'a F,
        epoch: u64,
        part: Range<u64>,
        salt: Option<Salt>,
        window: Window,
        least_bytes: usize,
    ) -> Self {
        let sequence = (part.start == 0).then_some(0);
        let (name, offset, limit) = (segment_name(epoch), part.start, part.end);
        Self { file, epoch, name, offset, limit, sequence, salt, window, least_bytes }
    }

    /// Returns the part that was read last.
    pub(crate) fn into_window(self) -> Window {
        self.window
    }

    /// Returns the values of a record; `None` if they are not whole. What was read of the segment
    /// for the records serves here too.
    pub(crate) fn values(&mut self, record: &Record) -> Result<Option<&[u8]>, StoreError> {
        let values = self.read(record.values_at(), record.header.values_bytes as usize)?;
        Ok(record.header.values_are_whole(values).then_some(values))
    }

    /// Returns the segment's salt, as far as it is known.
    pub(crate) fn salt(&self) -> Option<Salt> {
        self.salt
    }

    /// Returns the end of the last record.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the next record.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, StoreError> {
        let offset = self.offset;
        let salt = if offset == 0 { Some(Salt::NONE) } else { self.salt };
        let Some(salt) = salt else { return Ok(None) };
        let header = Header::read(self.read(offset, HEADER_BYTES)?, offset, salt);
        let Some(header) = header else { return Ok(None) };
        let in_order = header.epoch == self.epoch && self.sequence.is_none_or(|next| next == header.sequence);
        if !in_order || header.record_bytes() > self.limit.saturating_sub(offset) {
            return Ok(None);
        }
        let index = self.read(offset + HEADER_BYTES as u64, header.index_bytes as usize)?.to_vec();
        if !header.index_is_whole(&index) {
            return Ok(None);
        }
        let record = Record { offset, header, index };
        if offset == 0 {
            self.salt = Some(salt_of(&record));
        }
        self.offset = record.end();
        self.sequence = header.sequence.checked_add(1);
        Ok(self.sequence.map(|_| record))
    }

    /// Returns `length` bytes from `offset` on, fewer only at the end of the file. One read serves
    /// many small records.
    fn read(&mut self, offset: u64, length: usize) -> Result<&[u8], StoreError> {
        let inside = |start: u64, have: usize| {
            let at = usize::try_from(offset.checked_sub(start)?).ok()?;
            (at.checked_add(length)? <= have).then_some(at)
        };
        let at = match inside(self.window.at, self.window.bytes.len()) {
            Some(at) => at,
            None => {
                let least = length.max(self.least_bytes);
                let read = self.file.read_into(offset, least, &mut self.window.bytes);
                if let Err(error) = read {
                    self.window.clear();
                    return Err(error.at(&self.name));
                }
                self.window.at = offset;
                0
            }
        };
        let end = (at + length).min(self.window.bytes.len());
        Ok(self.window.bytes.get(at..end).unwrap_or_default())
    }
}

/// Returns how much is read to replay a record.
pub(crate) fn replay_bytes_of(record_bytes: u64, index_bytes: usize) -> u64 {
    record_bytes.min((WINDOW_BYTES + index_bytes) as u64)
}
