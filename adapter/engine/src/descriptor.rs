//! Descriptors: references to inodes, with the access they were opened for.

use crate::error::{Error, Result};
use crate::place::PlaceNo;
use crate::types::{InodeNo, Kind};

/// The access that a descriptor gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    /// Reading a file.
    pub read: bool,
    /// Writing a file.
    pub write: bool,
    /// Changing a directory and what lies in it.
    pub mutate_directory: bool,
    /// Every write is durable when it returns.
    pub sync: bool,
}

/// An open file or directory.
///
/// It refers to the inode, so it works on when the name changes or is removed. Give it to
/// [`Volume::close`](crate::Volume::close): dropping it leaves the inode open, and an unlinked file
/// in the store.
#[derive(Debug)]
#[must_use = "a descriptor that is not closed keeps its inode open"]
pub struct Descriptor {
    pub(crate) ino: InodeNo,
    pub(crate) kind: Kind,
    pub(crate) access: Access,
    /// The place that it was opened at. The name may have changed since.
    pub(crate) place: PlaceNo,
}

impl Descriptor {
    /// The inode it is open on.
    pub fn ino(&self) -> InodeNo {
        self.ino
    }

    /// The kind of that inode.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The access it was opened for.
    pub fn access(&self) -> Access {
        self.access
    }

    pub(crate) fn directory(&self) -> Result<InodeNo> {
        if self.kind == Kind::Directory { Ok(self.ino) } else { Err(Error::NotDirectory) }
    }

    pub(crate) fn readable_file(&self) -> Result<InodeNo> {
        match self.kind {
            Kind::Directory => Err(Error::IsDirectory),
            _ if self.access.read => Ok(self.ino),
            _ => Err(Error::BadDescriptor),
        }
    }

    pub(crate) fn writable_file(&self) -> Result<InodeNo> {
        // Never a directory: one cannot be opened for writing.
        if self.access.write { Ok(self.ino) } else { Err(Error::BadDescriptor) }
    }
}
