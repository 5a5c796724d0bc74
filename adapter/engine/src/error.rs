//! Why an operation failed, and the one table from reasons to the codes a guest sees.

use crate::store::StoreError;
use crate::types::{Crossing, ImageId};
use std::fmt;

/// The result of an operation of the file system.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation failed. [`Error::code`] is what the guest is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The descriptor is not open for this kind of access, or is of the wrong kind.
    BadDescriptor,
    /// The path names the directory it starts from, or one on the way, which cannot be moved.
    Busy,
    /// The name exists and must not.
    Exist,
    /// The file would become larger than [`crate::limits::MAX_FILE_BYTES`].
    FileTooLarge,
    /// An argument makes no sense here.
    Invalid,
    /// The object is a directory and must not be.
    IsDirectory,
    /// More symbolic links than [`crate::limits::MAX_SYMLINK_DEPTH`] on one path.
    Loop,
    /// The object has as many names as it can have.
    TooManyLinks,
    /// A name or path is over its limit.
    NameTooLong,
    /// Nothing has this name.
    NoEntry,
    /// Too many descriptors are open.
    TooManyOpen,
    /// The volume has no inode numbers left.
    NoSpace,
    /// The volume's quota does not allow growth.
    Quota,
    /// A step of the path, or the object, is not a directory and must be.
    NotDirectory,
    /// The directory is not empty.
    NotEmpty,
    /// The path leaves the directory it starts from, or the operation is never allowed on this object.
    NotPermitted,
    /// The descriptor or volume takes no changes.
    ReadOnly,
    /// The number does not fit the type it has to be returned in.
    Overflow,
    /// The store denies access.
    Access,
    /// Another opener has taken the volume over; nothing that this one does can be stored any more.
    Fenced,
    /// A stored value is not what was stored: the file system returns no bytes rather than wrong ones.
    Damaged(Damage),
    /// The store failed.
    Store(StoreError),
    /// The store's limits are too small for this file system.
    StoreLimits(&'static str),
    /// The store holds something that this version cannot read.
    Format(&'static str),
    /// The path leads to another volume, where the operation is to go on. Nothing was done here.
    Crossing(Box<Crossing>),
    /// The operation has two paths, and they lead to different mounts.
    CrossDevice,
    /// The volume lies on another image than it is opened with, or on none.
    OtherImage(Box<OtherImage>),
}

/// Which images a volume and its opener do not agree on. They are never both `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherImage {
    /// The one that the volume was made on, and can only be opened with.
    pub recorded: Option<ImageId>,
    /// The one that it was to be opened with.
    pub given: Option<ImageId>,
}

