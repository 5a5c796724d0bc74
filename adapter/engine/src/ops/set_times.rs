//! Sets times.

use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::policy::Rights;
use crate::storing::change::Change;
use crate::transaction::txn::Txn;
use crate::types::{InodeNo, Kind, SetTime, Timestamp};
use crate::volume::Volume;
use crate::walking::path::{Ending, Follow, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Sets the times of an open file or directory, with any access.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] for a descriptor that may change nothing, [`Error::Invalid`] for a
    /// billion nanoseconds or more, [`Error::NotPermitted`] if the policy gives no right to change
    /// it where it was opened.
    ///
    /// # Durability
    /// As a write.
    ///
    /// # Cost
    /// Nothing.
    pub fn set_times(&mut self, descriptor: &Descriptor, atime: SetTime, mtime: SetTime) -> Result<()> {
        if !descriptor.access.mutate_directory {
            return Err(Error::ReadOnly);
        }
        let mut txn = self.begin_change(0)?;
        txn.inode(descriptor.ino)?;
        let place = txn.volume.places.get(descriptor.place);
        set(txn, (descriptor.ino, descriptor.kind, place), atime, mtime, Change::Data)
    }

    /// Sets the times of the object that a path leads to.
    ///
    /// # Errors
    /// As [`Volume::set_times`], and those of path resolution.
    ///
    /// # Durability
    /// In the store when it returns, except in mode `lazy`.
    ///
    /// # Cost
    /// One `apply`.
    pub fn set_times_at(
        &mut self,
        base: impl Into<Start>,
        path: &str,
        follow: Follow,
        atime: SetTime,
        mtime: SetTime,
    ) -> Result<()> {
        let dir = base.into().mutable_directory()?;
        let mut txn = self.begin_change(0)?;
        let found = resolve(&mut txn, dir, path, Ending::Object(follow))?;
        let entry = found.existing()?;
        txn.inode_of(entry)?;
        txn.volume.note_place(entry.ino, found.place());
        txn.volume.note_name(entry.ino, found.dir, found.name.as_deref());
        set(txn, (entry.ino, entry.kind, found.place()), atime, mtime, Change::Names)
    }
}

fn set(
    txn: Txn<'_>,
    (ino, kind, place): (InodeNo, Kind, Place),
    atime: SetTime,
    mtime: SetTime,
    change: Change,
) -> Result<()> {
    for time in [atime, mtime] {
        if matches!(time, SetTime::At(Timestamp { nanoseconds: 1_000_000_000.., .. })) {
            return Err(Error::Invalid);
        }
    }
    if (atime, mtime) == (SetTime::Keep, SetTime::Keep) {
        return Ok(());
    }
    let right = if kind == Kind::Directory { Rights::DIR_MUTATE } else { Rights::FILE_WRITE };
    txn.check_right(place, right)?;
    txn.check_growth(txn.copy_up(ino))?;
    let mut writes = txn.into_writes(change)?;
    writes.edit(ino, |inode, now| {
        let set = |place: &mut Timestamp, time: SetTime| match time {
            SetTime::Keep => {}
            SetTime::Now => *place = now,
            SetTime::At(at) => *place = at,
        };
        set(&mut inode.atime, atime);
        set(&mut inode.mtime, mtime);
        inode.ctime = now;
    });
    writes.finish()
}
