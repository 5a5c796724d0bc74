//! A walk over the records of a segment in spite of damage.

use crate::directory::File;
use crate::names::segment_name;
use crate::record::{HEADER_BYTES, Header, NOTE_SEQUENCE};
use crate::records::{Record, Records, WINDOW_BYTES};
use crate::salt::Salt;
use kvfs_contract::StoreError;

/// What a walk comes to.
pub(crate) enum Piece {
    /// A record whose header and index are whole; perhaps not its values.
    Record(Record),
    /// Bytes that are no record.
    Lost {
        from: u64,
        to: u64,
        /// How many records they were; unknown at the end of the segment.
        records: Option<u64>,
    },
}

/// A walk over records up to a limit. Where a record is damaged, it goes on at the next whole one.
///
/// A whole header has the hash of its bytes, its offset and the segment's salt, its epoch, and a
/// number that fits in the sequence, so old bytes, copies of other segments and values of guests are
/// not taken for records. Segments that older versions wrote have no salt: there a guest's value may
/// be taken for a record behind a damaged header.
pub(crate) struct Scan<'a, F> {
    file: &'a F,
    epoch: u64,
    limit: u64,
    records: Records<'a, F>,
    /// The number of the next record, unless some are lost.
    sequence: u64,
    /// Up to where the records and notes so far declare the segment durable.
    durable_to: u64,
}

impl<'a, F: File> Scan<'a, F> {
    /// Begins at the start. `salt` is the segment's as others tell; a whole start says it itself.
    pub(crate) fn new(file: &'a F, epoch: u64, limit: u64, salt: Option<Salt>) -> Self {
        let records = Records::new(file, epoch, 0, limit, salt);
        Self { file, epoch, limit, records, sequence: 0, durable_to: 0 }
    }

    /// Returns up to where the records and notes so far declare the segment durable.
    pub(crate) fn durable_to(&self) -> u64 {
        self.durable_to
    }

    /// Returns the segment's salt, as far as it is known.
    pub(crate) fn salt(&self) -> Option<Salt> {
        self.records.salt()
    }

    /// Returns the end of what was walked over.
    pub(crate) fn offset(&self) -> u64 {
        self.records.offset()
    }

    fn walk(&self, from: u64) -> Records<'a, F> {
        Records::new(self.file, self.epoch, from, self.limit, self.records.salt())
    }

    pub(crate) fn next(&mut self) -> Result<Option<Piece>, StoreError> {
        loop {
            if let Some(record) = self.records.next()? {
                self.durable_to = self.durable_to.max(record.header.synced_to);
                self.sequence = record.header.sequence.saturating_add(1);
                return Ok(Some(Piece::Record(record)));
            }
            let from = self.records.offset();
            if from >= self.limit {
                return Ok(None);
            }
            let header = self.header(from)?;
            if header.is_some_and(|header| header.sequence == NOTE_SEQUENCE) {
                self.durable_to = self.durable_to.max(from);
                self.records = self.walk(from + HEADER_BYTES as u64);
                if self.find(from + HEADER_BYTES as u64, None)?.is_none() {
                    // What lies behind the last note is what a crash left.
                    return Ok(None);
                }
                continue;
            }
            let Some((to, sequence)) = self.find(from, header)? else {
                self.records = self.walk(self.limit);
                return Ok(Some(Piece::Lost { from, to: self.limit, records: None }));
            };
            let records = Some(sequence.saturating_sub(self.sequence));
            self.records = self.walk(to);
            return Ok(Some(Piece::Lost { from, to, records }));
        }
    }

    /// Finds the next whole record behind `from`. `damaged` is the header at `from` if that is
    /// whole. Returns its offset and its number.
    fn find(&self, from: u64, damaged: Option<Header>) -> Result<Option<(u64, u64)>, StoreError> {
        // A whole header says where the next record is, whatever its index looks like. Nothing in
        // between is looked at, since it may be a guest's.
        if let Some(header) = damaged {
            let next = from + header.record_bytes();
            if let Some(sequence) = self.whole_record(from, next)? {
                return Ok(Some((next, sequence)));
            }
        }
        let mut offset = from;
        while offset < self.limit {
            let length = (self.limit - offset).min((WINDOW_BYTES + HEADER_BYTES - 1) as u64) as usize;
            let bytes = self.read(offset, length)?;
            for at in 0..bytes.len().min(WINDOW_BYTES) {
                let at_offset = offset + at as u64;
                let salt = self.records.salt();
                let header = salt.and_then(|salt| Header::read(bytes.get(at..)?, at_offset, salt));
                if header.is_some()
                    && let Some(sequence) = self.whole_record(from, at_offset)?
                {
                    return Ok(Some((at_offset, sequence)));
                }
            }
            offset += WINDOW_BYTES as u64;
        }
        Ok(None)
    }

    /// Returns the number of the record at an offset, if it is whole and may follow what was lost
    /// since `from`.
    fn whole_record(&self, from: u64, at: u64) -> Result<Option<u64>, StoreError> {
        let Some(header) = self.header(at)? else { return Ok(None) };
        let room = (at - from) / HEADER_BYTES as u64;
        let possible = self.sequence..=self.sequence.saturating_add(room);
        if !possible.contains(&header.sequence) {
            return Ok(None);
        }
        let whole = self.walk(at).next()?.is_some();
        Ok(whole.then_some(header.sequence))
    }

    /// Returns the header at an offset, if it is whole and of this segment.
    fn header(&self, at: u64) -> Result<Option<Header>, StoreError> {
        if at >= self.limit {
            return Ok(None);
        }
        let bytes = self.read(at, (self.limit - at).min(HEADER_BYTES as u64) as usize)?;
        let salt = if at == 0 { Some(Salt::NONE) } else { self.records.salt() };
        let header = salt.and_then(|salt| Header::read(&bytes, at, salt));
        Ok(header.filter(|header| header.epoch == self.epoch))
    }

    fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.file.read(at, length).map_err(|error| error.at(&segment_name(self.epoch)))
    }
}
