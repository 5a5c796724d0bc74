//! Renames entries, replacing what has the new name.

use crate::error::{Error, Result};
use crate::quota::Used;
use crate::storing::change::Change;
use crate::transaction::txn::Txn;
use crate::types::{Dentry, InodeNo, Kind};
use crate::volume::Volume;
use crate::walking::path::{Ending, resolve};
use crate::walking::start::Start;

/// Directories on the way up after which memory is brought back to its limits.
const TRIM_STEPS: u64 = 1024;

impl Volume {
    /// Gives what has one name another, in place of what had that one.
    ///
    /// The checks are those that a kernel makes above a file system: two names of one inode stay as
    /// they are, a directory replaces only an empty directory and does not move into itself.
    ///
    /// # Errors
    /// [`Error::IsDirectory`], [`Error::NotDirectory`] or [`Error::NotEmpty`] for what cannot be
    /// replaced, [`Error::Invalid`] for a directory into itself, [`Error::Busy`] for a path that
    /// ends in `.` or `..`, or in a mountpoint.
    ///
    /// # Durability
    /// In the store when it returns, but in mode `lazy`, with everything written before: a file
    /// that was written, closed and renamed is there whole or not at all.
    ///
    /// In place of something, on a store that has no room for it all the same, it waits as a
    /// removal does.
    ///
    /// # Cost
    /// One `apply`, and the lookups'.
    pub fn rename_at(
        &mut self,
        old_base: impl Into<Start>,
        old_path: &str,
        new_base: impl Into<Start>,
        new_path: &str,
    ) -> Result<()> {
        let (old_dir, new_dir) = (old_base.into().mutable_directory()?, new_base.into().mutable_directory()?);
        let mut txn = self.begin_change(0)?;
        let old = resolve(&mut txn, old_dir, old_path, Ending::Name)?;
        let new = resolve(&mut txn, new_dir, new_path, Ending::Name)?;
        let new_name = new.last_name(Error::Busy)?;
        let (old_name, moved) = old.old_name(&txn, Error::Busy)?;
        if (old.must_be_dir || new.must_be_dir) && moved.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        if moved.kind == Kind::Directory && is_at_or_above(&mut txn, moved.ino, new.dir)? {
            return Err(Error::Invalid);
        }
        if new.entry.is_some_and(|replaced| replaced.ino == moved.ino) {
            return Ok(());
        }
        if let Some(replaced) = new.entry {
            check_kinds(&mut txn, (moved, old.dir), replaced)?;
        }
        let is_mountpoint = |entry: Dentry| txn.volume.mountpoints.cover(entry.ino);
        if is_mountpoint(moved) || new.entry.is_some_and(is_mountpoint) {
            return Err(Error::Busy);
        }
        if let Some(replaced) = new.entry
            && txn.inode_of(replaced)?.size > 0
            && replaced.kind == Kind::Directory
        {
            return Err(Error::NotEmpty);
        }
        txn.check_accepts_names(new.dir)?;
        txn.inode(old.dir)?;
        if moved.kind == Kind::Directory {
            txn.inode_of(moved)?;
        }
        let mut growth = Used::name(new_name).and(txn.copy_up(new.dir));
        if old.dir != new.dir {
            growth = growth.and(txn.copy_up(old.dir));
        }
        if moved.kind == Kind::Directory {
            growth = growth.and(txn.copy_up(moved.ino));
        }
        let gone = txn.charged_name(old.dir, old_name)?.and(txn.charged_name(new.dir, new_name)?);
        txn.check_growth(growth.without(gone))?;

        let change = if new.entry.is_some() { Change::Replacement } else { Change::Names };
        let mut writes = txn.into_writes(change)?;
        if let Some(replaced) = new.entry {
            writes.remove_name(new.dir, new_name, replaced);
            writes.drop_link(replaced.ino);
        }
        writes.remove_name(old.dir, old_name, moved);
        // A name that is there before and after is there for a listing, whatever it names.
        let born = new.entry.map_or(0, |replaced| replaced.born);
        writes.add_name(new.dir, new_name, Dentry { born, ..moved });
        // Only a directory knows where it lies. A file's own record stays as it is: POSIX leaves it
        // open whether a rename counts as a change of the file's status.
        if moved.kind == Kind::Directory {
            writes.edit(moved.ino, |inode, now| {
                inode.parent = new.dir;
                inode.ctime = now;
            });
        }
        writes.finish()
    }
}

/// Fails unless what is moved, out of a directory, may replace what has the new name, as their
/// kinds go.
fn check_kinds(txn: &mut Txn<'_>, (moved, from): (Dentry, InodeNo), replaced: Dentry) -> Result<()> {
    match (moved.kind, replaced.kind) {
        (Kind::Directory, Kind::File | Kind::Symlink) => Err(Error::NotDirectory),
        // It holds what is moved, which is told first.
        (Kind::File | Kind::Symlink, Kind::Directory) if is_at_or_above(txn, replaced.ino, from)? => {
            Err(Error::NotEmpty)
        }
        (Kind::File | Kind::Symlink, Kind::Directory) => Err(Error::IsDirectory),
        _ => Ok(()),
    }
}

/// Whether `dir` is a directory `above` or lies in it. To be asked before other inodes are loaded:
/// it may drop them. Stored parents are not trusted to end at the root.
fn is_at_or_above(txn: &mut Txn<'_>, above: InodeNo, dir: InodeNo) -> Result<bool> {
    let mut at = dir;
    let mut steps = 0_u64;
    while at != InodeNo::ROOT {
        if at == above {
            return Ok(true);
        }
        at = txn.inode(at)?.parent;
        steps += 1;
        if steps.is_multiple_of(TRIM_STEPS) {
            // Nothing is held over this loop, so a deep tree need not be in memory whole.
            txn.volume.cache.trim();
        }
        if at == InodeNo(0) || steps > txn.volume.pending.superblock.next_inode {
            return Err(Error::damaged("inode", dir.0, "its parents do not lead to the root"));
        }
    }
    Ok(false)
}
