//! Mountpoints: directories of a volume in whose place another volume's root is seen, and the walks that
//! pass from one volume to another.
//!
//! The engine knows one volume at a time. Where a walk leaves it, the operation ends before anything is
//! changed, with [`Error::Crossing`](crate::Error::Crossing) that says how to go on; who keeps the table of
//! mounts does the operation again on the other volume, from a [`Start`] that carries on the count of
//! symbolic links and the directory that must not be left.

use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::types::{InodeNo, Kind};
use crate::volume::Volume;
use crate::walking::path::{Ending, resolve};

/// The number of a mount in its table. One volume may be mounted more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MountNo(pub u32);

/// Where a walk left a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crossing {
    /// Onto a mountpoint: the walk goes on with `rest` at the root of what is mounted there.
    Down {
        /// What is mounted there.
        mount: MountNo,
        /// The path from there on.
        rest: String,
        /// Symbolic links followed so far.
        links: u32,
    },
    /// Above the root, from which nothing but the mount below it leads: the walk goes on with `rest`, which
    /// starts with `..`, at the directory that this volume is mounted on.
    Up {
        /// The path from there on.
        rest: String,
        /// Symbolic links followed so far.
        links: u32,
    },
    /// To a mount of the table that is no volume ([`crate::ELSEWHERE`]): whoever made the table goes on there, and
    /// comes back with [`crate::Mounts::resume`].
    Elsewhere {
        /// The mount.
        mount: MountNo,
        /// The mount below it that the walk came up from; `None` if it came from above, to the root.
        from: Option<MountNo>,
        /// The path from there on. It starts with `..` if the walk came up.
        rest: String,
        /// Symbolic links followed so far.
        links: u32,
    },
}

impl Crossing {
    /// Onto a mountpoint, with what is behind its name in the path: nothing, or a slash and more.
    ///
    /// Slashes at the path's end belong to its last name, whose meaning they change, and go on with it.
    pub fn down(mount: MountNo, behind: &str, links: u32) -> Crossing {
        let rest = match behind.trim_start_matches('/') {
            // The mountpoint is the last name itself.
            "" => ".",
            rest => rest,
        };
        Crossing::Down { mount, rest: rest.to_owned(), links }
    }
}

/// Where an operation's path starts. A [`Descriptor`] is one: the path starts at it and does not leave it.
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
    fn from(descriptor: &Descriptor) -> Start {
        Start {
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
    pub fn elsewhere(mutate_directory: bool) -> Start {
        let (ino, kind) = (InodeNo::ROOT, Kind::Directory);
        Start { ino, kind, mutate_directory, base: ino, is_base_here: false, links: 0 }
    }

    /// Whether what lies below may be changed by paths from here.
    pub fn mutates(&self) -> bool {
        self.mutate_directory
    }

    /// The inode that paths start at.
    pub fn ino(&self) -> InodeNo {
        self.ino
    }

    /// The same walk where it comes in from another volume, to the directory `at`, after so many symbolic
    /// links. The directory that it must not leave may be one of the mount that it comes to.
    pub fn resumed(self, at: InodeNo, is_base_here: bool, links: u32) -> Start {
        Start { ino: at, kind: Kind::Directory, is_base_here, links, ..self }
    }

    /// The directory that is not left, if it is one of this mount.
    pub(crate) fn floor(&self) -> Option<InodeNo> {
        self.is_base_here.then_some(self.base)
    }

    pub(crate) fn directory(&self) -> Result<Start> {
        if self.kind == Kind::Directory { Ok(*self) } else { Err(Error::NotDirectory) }
    }

    /// The directory, for an operation that changes what lies in it.
    pub(crate) fn mutable_directory(&self) -> Result<Start> {
        let start = self.directory()?;
        if self.mutate_directory { Ok(start) } else { Err(Error::ReadOnly) }
    }
}

/// The mountpoints of a volume, and through which mount it is used right now.
#[derive(Debug, Default)]
pub(crate) struct Mountpoints {
    here: MountNo,
    /// The mount that they are seen through, the directory that they cover, and what is mounted there.
    covered: Vec<(MountNo, InodeNo, MountNo)>,
}

impl Mountpoints {
    /// What is mounted on a directory.
    pub(crate) fn at(&self, ino: InodeNo) -> Option<MountNo> {
        // Next to all volumes have none.
        if self.covered.is_empty() { None } else { self.find(ino) }
    }

    #[cold]
    fn find(&self, ino: InodeNo) -> Option<MountNo> {
        let here = |(seen, covered, _): &&(MountNo, InodeNo, MountNo)| (*seen, *covered) == (self.here, ino);
        self.covered.iter().find(here).map(|(_, _, mount)| *mount)
    }

    /// Whether anything is mounted on a directory, through whichever mount.
    pub(crate) fn cover(&self, ino: InodeNo) -> bool {
        self.covered.iter().any(|(_, covered, _)| *covered == ino)
    }
}

impl Volume {
    /// Says through which mount the next operations come, and whether that takes changes. An image never
    /// takes any.
    pub fn enter(&mut self, mount: MountNo, read_only: bool) {
        self.mountpoints.here = mount;
        self.set_read_only(read_only);
    }

    /// Mounts something on a directory: through the mount `seen`, walks that come to `covered` go on
    /// there. The directory can be neither removed nor renamed from then on; one that it lies in can.
    pub fn attach(&mut self, seen: MountNo, covered: InodeNo, mount: MountNo) {
        self.mountpoints.covered.push((seen, covered, mount));
    }

    /// Walks a path, as an operation on it would, and fails as that would: with [`Error::Crossing`] if the
    /// path leads out of the volume. With [`Ending::Name`] and [`Ending::File`] what has the last name need not exist,
    /// with [`Ending::New`] it must not.
    ///
    /// # Cost
    /// The lookups'.
    pub fn locate(&mut self, start: impl Into<Start>, path: &str, ending: Ending) -> Result<()> {
        let start = start.into().directory()?;
        let mut txn = self.begin()?;
        let found = resolve(&mut txn, start, path, ending)?;
        match ending {
            Ending::Name | Ending::File(_) => Ok(()),
            Ending::New => found.new_name(&mut txn, Kind::File).map(drop),
            Ending::Object(_) => found.existing().map(drop),
        }
    }
}
