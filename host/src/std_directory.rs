//! A directory of the operating system, as the store in a directory needs it.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kvfs_file_store::{Directory, File, IoError, IoKind, Listed, Status};

use crate::OpenError;

/// Longest first wait for another opener that was faster; each further one may be twice as long.
const MIN_PAUSE_MICROS: u64 = 200;
const MAX_PAUSE_DOUBLINGS: u32 = 9;

/// Returns the directory at a path.
///
/// # Errors
/// [`OpenError::NotAStore`] if it is no directory.
pub(crate) fn directory(path: &Path) -> Result<StdDirectory, OpenError> {
    if path.is_dir() {
        Ok(StdDirectory(path.into()))
    } else {
        Err(OpenError::NotAStore { path: path.into(), found: "a file, and a directory is asked for".into() })
    }
}

/// A directory of the operating system.
#[derive(Clone, Debug)]
pub(crate) struct StdDirectory(PathBuf);

#[derive(Debug)]
pub(crate) struct StdFile(fs::File);

impl Directory for StdDirectory {
    type File = StdFile;

    fn list(&self) -> Result<Vec<Listed>, IoError> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(io_error)? {
            let entry = entry.map_err(io_error)?;
            // The store has no name that is not Unicode.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_file = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => entry.path().is_file(),
                Ok(kind) => kind.is_file(),
                // The entry was removed meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(io_error(error)),
            };
            listed.push(Listed { name, is_file });
        }
        Ok(listed)
    }

    fn create(&self, name: &str) -> Result<StdFile, IoError> {
        let path = self.0.join(name);
        fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map(StdFile)
            .map_err(io_error)
    }

    fn open(&self, name: &str) -> Result<StdFile, IoError> {
        fs::File::open(self.0.join(name)).map(StdFile).map_err(io_error)
    }

    fn open_for_writing(&self, name: &str) -> Result<StdFile, IoError> {
        fs::OpenOptions::new().write(true).open(self.0.join(name)).map(StdFile).map_err(io_error)
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        fs::remove_file(self.0.join(name)).map_err(io_error)
    }

    fn random(&self) -> Result<[u8; 16], IoError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| IoError::new(IoKind::Other, format!("the system has none: {error}")))?;
        Ok(bytes)
    }

    fn pause(&self, attempts: u32) {
        // The standard library's only source of random numbers: each hasher has keys of its own.
        let random = RandomState::new().build_hasher().finish();
        let most_micros = MIN_PAUSE_MICROS << attempts.min(MAX_PAUSE_DOUBLINGS);
        std::thread::sleep(Duration::from_micros(random % most_micros));
    }

    fn sync(&self) -> Result<(), IoError> {
        // Elsewhere a directory cannot be opened as a file, and the system takes care of names.
        #[cfg(unix)]
        fs::File::open(&self.0).and_then(|directory| directory.sync_all()).map_err(io_error)?;
        Ok(())
    }
}

impl File for StdFile {
    fn status(&self) -> Result<Status, IoError> {
        let metadata = self.0.metadata().map_err(io_error)?;
        Ok(Status { size_bytes: metadata.len(), names: names_of(&metadata) })
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        let mut bytes = Vec::new();
        self.read_into(offset, length, &mut bytes)?;
        Ok(bytes)
    }

    fn read_into(&self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> Result<(), IoError> {
        if bytes.is_empty() {
            // Memory that the system clears itself.
            *bytes = vec![0; length];
        }
        bytes.resize(length, 0);
        let mut filled = 0;
        while filled < length {
            match read_at(&self.0, &mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(error)),
            }
        }
        bytes.truncate(filled);
        Ok(())
    }

    fn cut(&self, size_bytes: u64) -> Result<(), IoError> {
        let status = self.0.metadata().map_err(io_error)?;
        if status.len() > size_bytes { self.0.set_len(size_bytes).map_err(io_error) } else { Ok(()) }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let mut written = 0;
        while written < bytes.len() {
            match write_at(&self.0, &bytes[written..], offset + written as u64) {
                Ok(0) => return Err(io_error(ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(error)),
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), IoError> {
        self.0.sync_data().map_err(io_error)
    }
}

#[cfg(unix)]
fn names_of(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

/// Elsewhere the standard library does not tell.
#[cfg(not(unix))]
fn names_of(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(unix)]
use std::os::unix::fs::FileExt;

#[cfg(unix)]
fn read_at(file: &fs::File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(bytes, offset)
}

#[cfg(unix)]
fn write_at(file: &fs::File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}

#[cfg(windows)]
use std::os::windows::fs::FileExt;

#[cfg(windows)]
fn read_at(file: &fs::File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &fs::File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}

fn io_error(error: io::Error) -> IoError {
    let kind = match error.kind() {
        ErrorKind::NotFound => IoKind::NotFound,
        ErrorKind::AlreadyExists => IoKind::Exists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => IoKind::NoSpace,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => IoKind::Denied,
        _ => IoKind::Other,
    };
    IoError::new(kind, error.to_string())
}
