//! Starts of paths, and the directories that they must not leave.

use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::place::PlaceNo;
use crate::types::{InodeNo, Kind};

/// The start of an operation's path. A path that starts at a [`Descriptor`] does not leave it.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    pub(crate) ino: InodeNo,
    pub(crate) kind: Kind,
    pub(crate) mutate_directory: bool,
    /// The directory that the path must not leave.
    pub(crate) base: InodeNo,
    /// Whether that directory is on this mount.
    pub(crate) is_base_here: bool,
    /// Symbolic links followed on the way here.
    pub(crate) links: u32,
    /// Its place; `None` for a start on another mount than the descriptor's, which computes it.
    pub(crate) place: Option<PlaceNo>,
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
            place: Some(descriptor.place),
        }
    }
}

impl Start {
    /// Makes a start outside all volumes. Walks from it are only resumed, never begun.
    pub fn elsewhere(mutate_directory: bool) -> Self {
        let (ino, kind) = (InodeNo::ROOT, Kind::Directory);
        Self { ino, kind, mutate_directory, base: ino, is_base_here: false, links: 0, place: None }
    }

    /// Makes a start at a directory that paths may change and do not leave.
    pub(crate) fn at(directory: InodeNo) -> Self {
        Self { base: directory, ..Self::elsewhere(true).resumed(directory, true, 0) }
    }

    /// Returns whether paths from here may change what lies below.
    pub fn mutates(&self) -> bool {
        self.mutate_directory
    }

    /// The inode at which paths start.
    pub fn ino(&self) -> InodeNo {
        self.ino
    }

    /// Returns the start of the same walk on another mount: at the directory `at`, after `links`
    /// symbolic links. `is_base_here` tells whether the directory that it must not leave is on that
    /// mount.
    pub fn resumed(self, at: InodeNo, is_base_here: bool, links: u32) -> Self {
        Self { ino: at, kind: Kind::Directory, is_base_here, links, place: None, ..self }
    }

    /// The directory that the path must not leave, if it is on this mount.
    pub(crate) fn floor(&self) -> Option<InodeNo> {
        self.is_base_here.then_some(self.base)
    }

    pub(crate) fn directory(&self) -> Result<Self> {
        if self.kind == Kind::Directory { Ok(*self) } else { Err(Error::NotDirectory) }
    }

    /// As [`Start::directory`], for an operation that changes what lies below.
    pub(crate) fn mutable_directory(&self) -> Result<Self> {
        let start = self.directory()?;
        if self.mutate_directory { Ok(start) } else { Err(Error::ReadOnly) }
    }
}
