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
    /// For each: the mount that it is seen through, the covered directory, and the mount on it.
    pub(super) covered: Vec<(MountNo, InodeNo, MountNo)>,
}

impl Mountpoints {
    /// Returns the mount on a directory.
    pub(crate) fn at(&self, ino: InodeNo) -> Option<MountNo> {
        // Nearly all volumes have none.
        if self.covered.is_empty() { None } else { self.find(ino) }
    }

    #[cold]
    fn find(&self, ino: InodeNo) -> Option<MountNo> {
        let here = |(seen, covered, _): &&(MountNo, InodeNo, MountNo)| (*seen, *covered) == (self.here, ino);
        self.covered.iter().find(here).map(|(_, _, mount)| *mount)
    }

    /// Whether anything is mounted on a directory, seen through any mount.
    pub(crate) fn cover(&self, ino: InodeNo) -> bool {
        self.covered.iter().any(|(_, covered, _)| *covered == ino)
    }
}
