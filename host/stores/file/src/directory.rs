//! What the store asks of a directory.

use kvfs_contract::StoreError;
use std::fmt;

/// A directory that holds the store's files and maybe others, which are left alone.
///
/// # Durability
///
/// Nothing is safe from a crash of the machine before [`File::sync`], and no name before
/// [`Directory::sync`]; in what order the rest reaches the disk, or whether it does, is open. From the end of
/// a process everything is safe that a call has returned for.
pub trait Directory {
    /// An open file. It stays usable when its name is removed.
    type File: File;

    /// Returns all entries. Those that come or go meanwhile may be among them or not.
    fn list(&self) -> Result<Vec<Listed>, IoError>;

    /// Makes a new file, open for reading and writing. [`IoKind::Exists`] if the name is taken: of several
    /// that ask at once, one gets it.
    fn create(&self, name: &str) -> Result<Self::File, IoError>;

    /// Opens a file for reading.
    fn open(&self, name: &str) -> Result<Self::File, IoError>;

    /// Opens a file for writing. [`IoKind::NotFound`] if it is not there.
    fn open_for_writing(&self, name: &str) -> Result<Self::File, IoError>;

    /// Removes a name. [`IoKind::NotFound`] if it is not there.
    fn remove(&self, name: &str) -> Result<(), IoError>;

    /// Makes the names durable.
    fn sync(&self) -> Result<(), IoError>;
}

/// An open file.
pub trait File {
    /// Returns its length and the number of its names.
    fn status(&self) -> Result<Status, IoError>;

    /// Reads up to `length` bytes from `offset` on: fewer only where the file ends.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError>;

    /// Writes all bytes at `offset`. After an error any of them may be there.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError>;

    /// Makes what was written durable, by whomever it was written.
    fn sync(&self) -> Result<(), IoError>;
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether it is a file, or a link to one: not a directory, a device or a pipe.
    pub is_file: bool,
}

/// What is known of an open file beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its length, in bytes.
    pub size_bytes: u64,
    /// How many names it has: none once it was removed. Where the system does not tell, always the same.
    pub names: u64,
}

/// Why a call of a [`Directory`] failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    /// What the store has to know.
    pub kind: IoKind,
    /// The system's words.
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

    /// Returns what the failure means to the caller of the store, for the file of this name.
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
