//! Open files: their bytes.

use crate::errno::Failure;
use crate::state::State;
use fuser::{Errno, FileHandle, INodeNo};
use kvfs::{Access, At};
use std::ops::Range;

/// Most bytes that one request reads or writes.
pub(crate) const MAX_REQUEST_BYTES: u32 = 1 << 20;

impl State {
    /// Opens a file, and truncates it if `truncate` says so.
    pub(crate) fn open(
        &mut self,
        ino: INodeNo,
        access: Access,
        truncate: bool,
    ) -> Result<FileHandle, Failure> {
        self.check_may_open()?;
        let access = Access { write: access.write || truncate, ..access };
        let file = self.open_known(ino, access)?;
        if truncate {
            self.note_change();
            if let Err(error) = self.volume.set_size(&file, 0) {
                let closed = self.volume.close(file);
                self.tell_later(closed);
                return Err(error.into());
            }
        }
        Ok(self.handles.add_file(file))
    }

    /// Reads into the state's buffer: all bytes that are asked for, up to the end of the file.
    pub(crate) fn read(&mut self, handle: FileHandle, offset: u64, size: u32) -> Result<(), Failure> {
        let file = self.handles.file(handle)?;
        let wanted = size.min(MAX_REQUEST_BYTES) as usize;
        self.buffer.clear();
        while self.buffer.len() < wanted {
            let (done, left) = (self.buffer.len(), wanted - self.buffer.len());
            let from = offset.saturating_add(done as u64);
            if self.volume.read(&file.descriptor, from, left, &mut self.buffer)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Writes, and returns how many bytes: fewer if the rest has no room.
    pub(crate) fn write(&mut self, handle: FileHandle, offset: u64, data: &[u8]) -> Result<u32, Failure> {
        self.note_change();
        let file = self.handles.file(handle)?;
        let mut done = 0;
        while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
            let at = At::Offset(offset.saturating_add(done as u64));
            match self.volume.write(&file.descriptor, at, rest) {
                Ok(0) => break,
                Ok(written) => done = done.saturating_add(written),
                // The next write of the program gives the reason.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        u32::try_from(done).map_err(|_| Failure::Refused(Errno::EINVAL))
    }

    /// Ends one `close` of a file: stores it if the volume's mode says so, and reports if that fails.
    pub(crate) fn flush(&mut self, handle: FileHandle) -> Result<(), Failure> {
        let file = self.handles.file(handle)?;
        let again = self.volume.reopen(&file.descriptor)?;
        Ok(self.volume.close(again)?)
    }

    /// Ends the last use of an open file.
    pub(crate) fn release(&mut self, handle: FileHandle) {
        if let Some(file) = self.handles.remove_file(handle) {
            let closed = self.volume.close(file.descriptor);
            self.tell_later(closed);
        }
    }

    /// Returns the next place with data, or the next hole, from an offset on.
    pub(crate) fn seek(&mut self, handle: FileHandle, offset: i64, whence: i32) -> Result<i64, Failure> {
        const DATA: i32 = 3;
        const HOLE: i32 = 4;
        if !matches!(whence, DATA | HOLE) {
            return Err(Failure::Refused(Errno::EINVAL));
        }
        let file = self.handles.file(handle)?;
        let stat = self.volume.stat(&file.descriptor)?;
        let offset = u64::try_from(offset).ok().filter(|offset| *offset < stat.size);
        let offset = offset.ok_or(Failure::Refused(Errno::ENXIO))?;
        let ranges = match file.data.take() {
            Some((generation, ranges)) if generation == stat.generation => ranges,
            _ => self.volume.data_ranges(&file.descriptor)?,
        };
        let found = if whence == DATA { data_from(&ranges, offset) } else { hole_from(&ranges, offset) };
        file.data = Some((stat.generation, ranges));
        let found = found.filter(|found| *found < stat.size || whence == HOLE);
        let found = found.map(|found| found.min(stat.size)).and_then(|found| i64::try_from(found).ok());
        found.ok_or(Failure::Refused(Errno::ENXIO))
    }
}

/// The first byte of data at or behind an offset.
fn data_from(ranges: &[Range<u64>], offset: u64) -> Option<u64> {
    let next = ranges.partition_point(|range| range.end <= offset);
    ranges.get(next).map(|range| range.start.max(offset))
}

/// The first byte at or behind an offset that is in no range.
fn hole_from(ranges: &[Range<u64>], offset: u64) -> Option<u64> {
    let next = ranges.partition_point(|range| range.end <= offset);
    match ranges.get(next) {
        Some(range) if range.start <= offset => Some(range.end),
        _ => Some(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_holes_are_found_from_every_offset() {
        let ranges = [2..4, 7..9];
        let data: Vec<_> = (0..10).map(|offset| data_from(&ranges, offset)).collect();
        let at = |number| Some(number);
        assert_eq!(data, [at(2), at(2), at(2), at(3), at(7), at(7), at(7), at(7), at(8), None]);
        let holes: Vec<_> = (0..10).map(|offset| hole_from(&ranges, offset)).collect();
        assert_eq!(holes, [0, 1, 4, 4, 4, 5, 6, 9, 9, 9].map(Some));
        assert_eq!((data_from(&[], 0), hole_from(&[], 3)), (None, Some(3)));
    }
}
