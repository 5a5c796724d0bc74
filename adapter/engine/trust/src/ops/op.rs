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
    /// Does nothing on a volume that was created without a quota.
    SetQuota {
        quota: Quota,
    },
    Sync,
    /// Syncs, forgets the volume and opens it again.
    Reopen,
}

/// Bytes that show their offset and which write wrote them.
pub fn pattern(offset: u64, length: usize, fill: u8) -> Vec<u8> {
    (0..length as u64).map(|at| fill.wrapping_add(((offset.wrapping_add(at)) % 7) as u8) | 1).collect()
}
