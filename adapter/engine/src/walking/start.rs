//! Where the path of an operation starts, and what it may not leave.

use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::types::{InodeNo, Kind};

/// Where an operation's path starts. A [`Descriptor`] is one: the path starts at it and does not
/// leave it.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    pub(crate) ino: InodeNo,
    pub(crate) kind: Kind,
    pub(crate) mutate_directory: bool,
    /// The directory that is not left.
    pub(crate) base: InodeNo,
    /// Whether that is one of this mount.
    pub(crate) is_base_here: bool,
    /// Symbolic links followed on the way here.
    pub(crate) links: u32,
}

impl From<&Descriptor> for Start {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            ino: descriptor.ino,
            kind: descriptor.kind,
            mutate_directory: descriptor.access.mutate_directory,
            base: descriptor.ino,
            is_base_here: true,
            links: 0,
        }
    }
}

impl Start {
    /// A start that is in no volume. Walks from it are only ever resumed.
    pub fn elsewhere(mutate_directory: bool) -> Self {
        let (ino, kind) = (InodeNo::ROOT, Kind::Directory);
        Self { ino, kind, mutate_directory, base: ino, is_base_here: false, links: 0 }
    }

    /// Whether what lies below may be changed by paths from here.
    pub fn mutates(&self) -> bool {
        self.mutate_directory
    }

    /// The inode that paths start at.
    pub fn ino(&self) -> InodeNo {
        self.ino
    }

    /// The same walk where it comes in from another volume, to the directory `at`, after so many
    /// symbolic links. The directory that it must not leave may be one of the mount that it comes
    /// to.
    pub fn resumed(self, at: InodeNo, is_base_here: bool, links: u32) -> Self {
        Self { ino: at, kind: Kind::Directory, is_base_here, links, ..self }
    }

    /// The directory that is not left, if it is one of this mount.
    pub(crate) fn floor(&self) -> Option<InodeNo> {
        self.is_base_here.then_some(self.base)
    }

    pub(crate) fn directory(&self) -> Result<Self> {
        if self.kind == Kind::Directory { Ok(*self) } else { Err(Error::NotDirectory) }
    }

    /// The directory, for an operation that changes what lies in it.
    pub(crate) fn mutable_directory(&self) -> Result<Self> {
        let start = self.directory()?;
        if self.mutate_directory { Ok(start) } else { Err(Error::ReadOnly) }
    }
}
