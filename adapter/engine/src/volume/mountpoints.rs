//! Mountpoints: directories of a volume that another mount covers.
//!
//! An operation knows one volume. If its path leads out of the volume, it ends before it has
//! changed anything, with [`Error::Crossing`](crate::Error::Crossing), which tells how to go on.
//! The table of mounts then repeats the operation on the next volume, from a
//! [`Start`](crate::Start) that carries the count of symbolic links and the directory that must not
//! be left.

use crate::types::{InodeNo, MountNo};

/// The mountpoints of a volume, and the mount through which it is used now.
#[derive(Debug, Default)]
pub(crate) struct Mountpoints {
    pub(super) here: MountNo,
    covered: Vec<Covered>,
}

#[derive(Debug)]
struct Covered {
    /// The mount that it is seen through.
    seen: MountNo,
    ino: InodeNo,
    /// The mount on it.
    mount: MountNo,
    /// The directories from below the root down to it, with their names.
    way: Vec<(String, InodeNo)>,
}

impl Mountpoints {
    /// Adds the mount `mount` on the last directory of a way. If it was added before, it lies there now.
    pub(super) fn add(&mut self, seen: MountNo, way: Vec<(String, InodeNo)>, mount: MountNo) {
        self.covered.retain(|covered| (covered.seen, covered.mount) != (seen, mount));
        let ino = way.last().map_or(InodeNo::ROOT, |(_, ino)| *ino);
        self.covered.push(Covered { seen, ino, mount, way });
    }

    /// Returns the mount on a directory.
    pub(crate) fn at(&self, ino: InodeNo) -> Option<MountNo> {
        // Nearly all volumes have none.
        if self.covered.is_empty() { None } else { self.find(ino) }
    }

    #[cold]
    fn find(&self, ino: InodeNo) -> Option<MountNo> {
        let here = |covered: &&Covered| (covered.seen, covered.ino) == (self.here, ino);
        self.covered.iter().find(here).map(|covered| covered.mount)
    }

    /// Returns whether anything is mounted on a directory, seen through any mount.
    pub(crate) fn cover(&self, ino: InodeNo) -> bool {
        self.covered.iter().any(|covered| covered.ino == ino)
    }

    /// Returns whether a directory is on the way to a mountpoint that only other mounts show.
    pub(crate) fn lead_elsewhere(&self, directory: InodeNo) -> bool {
        let mut others = self.covered.iter().filter(|covered| covered.seen != self.here);
        others.any(|covered| covered.way.iter().any(|(_, ino)| *ino == directory))
    }

    /// Returns the directories from below the root down to one that has a mount on it or below it,
    /// as they were when the mounts were attached.
    pub(crate) fn way_to(&self, directory: InodeNo) -> Option<&[(String, InodeNo)]> {
        let ways =
            self.covered.iter().filter(|covered| covered.seen == self.here).map(|covered| &covered.way);
        ways.into_iter().find_map(|way| {
            let end = way.iter().position(|(_, ino)| *ino == directory)?;
            way.get(..=end)
        })
    }
}
