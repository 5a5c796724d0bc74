//! Operations as data. A guest keeps what it has open in slots, and operations name the slots.

use kvfs::{Access, At, Follow, OpenFlags, Quota, SetTime};

/// Numbers of slots for open files, directories (slot 0 is the root) and listings.
pub const FILES: usize = 3;
pub const DIRS: usize = 3;
pub const LISTINGS: usize = 2;

#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Open {
        dir: usize,
        path: String,
        follow: Follow,
        flags: OpenFlags,
        access: Access,
        slot: usize,
    },
    Close {
        slot: usize,
    },
    OpenDir {
        dir: usize,
        path: String,
        slot: usize,
    },
    CloseDir {
        slot: usize,
    },
    /// Opens the file again and closes that descriptor, as libc does when it seeks.
    Stream {
        slot: usize,
    },
    Write {
        slot: usize,
        at: At,
        length: usize,
        fill: u8,
    },
    Read {
        slot: usize,
        offset: u64,
        length: usize,
    },
    SetSize {
        slot: usize,
        size: u64,
    },
    Stat {
        slot: usize,
    },
    StatDir {
        slot: usize,
    },
    StatAt {
        dir: usize,
        path: String,
        follow: Follow,
    },
    Mkdir {
        dir: usize,
        path: String,
    },
    Rmdir {
        dir: usize,
        path: String,
    },
    Unlink {
        dir: usize,
        path: String,
    },
    Rename {
        old: (usize, String),
        new: (usize, String),
    },
    Link {
        old: (usize, String),
        follow: Follow,
        new: (usize, String),
    },
    Symlink {
        target: String,
        dir: usize,
        path: String,
    },
    Readlink {
        dir: usize,
        path: String,
    },
    SetTimes {
        slot: usize,
        atime: SetTime,
        mtime: SetTime,
    },
    SetTimesAt {
        dir: usize,
        path: String,
        follow: Follow,
        atime: SetTime,
        mtime: SetTime,
    },
    List {
        slot: usize,
    },
    ListStart {
        dir: usize,
        slot: usize,
    },
    ListNext {
        slot: usize,
        count: usize,
    },
    ListEnd {
        slot: usize,
    },
    /// Operations by number, as a kernel asks for them. The number is that many below the one that the next
    /// inode gets, so that objects of all ages are met, removed ones, and one that never was. `u64::MAX`
    /// less a small number is that number, such as the root's.
    StatNumber {
        back: u64,
    },
    OpenNumber {
        back: u64,
        access: Access,
        slot: usize,
    },
    ReadlinkNumber {
        back: u64,
    },
    LinkNumber {
        back: u64,
        dir: usize,
        path: String,
    },
    /// These three start a path at a directory of this number.
    LookUpFrom {
        back: u64,
        path: String,
    },
    MkdirFrom {
        back: u64,
        path: String,
    },
    UnlinkFrom {
        back: u64,
        path: String,
    },
    /// Does nothing on a volume that was created without a quota.
    SetQuota {
        quota: Quota,
    },
    Sync,
    /// Syncs, forgets the volume and opens it again.
    Reopen,
}

impl Op {
    /// Whoever does these must know the number that the next inode gets.
    pub fn is_by_number(&self) -> bool {
        matches!(
            self,
            Self::StatNumber { .. }
                | Self::OpenNumber { .. }
                | Self::ReadlinkNumber { .. }
                | Self::LinkNumber { .. }
                | Self::LookUpFrom { .. }
                | Self::MkdirFrom { .. }
                | Self::UnlinkFrom { .. }
        )
    }
}

/// Bytes that show their offset and which write wrote them.
pub fn pattern(offset: u64, length: usize, fill: u8) -> Vec<u8> {
    (0..length as u64).map(|at| fill.wrapping_add(((offset.wrapping_add(at)) % 7) as u8) | 1).collect()
}
