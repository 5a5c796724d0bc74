//! Stores by name: `memory:[SIZE]`, `redb:PATH` and `file:DIR`, and why one could not be opened.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kvfs_size::{BadSize, ByteSize, MIN_MEMORY_BYTES};
use redb::{DatabaseError, StorageError};

use crate::{
    Durability, Entry, FileStore, FileStoreReader, Guard, Limits, MemoryStore, Mutation, RedbReader,
    RedbStore, StoreError, SyncStore,
};

/// A store named by a URL: see [`open_store`]. A clone is another handle on the same store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyStore {
    /// `memory:[SIZE]`
    Memory(MemoryStore),
    /// `redb:PATH`
    Redb(RedbStore),
    /// `redb:PATH`, opened for reading only.
    RedbReader(RedbReader),
    /// `file:DIR`
    File(FileStore),
    /// `file:DIR`, opened for reading only.
    FileReader(FileStoreReader),
}

/// Opens the store that `url` names:
///
/// - `memory:` an empty [`MemoryStore`], gone with the process; `memory:SIZE`, such as `memory:64M`, one that holds no
///   more than that;
/// - `redb:PATH` a [`RedbStore`] in the file `PATH`, made if it does not exist. A file that is not a
///   store, an empty one too, is refused and left as it is;
/// - `file:DIR` a [`FileStore`] in the directory `DIR`, made if it does not exist: what a composition with the
///   provider `file` keeps. A directory of other files is refused and left as it is.
///
/// # Errors
/// [`OpenError::UnknownStore`] for anything else, [`OpenError::MemorySize`] for a size that is none, and whatever
/// [`RedbStore::open`] and [`FileStore::open`] meet.
pub fn open_store(url: &str) -> Result<AnyStore, OpenError> {
    match named(url)? {
        Named::Memory(None) => Ok(AnyStore::Memory(MemoryStore::new())),
        Named::Memory(Some(size_bytes)) => Ok(AnyStore::Memory(MemoryStore::with_size(size_bytes))),
        Named::Redb(path) => Ok(AnyStore::Redb(RedbStore::open(path)?)),
        Named::File(path) => Ok(AnyStore::File(FileStore::open(path)?)),
    }
}

/// Opens the store that `url` names as [`open_store`] does, for reading only: nothing is made, and what
/// there is does not change by a byte, even if its program was killed ([`RedbReader::recovered`]).
///
/// # Errors
/// As [`open_store`]; [`OpenError::NoStore`] where there is none, and for `memory:`, which
/// holds nothing to read.
pub fn open_store_read_only(url: &str) -> Result<AnyStore, OpenError> {
    match named(url)? {
        Named::Memory(_) => Err(OpenError::NoStore { path: url.into() }),
        Named::Redb(path) => Ok(AnyStore::RedbReader(RedbReader::open(path)?)),
        Named::File(path) => Ok(AnyStore::FileReader(FileStoreReader::open(path)?)),
    }
}

fn named(url: &str) -> Result<Named<'_>, OpenError> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(Named::Memory(None)),
        Some(("memory", size)) => memory_size(url, size).map(|size_bytes| Named::Memory(Some(size_bytes))),
        Some(("redb", path)) if !path.is_empty() => Ok(Named::Redb(path)),
        Some(("file", path)) if !path.is_empty() => Ok(Named::File(path)),
        _ => Err(OpenError::UnknownStore { url: url.into() }),
    }
}

/// Reads the size of a store in memory.
fn memory_size(url: &str, size: &str) -> Result<u64, OpenError> {
    let wrong = |why: String| OpenError::MemorySize { url: url.into(), why };
    let ByteSize(size_bytes) = size.parse().map_err(|error: BadSize| wrong(error.to_string()))?;
    if size_bytes < MIN_MEMORY_BYTES {
        return Err(wrong(format!(
            "a store in memory has at least {MIN_MEMORY_BYTES} bytes; choose a larger size"
        )));
    }
    Ok(size_bytes)
}

/// What a URL names.
enum Named<'u> {
    /// With its size, if it has one.
    Memory(Option<u64>),
    Redb(&'u str),
    File(&'u str),
}

impl AnyStore {
    /// Makes everything applied so far durable, as far as the store can.
    ///
    /// # Errors
    /// As a durable `apply`.
    pub fn flush(&self) -> Result<(), StoreError> {
        match self {
            AnyStore::Memory(_) | AnyStore::RedbReader(_) | AnyStore::FileReader(_) => Ok(()),
            AnyStore::File(store) => store.apply(&[], &[], Durability::Durable),
            AnyStore::Redb(store) => store.flush(),
        }
    }

    /// Makes everything applied so far durable and closes the store in order, for all handles: see
    /// [`RedbStore::close`]. Where there is nothing to close, this is [`AnyStore::flush`].
    ///
    /// # Errors
    /// As a durable `apply`; the store is open then, and closing may be tried again.
    pub fn close(&self) -> Result<(), StoreError> {
        match self {
            AnyStore::Redb(store) => store.close(),
            _ => self.flush(),
        }
    }

    fn inner(&self) -> &dyn SyncStore {
        match self {
            AnyStore::Memory(store) => store,
            AnyStore::Redb(store) => store,
            AnyStore::RedbReader(store) => store,
            AnyStore::File(store) => store,
            AnyStore::FileReader(store) => store,
        }
    }
}

impl SyncStore for AnyStore {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.inner().limits()
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.inner().get(keys)
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner().scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.inner().apply(guards, mutations, level)
    }
}

