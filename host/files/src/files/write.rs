//! Writes files.

use super::open::{Failed, Files};
use super::path::inner;
use crate::FilesError;
use kvfs::limits::MAX_WRITE_BYTES;
use kvfs::{Access, At, Descriptor, Follow, OpenFlags, Volume};
use std::io::{ErrorKind, Read};
use std::path::Path;

pub(crate) const WRITE: (OpenFlags, Access) = (
    OpenFlags { create: true, directory: false, exclusive: false, truncate: true },
    Access { read: false, write: true, mutate_directory: false, sync: false },
);

impl Files {
    /// Writes a whole file, making or replacing it. Its directory must exist.
    ///
    /// # Durability
    /// In the mode `close` (the usual one), the store has the bytes when this returns. A cut before that
    /// may leave a part of them, or the file empty; to replace a file at once, write another one and
    /// [rename](Files::rename) it.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), FilesError> {
        self.with_file(("write", path), Follow::Yes, WRITE, |volume, file| {
            write_all(volume, file, At::End, bytes).map_err(Failed::Volume)
        })
    }

    /// Writes bytes at an offset of a file, or at its end, making it if there is none.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn write_at(&mut self, path: &str, at: At, bytes: &[u8]) -> Result<(), FilesError> {
        let flags = OpenFlags { truncate: false, ..WRITE.0 };
        self.with_file(("write", path), Follow::Yes, (flags, WRITE.1), |volume, file| {
            write_all(volume, file, at, bytes).map_err(Failed::Volume)
        })
    }

    /// Writes a whole file of all that `from` gives, and returns the number of bytes.
    ///
    /// # Errors
    /// [`FilesError::Volume`], and [`FilesError::Host`] for an error of `from`: the file then has what
    /// came before it.
    pub fn copy_in(&mut self, path: &str, from: &mut dyn Read) -> Result<u64, FilesError> {
        let mut chunk = vec![0; MAX_WRITE_BYTES];
        self.with_file(("write", path), Follow::Yes, WRITE, |volume, file| {
            let mut total = 0;
            loop {
                let read = match from.read(&mut chunk) {
                    Ok(0) => return Ok(total),
                    Ok(read) => read,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => {
                        return Err(
                            FilesError::host("read what is written to", Path::new(path))(error).into()
                        );
                    }
                };
                write_all(volume, file, At::End, chunk.get(..read).unwrap_or_default())?;
                total += read as u64;
            }
        })
    }

    /// Truncates a file, or extends it by a hole.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn set_size(&mut self, path: &str, size_bytes: u64) -> Result<(), FilesError> {
        let flags = OpenFlags::default();
        self.with_file(("resize", path), Follow::Yes, (flags, WRITE.1), |volume, file| {
            volume.set_size(file, size_bytes).map_err(Failed::Volume)
        })
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn make_directory(&mut self, path: &str) -> Result<(), FilesError> {
        let made = self.volume.create_directory_at(&self.root, inner(path));
        made.map_err(|source| self.error("make the directory", path, source))
    }
}

pub(crate) fn write_all(
    volume: &mut Volume,
    file: &Descriptor,
    at: At,
    mut bytes: &[u8],
) -> Result<(), kvfs::Error> {
    let mut offset = match at {
        At::Offset(offset) => offset,
        At::End => 0,
    };
    while !bytes.is_empty() {
        let place = if at == At::End { At::End } else { At::Offset(offset) };
        let written = volume.write(file, place, bytes)?;
        offset = offset.saturating_add(written as u64);
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
