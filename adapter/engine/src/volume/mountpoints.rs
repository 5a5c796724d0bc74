//! Mountpoints: directories of a volume in whose place another volume's root is seen.
//!
//! The engine knows one volume at a time. Where a walk leaves it, the operation ends before anything is
//! changed, with [`Error::Crossing`](crate::Error::Crossing), which says how to go on. Whoever keeps the
//! table of mounts repeats the operation on the other volume, from a [`Start`](crate::Start) that carries
//! the count of symbolic links and the directory that must not be left.

use crate::types::{InodeNo, MountNo};

/// The mountpoints of a volume, and through which mount it is used right now.
#[derive(Debug, Default)]
pub(crate) struct Mountpoints {
    pub(super) here: MountNo,
    /// The mount that they are seen through, the directory that they cover, and what is mounted there.
    pub(super) covered: Vec<(MountNo, InodeNo, MountNo)>,
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
