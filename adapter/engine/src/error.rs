//! Errors of operations, and the one table from errors to the codes that a guest sees.

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
    /// The path names a mountpoint, the directory that it starts from, or one on the way. None of
    /// them can be moved or removed.
    Busy,
    /// The name must not exist, and does.
    Exist,
    /// The file would become larger than [`crate::limits::MAX_FILE_BYTES`].
    FileTooLarge,
    /// An argument is not valid here.
    Invalid,
    /// The object must not be a directory, and is one.
    IsDirectory,
    /// More symbolic links than [`crate::limits::MAX_SYMLINK_DEPTH`] on one path.
    Loop,
    /// The object cannot have more names.
    TooManyLinks,
    /// A name or path is over its limit.
    NameTooLong,
    /// Nothing has this name.
    NoEntry,
    /// Too many descriptors are open.
    TooManyOpen,
    /// The volume has no inode numbers left.
    NoSpace,
    /// The volume's quota does not allow more.
    Quota,
    /// A step of the path, or the object, must be a directory, and is none.
    NotDirectory,
    /// The directory is not empty.
    NotEmpty,
    /// The path leaves the directory that it starts from, or the object never allows the operation.
    NotPermitted,
    /// The descriptor or volume takes no changes.
    ReadOnly,
    /// The number does not fit its result type.
    Overflow,
    /// The store denies access.
    Access,
    /// Another opener has taken the volume over. This one can store nothing any more.
    Fenced,
    /// A stored value is not the one that was written. The file system returns an error rather than
    /// wrong bytes.
    Damaged(Damage),
    /// The store failed.
    Store(StoreError),
    /// The store's limits are too small for this file system.
    StoreLimits(&'static str),
    /// This version cannot use the volume or image, or not for this operation.
    Format(&'static str),
    /// The path leads to another volume, where the operation goes on. It has changed nothing here.
    Crossing(Box<Crossing>),
    /// The two paths of the operation lead to different mounts.
    CrossDevice,
    /// The volume was made on another image than the given one, or on none.
    OtherImage(Box<OtherImage>),
    /// The two volumes share no layer, so nothing tells which of them changed what.
    Unrelated,
}

/// The images of a volume and of its opener, which differ. They are never both `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherImage {
    /// The image that the volume was made on. It can be opened with no other.
    pub recorded: Option<ImageId>,
    /// The image that the opener has.
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

/// The damage of a stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The kind of record.
    pub record: &'static str,
    /// The inode, or the directory's inode, that it belongs to; 0 for the superblock.
    pub ino: u64,
    /// The defect.
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
            Self::BadDescriptor => Code::BadDescriptor,
            Self::Busy => Code::Busy,
            Self::Exist => Code::Exist,
            Self::FileTooLarge => Code::FileTooLarge,
            Self::Invalid => Code::Invalid,
            Self::IsDirectory => Code::IsDirectory,
            Self::Loop => Code::Loop,
            Self::TooManyLinks => Code::TooManyLinks,
            Self::NameTooLong => Code::NameTooLong,
            Self::NoEntry => Code::NoEntry,
            Self::TooManyOpen => Code::InsufficientMemory,
            Self::NoSpace => Code::InsufficientSpace,
            Self::Quota => Code::Quota,
            Self::NotDirectory => Code::NotDirectory,
            Self::NotEmpty => Code::NotEmpty,
            Self::NotPermitted => Code::NotPermitted,
            Self::ReadOnly => Code::ReadOnly,
            Self::Overflow => Code::Overflow,
            Self::Access => Code::Access,
            Self::Fenced
            | Self::Damaged(_)
            | Self::StoreLimits(_)
            | Self::Format(_)
            | Self::OtherImage(_)
            | Self::Unrelated
            // Never reaches a guest: the table of mounts goes on instead.
            | Self::Crossing(_) => Code::Io,
            Self::CrossDevice => Code::CrossDevice,
            Self::Store(store) => match store {
                StoreError::QuotaExceeded => Code::InsufficientSpace,
                StoreError::ReadOnly => Code::ReadOnly,
                StoreError::AccessDenied => Code::Access,
                StoreError::Conflict
                | StoreError::UnknownOutcome
                | StoreError::Unavailable(_)
                | StoreError::TooLarge
                | StoreError::Corrupt(_)
                | StoreError::Other(_)
                | StoreError::Fault(_) => Code::Io,
            },
        }
    }

    /// Returns whether the store has no room.
    pub(crate) fn is_store_full(&self) -> bool {
        *self == Self::Store(StoreError::QuotaExceeded)
    }

    pub(crate) fn damaged(record: &'static str, ino: u64, found: &'static str) -> Self {
        Self::Damaged(Damage { record, ino, found })
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::BadDescriptor => "the descriptor is not open for this",
            Self::Busy => "it is a mountpoint, or cannot be moved by this path",
            Self::Exist => "the name exists already",
            Self::FileTooLarge => "the file would be too large",
            Self::Invalid => "an argument is invalid",
            Self::IsDirectory => "it is a directory",
            Self::Loop => "too many symbolic links on the path",
            Self::TooManyLinks => "the file has too many links",
            Self::NameTooLong => "the name or path is too long",
            Self::NoEntry => "no such file or directory",
            Self::TooManyOpen => "too many open descriptors",
            Self::NoSpace => "the volume has no inode numbers left",
            Self::Quota => "the volume's quota does not allow more",
            Self::NotDirectory => "it is not a directory",
            Self::NotEmpty => "the directory is not empty",
            Self::NotPermitted => "the path or the operation is not permitted",
            Self::ReadOnly => "it is read-only",
            Self::Overflow => "a number is out of range",
            Self::Access => "access is denied",
            Self::Fenced => "another opener has taken this volume over",
            Self::Damaged(damage) => {
                return write!(
                    f,
                    "the {} of inode {} is damaged: {}",
                    damage.record, damage.ino, damage.found
                );
            }
            Self::Store(store) => return store.fmt(f),
            Self::StoreLimits(what) => return write!(f, "the store's limits are too small: {what}"),
            Self::Format(what) => return write!(f, "the volume or image cannot be used: {what}"),
            Self::Crossing(_) => "the path leads to another volume",
            Self::CrossDevice => "the two paths lead to different mounts",
            Self::OtherImage(images) => return images.fmt(f),
            Self::Unrelated => "the two volumes have no layer in common",
        };
        f.write_str(text)
    }
}

impl std::error::Error for Error {}
