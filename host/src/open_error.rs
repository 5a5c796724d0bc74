//! Why a store could not be opened.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kvfs_size::{BadSize, MIN_MEMORY_BYTES};
use redb::{DatabaseError, StorageError};

use crate::{Rollback, StoreError};

/// Why a store could not be opened, and what to do about it. What is at the path stays as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL names no kind of store that this build knows.
    #[error("`{url}` names no store{}; known are {known}, such as `redb:state.redb`", of_feature(*missing))]
    UnknownStore {
        /// The URL as given, without credentials.
        url: String,
        /// The feature of this crate that would bring the store.
        missing: Option<&'static str>,
        /// The forms of the URLs that this build knows, in words.
        known: String,
    },
    /// A store at a distance cannot be opened.
    #[error("{place}: {source}")]
    Distant {
        /// The URL, without credentials.
        place: String,
        /// Why not, and what to do.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The text after `memory:` is not a size.
    #[error("`{url}`: {source}")]
    MemorySize {
        /// The URL as given.
        url: String,
        /// The error for the text.
        source: BadSize,
    },
    /// A store in memory would be too small for a file system.
    #[error("`{url}`: a store in memory has at least {MIN_MEMORY_BYTES} bytes; choose a larger size")]
    MemoryTooSmall {
        /// The URL as given.
        url: String,
    },
    /// There is nothing at the path, and nothing is to be made.
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
    /// Something else is at the path.
    #[error("{} is not a store but {found}; it was left as it is: name another path", path.display())]
    NotAStore {
        /// The path.
        path: PathBuf,
        /// The file's kind, in words.
        found: String,
    },
    /// The store was written by a later version.
    #[error("{} was made by a newer kvfs (format {found}; this one knows formats up to {known}); update this one",
        path.display())]
    NewerFormat {
        /// The path.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The latest format this program knows.
        known: u32,
    },
    /// The file has a version of redb's format that this redb cannot read.
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
    /// A second copy of the store may not fit on the disk.
    #[error("{} needs {needed_bytes} bytes on the disk for a copy, and {free_bytes} are free; free some and try again",
        path.display())]
    NoRoom {
        /// The path.
        path: PathBuf,
        /// The size of the store.
        needed_bytes: u64,
        /// Free bytes on its disk.
        free_bytes: u64,
    },
    /// The store is damaged.
    #[error("{} is damaged ({detail}); restore it from a copy, or name another path", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// The damage, in words.
        detail: String,
    },
    /// A salvage or repair found nothing in the store that can be read.
    #[error("nothing can be read of {}; it was left as it was: restore it from a copy, or move it away to begin \
        with an empty store", path.display())]
    NothingLeft {
        /// The path.
        path: PathBuf,
    },
    /// A damaged file cannot be kept beside the repaired one.
    #[error("{} cannot be kept beside its repaired copy ({source}); it was left as it was: copy it elsewhere, as its \
        file system may have no hard links, and repair it with --discard-damaged", path.display())]
    CannotKeep {
        /// The path.
        path: PathBuf,
        /// Why it was not given a second name.
        source: std::io::Error,
    },
    /// The store has lost durable applies that it had acknowledged.
    #[error("{} has lost what it had acknowledged as durable, as {} tells: {rollback}; put the right file back, \
        or accept the loss and go on with what is there: --accept-loss", path.display(), mark.display())]
    RolledBack {
        /// The path of the store.
        path: PathBuf,
        /// The path of its mark.
        mark: PathBuf,
        /// The loss.
        rollback: Box<Rollback>,
    },
    /// The store is the beginning of a copy.
    #[error("`{url}` is a copy that was cut off; go on with `kvfs store copy --continue`, or remove it")]
    CutOff {
        /// The URL as given.
        url: String,
    },
    /// A store of this kind cannot be opened together with others.
    #[error(
        "`{url}` lets in one program at a time, so it cannot be opened together with others; leave that out, \
        or keep the data in file:DIR"
    )]
    NotTogether {
        /// The URL as given.
        url: String,
    },
    /// The store is sealed, and no key was given.
    #[error("`{url}` is sealed; give the key file or the passphrase that it was sealed with")]
    Sealed {
        /// The URL as given.
        url: String,
    },
    /// The key of a sealed store was changed, and then the store could not be closed in order.
    #[error("`{url}`: the new key opens it from now on, but closing it failed: {source}; check the disk")]
    Rekeyed {
        /// The URL as given.
        url: String,
        /// Why closing failed.
        source: StoreError,
    },
    /// The store cannot be opened with the key.
    #[error("`{url}`: {source}")]
    Seal {
        /// The URL as given.
        url: String,
        /// Why not.
        source: kvfs_sealed_store::OpenError,
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
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::DiskFull { path }
            }
            _ => Self::Io { path, source },
        }
    }

    pub(crate) fn of_redb(path: &Path, error: DatabaseError) -> Self {
        let damaged = |detail: String| Self::Damaged { path: path.to_path_buf(), detail };
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::Busy { path: path.to_path_buf() }
            }
            DatabaseError::UpgradeRequired(found) => Self::OtherRedb { path: path.to_path_buf(), found },
            DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => damaged(error.to_string()),
                _ => Self::io(path, error),
            },
            DatabaseError::Storage(StorageError::Corrupted(detail)) => damaged(detail),
            other => damaged(other.to_string()),
        }
    }

    /// Converts the failure of a call that a store answered while it was opened.
    pub(crate) fn of_store(path: &Path, error: StoreError) -> Self {
        let path = path.to_path_buf();
        match error {
            StoreError::Corrupt(detail) => Self::Damaged { path, detail },
            StoreError::ReadOnly => Self::ReadOnly { path },
            StoreError::QuotaExceeded => Self::DiskFull { path },
            StoreError::Unavailable(why) => Self::Io { path, source: std::io::Error::other(why) },
            error => Self::Io { path, source: std::io::Error::other(error) },
        }
    }

    /// Replaces the path by the one that the caller knows.
    pub(crate) fn with_path(mut self, new: &Path) -> Self {
        match &mut self {
            Self::UnknownStore { .. }
            | Self::Distant { .. }
            | Self::MemorySize { .. }
            | Self::MemoryTooSmall { .. }
            | Self::CutOff { .. }
            | Self::NotTogether { .. }
            | Self::Sealed { .. }
            | Self::Seal { .. }
            | Self::Rekeyed { .. } => {}
            Self::MissingDirectory { path, .. }
            | Self::NotAStore { path, .. }
            | Self::NewerFormat { path, .. }
            | Self::OtherRedb { path, .. }
            | Self::Busy { path }
            | Self::NoStore { path }
            | Self::ReadOnly { path }
            | Self::DiskFull { path }
            | Self::NoRoom { path, .. }
            | Self::Damaged { path, .. }
            | Self::RolledBack { path, .. }
            | Self::NothingLeft { path }
            | Self::CannotKeep { path, .. }
            | Self::Io { path, .. } => *path = new.to_path_buf(),
        }
        self
    }
}

fn of_feature(missing: Option<&str>) -> String {
    missing.map_or_else(String::new, |feature| {
        format!(" of this build, which is without the feature `{feature}`")
    })
}
