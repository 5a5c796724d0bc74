//! Reads files.

use super::open::Files;
use crate::FilesError;
use kvfs::limits::MAX_READ_BYTES;
use kvfs::{Access, Descriptor, Error, Follow, Kind, OpenFlags, Volume};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;

pub(crate) const READ: (OpenFlags, Access) = (
    OpenFlags { create: false, directory: false, exclusive: false, truncate: false },
    Access { read: true, write: false, mutate_directory: false, sync: false },
);

impl Files {
    /// Reads a whole file of up to `max_bytes`. A stored size is not to be trusted with the memory of the
    /// host.
    ///
    /// # Errors
    /// [`FilesError::TooLarge`], and [`FilesError::Volume`].
    pub fn read(&mut self, path: &str, max_bytes: u64) -> Result<Vec<u8>, FilesError> {
        self.with_file(("read", path), Follow::Yes, READ, |volume, file| {
            let size_bytes = volume.stat(file)?.size;
            if file.kind() == Kind::File && size_bytes > max_bytes {
                return Err(FilesError::TooLarge { path: path.to_owned(), size_bytes, max_bytes }.into());
            }
            let mut bytes = Vec::new();
            while volume.read(file, bytes.len() as u64, MAX_READ_BYTES, &mut bytes)? > 0 {}
            Ok(bytes)
        })
    }

    /// Returns the parts of a file that are no holes, in order: [`Volume::data_ranges`].
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn data_ranges(&mut self, path: &str) -> Result<Vec<Range<u64>>, FilesError> {
        self.with_file(("read", path), Follow::Yes, READ, |volume, file| Ok(volume.data_ranges(file)?))
    }

    /// Appends up to `length` bytes of a file from `offset` on to `out`, and returns how many: fewer only
    /// at the end of the file.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn read_at(
        &mut self,
        path: &str,
        offset: u64,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, FilesError> {
        self.with_file(("read", path), Follow::Yes, READ, |volume, file| {
            let mut done = 0;
            while done < length {
                match volume.read(file, offset.saturating_add(done as u64), length - done, out)? {
                    0 => break,
                    read => done += read,
                }
            }
            Ok(done)
        })
    }

    /// Writes a whole file to `out`, holes as zeros, and returns the number of bytes.
    ///
    /// # Errors
    /// [`FilesError::Volume`], and [`FilesError::Host`] for an error of `out`.
    pub fn copy_out(&mut self, path: &str, out: &mut dyn Write) -> Result<u64, FilesError> {
        self.with_file(("read", path), Follow::Yes, READ, |volume, file| {
            let mut at = 0_u64;
            loop {
                let mut written = Ok(());
                let read = volume.lend(file, at, MAX_READ_BYTES, |piece| {
                    if written.is_ok() {
                        written = out.write_all(piece);
                    }
                })?;
                written.map_err(FilesError::host("write what is read of", Path::new(path)))?;
                match read {
                    0 => return Ok(at),
                    read => at += read as u64,
                }
            }
        })
    }
}

/// Reads parts of an open file, one after the other.
pub(crate) struct PartsReader<'f> {
    volume: &'f mut Volume,
    file: &'f Descriptor,
    parts: std::vec::IntoIter<Range<u64>>,
    part: Range<u64>,
    buffer: Vec<u8>,
    /// The file system's error, of which the reader's is only a mark.
    failed: Option<Error>,
}

impl<'f> PartsReader<'f> {
    pub(crate) fn new(volume: &'f mut Volume, file: &'f Descriptor, parts: Vec<Range<u64>>) -> Self {
        Self { volume, file, parts: parts.into_iter(), part: 0..0, buffer: Vec::new(), failed: None }
    }

    /// Returns the file system's error, if it failed.
    pub(crate) fn failed(&mut self) -> Option<Error> {
        self.failed.take()
    }
}

impl Read for PartsReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.parts.next() {
                Some(part) => self.part = part,
                None => return Ok(0),
            }
        }
        let room = usize::try_from(self.part.end - self.part.start).unwrap_or(usize::MAX).min(into.len());
        if room == 0 {
            return Ok(0);
        }
        self.buffer.clear();
        let read = match self.volume.read(self.file, self.part.start, room, &mut self.buffer) {
            // It was made shorter since its size was asked for.
            Ok(0) => Err(Error::Overflow),
            read => read,
        };
        let bytes = read.and_then(|read| self.buffer.get(..read).ok_or(Error::Overflow));
        match (bytes, into) {
            (Ok(bytes), into) => {
                if let Some(into) = into.get_mut(..bytes.len()) {
                    into.copy_from_slice(bytes);
                }
                self.part.start += bytes.len() as u64;
                Ok(bytes.len())
            }
            (Err(error), _) => {
                self.failed = Some(error);
                Err(io::Error::other("the volume failed"))
            }
        }
    }
}
