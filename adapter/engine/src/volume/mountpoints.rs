//! Mountpoints: directories of a volume that another volume's root covers.
//!
//! The engine knows one volume at a time. Where a walk leaves it, the operation ends before
//! anything is changed, with [`Error::Crossing`](crate::Error::Crossing), which says how to go on.
//! Whoever keeps the table of mounts repeats the operation on the other volume, from a
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