/// Why a store could not be opened, and what to do about it. Whatever is at the path is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL names no kind of store that is known.
    #[error(
        "`{url}` names no store; known are `memory:[SIZE]`, `redb:PATH` and `file:DIR`, such as `redb:state.redb`"
    )]
    UnknownStore {
        /// The URL as given.
        url: String,
    },
    /// What follows `memory:` is no size, or too small a one.
    #[error("`{url}`: {why}")]
    MemorySize {
        /// The URL as given.
        url: String,
        /// What is wrong with it, in words.
        why: String,
    },
    /// There is nothing at the path, and it is not to be made.
    #[error("{}: there is no such store; check the path", path.display())]
    NoStore {
        /// The path.
        path: PathBuf,
    },
    /// The directory for a new file is not there.
    #[error("cannot make {}: there is no directory {}; make it first, or name another path",
        path.display(), directory.display())]
    MissingDirectory {
        /// The file to be made.
        path: PathBuf,
        /// The directory it would be in.
        directory: PathBuf,
    },
    /// There is something else at the path.
    #[error("{} is not a store but {found}; it was left as it is: name another path", path.display())]
    NotAStore {
        /// The path.
        path: PathBuf,
        /// What is there, in words.
        found: String,
    },
    /// The store was written by a later version.
    #[error("{} is a store of format {found}; this program knows formats up to {known}: use a newer one",
        path.display())]
    NewerFormat {
        /// The path.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The latest format this program knows.
        known: u32,
    },
    /// The file is of a redb version that this redb cannot read.
    #[error("{} is a redb file of version {found}, which this program cannot read: \
        convert it with the redb that wrote it, or name another path", path.display())]
    OtherRedb {
        /// The path.
        path: PathBuf,
        /// The version of redb's file format.
        found: u8,
    },
    /// Another process, or another handle in this one, has the file open.
    #[error("{} is open elsewhere; close the other program, or name another path", path.display())]
    Busy {
        /// The path.
        path: PathBuf,
    },
    /// The file or its directory may not be written.
    #[error("{} may not be written; change its permissions, or name another path", path.display())]
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// There is no room on the disk, even to open the store.
    #[error("no room on the disk for {}; free some and try again", path.display())]
    DiskFull {
        /// The path.
        path: PathBuf,
    },
    /// The file is a redb file, but damaged.
    #[error("{} is damaged ({detail}); restore it from a copy, or name another path", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// What is wrong, in words.
        detail: String,
    },
    /// The operating system refused for another reason.
    #[error("cannot open {}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                OpenError::DiskFull { path }
            }
            _ => OpenError::Io { path, source },
        }
    }

    pub(crate) fn of_redb(path: &Path, error: DatabaseError) -> Self {
        let damaged = |detail: String| OpenError::Damaged { path: path.to_path_buf(), detail };
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                OpenError::Busy { path: path.to_path_buf() }
            }
            DatabaseError::UpgradeRequired(found) => OpenError::OtherRedb { path: path.to_path_buf(), found },
            DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => damaged(error.to_string()),
                _ => OpenError::io(path, error),
            },
            DatabaseError::Storage(StorageError::Corrupted(detail)) => damaged(detail),
            other => damaged(other.to_string()),
        }
    }

    /// Puts the path the caller knows in place of one it does not.
    pub(crate) fn with_path(mut self, new: &Path) -> Self {
        match &mut self {
            OpenError::UnknownStore { .. } | OpenError::MemorySize { .. } => {}
            OpenError::MissingDirectory { path, .. }
            | OpenError::NotAStore { path, .. }
            | OpenError::NewerFormat { path, .. }
            | OpenError::OtherRedb { path, .. }
            | OpenError::Busy { path }
            | OpenError::NoStore { path }
            | OpenError::ReadOnly { path }
            | OpenError::DiskFull { path }
            | OpenError::Damaged { path, .. }
            | OpenError::Io { path, .. } => *path = new.to_path_buf(),
        }
        self
    }
}