impl fmt::Display for OtherImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.recorded, &self.given) {
            (Some(recorded), Some(given)) => write!(
                f,
                "the volume lies on the image {recorded}, not on {given}; use that image, or another volume"
            ),
            (Some(recorded), None) => {
                write!(f, "the volume lies on the image {recorded}, without which it cannot be opened")
            }
            (None, given) => {
                f.write_str("the volume lies on no image")?;
                match given {
                    Some(given) => write!(f, ", so it cannot be put above {given}; use another volume"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// What is wrong with a stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which record.
    pub record: &'static str,
    /// The inode (or the directory's inode) that it belongs to; 0 for the superblock.
    pub ino: u64,
    /// What was found.
    pub found: &'static str,
}

/// The codes of `wasi:filesystem/types.error-code` that the file system uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // The names are WASI's and documented there.
pub enum Code {
    Access,
    BadDescriptor,
    Busy,
    CrossDevice,
    Exist,
    FileTooLarge,
    Invalid,
    Io,
    IsDirectory,
    Loop,
    TooManyLinks,
    NameTooLong,
    NoEntry,
    InsufficientMemory,
    InsufficientSpace,
    NotDirectory,
    NotEmpty,
    Overflow,
    NotPermitted,
    Quota,
    ReadOnly,
}

impl Error {
    /// Returns the code that a guest sees for this error.
    pub fn code(&self) -> Code {
        match self {
            Error::BadDescriptor => Code::BadDescriptor,
            Error::Busy => Code::Busy,
            Error::Exist => Code::Exist,
            Error::FileTooLarge => Code::FileTooLarge,
            Error::Invalid => Code::Invalid,
            Error::IsDirectory => Code::IsDirectory,
            Error::Loop => Code::Loop,
            Error::TooManyLinks => Code::TooManyLinks,
            Error::NameTooLong => Code::NameTooLong,
            Error::NoEntry => Code::NoEntry,
            Error::TooManyOpen => Code::InsufficientMemory,
            Error::NoSpace => Code::InsufficientSpace,
            Error::Quota => Code::Quota,
            Error::NotDirectory => Code::NotDirectory,
            Error::NotEmpty => Code::NotEmpty,
            Error::NotPermitted => Code::NotPermitted,
            Error::ReadOnly => Code::ReadOnly,
            Error::Overflow => Code::Overflow,
            Error::Access => Code::Access,
            Error::Fenced
            | Error::Damaged(_)
            | Error::StoreLimits(_)
            | Error::Format(_)
            | Error::OtherImage(_)
            // Who mounts volumes goes on instead.
            | Error::Crossing(_) => Code::Io,
            Error::CrossDevice => Code::CrossDevice,
            Error::Store(store) => match store {
                StoreError::QuotaExceeded => Code::InsufficientSpace,
                StoreError::ReadOnly => Code::ReadOnly,
                StoreError::AccessDenied => Code::Access,
                StoreError::Conflict
                | StoreError::UnknownOutcome
                | StoreError::Unavailable(_)
                | StoreError::TooLarge
                | StoreError::Corrupt(_)
                | StoreError::Other(_) => Code::Io,
            },
        }
    }

    /// Whether the store has no room.
    pub(crate) fn is_store_full(&self) -> bool {
        *self == Self::Store(StoreError::QuotaExceeded)
    }

    pub(crate) fn damaged(record: &'static str, ino: u64, found: &'static str) -> Error {
        Error::Damaged(Damage { record, ino, found })
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        Error::Store(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Error::BadDescriptor => "the descriptor is not open for this",
            Error::Busy => "it cannot be moved by this path",
            Error::Exist => "the name exists already",
            Error::FileTooLarge => "the file would be too large",
            Error::Invalid => "an argument is invalid",
            Error::IsDirectory => "it is a directory",
            Error::Loop => "too many symbolic links on the path",
            Error::TooManyLinks => "the file has too many links",
            Error::NameTooLong => "the name or path is too long",
            Error::NoEntry => "no such file or directory",
            Error::TooManyOpen => "too many open descriptors",
            Error::NoSpace => "the volume has no inode numbers left",
            Error::Quota => "the volume's quota does not allow more",
            Error::NotDirectory => "it is not a directory",
            Error::NotEmpty => "the directory is not empty",
            Error::NotPermitted => "the path or the operation is not permitted",
            Error::ReadOnly => "it is read-only",
            Error::Overflow => "a number is out of range",
            Error::Access => "access is denied",
            Error::Fenced => "another opener has taken this volume over",
            Error::Damaged(damage) => {
                return write!(
                    f,
                    "the {} of inode {} is damaged: {}",
                    damage.record, damage.ino, damage.found
                );
            }
            Error::Store(store) => return store.fmt(f),
            Error::StoreLimits(what) => return write!(f, "the store's limits are too small: {what}"),
            Error::Format(what) => return write!(f, "the volume cannot be opened: {what}"),
            Error::Crossing(_) => "the path leads to another volume",
            Error::CrossDevice => "the two paths lead to different mounts",
            Error::OtherImage(images) => return images.fmt(f),
        };
        f.write_str(text)
    }
}

impl std::error::Error for Error {}
