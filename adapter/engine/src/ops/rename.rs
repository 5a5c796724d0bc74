//! Renames entries, replacing an entry of the new name.

use crate::error::{Error, Result};
use crate::place::Place;
use crate::quota::Used;
use crate::storing::change::Change;
use crate::transaction::txn::Txn;
use crate::types::{Dentry, InodeNo, Kind};
use crate::volume::Volume;
use crate::walking::path::{Ending, resolve};
use crate::walking::start::Start;

/// Directories on the way up after which the cache is trimmed.
const TRIM_STEPS: u64 = 1024;

impl Volume {
    /// Renames an entry, replacing an entry at the new path.
    ///
    /// The rules are those of a kernel: two names of one inode stay as they are; a directory
    /// replaces only an empty directory, and does not move into itself.
    ///
    /// # Errors
    /// [`Error::IsDirectory`], [`Error::NotDirectory`] or [`Error::NotEmpty`] for an entry that
    /// cannot be replaced, [`Error::Invalid`] for a directory into itself, [`Error::Busy`] for a
    /// path that ends in `.`, `..` or a mountpoint, or a directory above a mountpoint that has rules
    /// on paths or is seen through another mount, [`Error::CrossDevice`] for a file that would
    /// have more rights than before, or a directory below which other rules would match, and for a
    /// file of several names of which one is to be scrubbed and others not.
    ///
    /// # Durability
    /// In the store when it returns, except in mode `lazy`, together with everything written
    /// before: a file that was written, closed and renamed is there completely or not at all.
    ///
    /// If it replaces an entry and the store is full, it waits as a removal does.
    ///
    /// # Cost
    /// One `apply`, and those of the lookups. A file that gets a scrubbed name is read, unless that
    /// was done before, and its secrets are written over first: a cut leaves it with some of them
    /// masked, under its old name.
    pub fn rename_at(
        &mut self,
        old_base: impl Into<Start>,
        old_path: &str,
        new_base: impl Into<Start>,
        new_path: &str,
    ) -> Result<()> {
        let (old_dir, new_dir) = (old_base.into().mutable_directory()?, new_base.into().mutable_directory()?);
        match self.rename((old_dir, old_path), (new_dir, new_path), false)? {
            Outcome::Done => Ok(()),
            Outcome::Unclean(ino) => {
                self.look_through(ino)?;
                self.rename((old_dir, old_path), (new_dir, new_path), true).map(drop)
            }
        }
    }

    /// Renames, unless a file is to get a scrubbed name that was not `looked` through yet.
    fn rename(
        &mut self,
        (old_dir, old_path): (Start, &str),
        (new_dir, new_path): (Start, &str),
        looked: bool,
    ) -> Result<Outcome> {
        let mut txn = self.begin_change(0)?;
        let old = resolve(&mut txn, old_dir, old_path, Ending::Name)?;
        let new = resolve(&mut txn, new_dir, new_path, Ending::Name)?;
        let new_name = new.last_name(Error::Busy)?;
        let (old_name, moved) = old.old_name(&txn, Error::Busy)?;
        new.check_may_change(&txn)?;
        if (old.must_be_dir || new.must_be_dir) && moved.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        if moved.kind == Kind::Directory && is_at_or_above(&mut txn, moved.ino, new.dir)? {
            return Err(Error::Invalid);
        }
        if new.entry.is_some_and(|replaced| replaced.ino == moved.ino) {
            return Ok(Outcome::Done);
        }
        if let Some(replaced) = new.entry {
            check_kinds(&mut txn, (moved, old.dir), replaced)?;
        }
        check_places(&txn, moved, (old.place(), new.place()))?;
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
        let scrubs = (txn.volume.scrubs_at(old.place()), txn.volume.scrubs_at(new.place()));
        let becomes_other = moved.kind == Kind::File && scrubs.0 != scrubs.1;
        if becomes_other {
            // Its other names would stay as they are.
            if txn.inode_of(moved)?.nlink > 1 {
                return Err(Error::CrossDevice);
            }
            if scrubs.1 && !looked && txn.volume.is_unclean(moved.ino) {
                return Ok(Outcome::Unclean(moved.ino));
            }
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

        let new_place = new.place();
        let change = if new.entry.is_some() { Change::Replacement } else { Change::Names };
        let mut writes = txn.into_writes(change)?;
        if let Some(replaced) = new.entry {
            writes.remove_name(new.dir, new_name, replaced);
            writes.drop_link(replaced.ino);
        }
        writes.remove_name(old.dir, old_name, moved);
        // A replaced name keeps its birth: to a listing it was there all the time.
        let born = new.entry.map_or(0, |replaced| replaced.born);
        writes.add_name(new.dir, new_name, Dentry { born, ..moved });
        // Only a directory's record names its parent. A file's record stays as it is: POSIX leaves
        // open whether a rename changes the file's status.
        if moved.kind == Kind::Directory {
            writes.edit(moved.ino, |inode, now| {
                inode.parent = new.dir;
                inode.ctime = now;
            });
        }
        if becomes_other && scrubs.1 {
            writes.volume.note_place(moved.ino, new_place);
        }
        writes.finish()?;
        // A rename that failed may have been undone, so only now is nothing masked any more.
        if becomes_other {
            self.note_place(moved.ino, new_place);
        }
        Ok(Outcome::Done)
    }
}

/// The outcome of a rename.
enum Outcome {
    Done,
    /// Nothing was changed: this file must be looked through before it has a scrubbed name.
    Unclean(InodeNo),
}

/// Fails if renaming gives more rights than the old name does: a program that may do so copies
/// instead, and needs the rights for that.
fn check_places(txn: &Txn<'_>, moved: Dentry, (old, new): (Place, Place)) -> Result<()> {
    match moved.kind {
        Kind::File | Kind::Symlink => txn.check_no_more_rights(old, new),
        // Rules must find below it what they found before.
        Kind::Directory if !txn.volume.has_same_rules(old, new) => Err(Error::CrossDevice),
        Kind::Directory if txn.volume.has_rules() && txn.volume.mountpoints.way_to(moved.ino).is_some() => {
            Err(Error::Busy)
        }
        // The mount that shows the mountpoint may have rules on the way to it.
        Kind::Directory if txn.volume.mountpoints.lead_elsewhere(moved.ino) => Err(Error::Busy),
        Kind::Directory => Ok(()),
    }
}

/// Fails if `moved`, which leaves the directory `from`, cannot replace `replaced` for their kinds.
fn check_kinds(txn: &mut Txn<'_>, (moved, from): (Dentry, InodeNo), replaced: Dentry) -> Result<()> {
    match (moved.kind, replaced.kind) {
        (Kind::Directory, Kind::File | Kind::Symlink) => Err(Error::NotDirectory),
        // It holds what is moved, which is reported first.
        (Kind::File | Kind::Symlink, Kind::Directory) if is_at_or_above(txn, replaced.ino, from)? => {
            Err(Error::NotEmpty)
        }
        (Kind::File | Kind::Symlink, Kind::Directory) => Err(Error::IsDirectory),
        _ => Ok(()),
    }
}

/// Returns whether `dir` is the directory `above`, or lies below it. Call it before loading other
/// inodes, which it may evict. Stored parents may form a ring.
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
            // The loop needs none of the earlier inodes, so a deep tree need not fit in memory.
            txn.volume.cache.trim();
        }
        if at == InodeNo(0) || steps > txn.volume.pending.superblock.next_inode {
            return Err(Error::damaged("inode", dir.0, "its parents do not lead to the root"));
        }
    }
    Ok(false)
}
