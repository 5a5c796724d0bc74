//! The directory that the store needs.

use kvfs_contract::StoreError;
use std::fmt;

/// A directory that holds the store's files, and perhaps other files, which the store leaves alone.
///
/// # Durability
///
/// When a call has returned, its effect survives the end of the process. A crash of the machine may
/// lose any of it, in any order, until [`File::sync`] for bytes and [`Directory::sync`] for names.
pub trait Directory {
    /// An open file. It stays usable when its name is removed.
    type File: File;

    /// Returns all entries. One that comes or goes meanwhile may be in the list or not.
    fn list(&self) -> Result<Vec<Listed>, IoError>;

    /// Creates a file, open for reading and writing. Of several callers that ask for one name at
    /// once, one gets it; the others fail with [`IoKind::Exists`], as does a name that is taken.
    fn create(&self, name: &str) -> Result<Self::File, IoError>;

    /// Opens a file for reading.
    fn open(&self, name: &str) -> Result<Self::File, IoError>;

    /// Opens a file for writing. [`IoKind::NotFound`] if it is not there.
    fn open_for_writing(&self, name: &str) -> Result<Self::File, IoError>;

    /// Removes a name. [`IoKind::NotFound`] if it is not there.
    fn remove(&self, name: &str) -> Result<(), IoError>;

    /// Makes the names durable.
    fn sync(&self) -> Result<(), IoError>;

    /// Returns random bytes that no guest can guess.
    fn random(&self) -> Result<[u8; 16], IoError>;

    /// Waits a moment, longer after more attempts, because another program was faster. Two that wait
    /// for each other should wait differently long.
    fn pause(&self, _attempts: u32) {}
}

/// An open file.
pub trait File {
    /// Returns its length and the number of its names.
    fn status(&self) -> Result<Status, IoError>;

    /// Reads up to `length` bytes from `offset` on: fewer only where the file ends.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError>;

    /// As [`File::read`], into a buffer that is used again: what was in it goes.
    fn read_into(&self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> Result<(), IoError> {
        *bytes = self.read(offset, length)?;
        Ok(())
    }

    /// Cuts off what is behind `size_bytes`, which frees its room. A shorter file stays as it is.
    fn cut(&self, size_bytes: u64) -> Result<(), IoError>;

    /// Writes all bytes at `offset`. After an error any part of them may be there.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError>;

    /// Makes all writes to the file durable, whoever made them.
    fn sync(&self) -> Result<(), IoError>;
}

impl<F: File> File for &F {
    fn status(&self) -> Result<Status, IoError> {
        (**self).status()
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        (**self).read(offset, length)
    }

    fn read_into(&self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> Result<(), IoError> {
        (**self).read_into(offset, length, bytes)
    }

    fn cut(&self, size_bytes: u64) -> Result<(), IoError> {
        (**self).cut(size_bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        (**self).write(offset, bytes)
    }

    fn sync(&self) -> Result<(), IoError> {
        (**self).sync()
    }
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// True for a file or a link to one; false for a directory, a device or a pipe.
    pub is_file: bool,
}

/// The status of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its length, in bytes.
    pub size_bytes: u64,
    /// The number of its names, 0 once it is removed. Constant where the system does not tell.
    pub names: u64,
}

/// Why a call of a [`Directory`] failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    /// The kind, as far as the store tells kinds apart.
    pub kind: IoKind,
    /// The system's message.
    pub text: String,
}

/// The kinds of [`IoError`] that the store tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoKind {
    /// There is no such name.
    NotFound,
    /// The name is taken.
    Exists,
    /// The disk or a quota is full.
    NoSpace,
    /// The directory or a file may not be written.
    Denied,
    /// Anything else.
    Other,
}

impl IoError {
    /// Makes an error.
    pub fn new(kind: IoKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Returns the error of a store's call that failed because of this one, on the file of this
    /// name.
    pub(crate) fn at(&self, name: &str) -> StoreError {
        match self.kind {
            IoKind::NoSpace => StoreError::QuotaExceeded,
            IoKind::Denied => StoreError::ReadOnly,
            _ => StoreError::Unavailable(format!("{name}: {self}")),
        }
    }
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for IoError {}
