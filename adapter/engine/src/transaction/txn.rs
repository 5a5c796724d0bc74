//! An operation as a transaction: first it reads and may fail, then it writes and cannot fail.
//!
//! [`Txn`] reads from memory or the store. It turns into [`Writes`], which changes memory only,
//! through methods that cannot fail. So an operation that fails has changed nothing. The changes
//! are the dirty part of the cache: [`Writes::finish`] commits them, or leaves them to gather with
//! later ones.

use crate::error::{Error, Result};
use crate::limits::MAX_GATHERED_REMOVALS;
use crate::load;
use crate::options::Mode;
use crate::place::Place;
use crate::policy::Rights;
use crate::quota::name_bytes;
use crate::store::Durability;
use crate::stored::record::inode::{Content, Inode};
use crate::storing::change::Change;
use crate::types::{Dentry, InodeNo, Kind, Timestamp};
use crate::volume::Volume;

/// The reading half of an operation.
pub(crate) struct Txn<'v> {
    pub(crate) volume: &'v mut Volume,
}

/// The writing half of an operation.
pub(crate) struct Writes<'v> {
    pub(crate) volume: &'v mut Volume,
    pub(crate) now: Timestamp,
    pub(crate) change: Change,
    /// It must be durable when it returns, in any mode.
    pub(crate) durable: bool,
}

impl Volume {
    /// Starts an operation.
    ///
    /// # Errors
    /// [`Error::Fenced`] once another opener has taken the volume over.
    pub(crate) fn begin(&mut self) -> Result<Txn<'_>> {
        self.backing.check_alive()?;
        self.cache.trim();
        Ok(Txn { volume: self })
    }

    /// Starts an operation that changes something, with up to `data_bytes` of file data.
    ///
    /// # Cost
    /// A commit, if what is dirty leaves no room for more. One `get` after a commit of unknown
    /// outcome.
    pub(crate) fn begin_change(&mut self, data_bytes: usize) -> Result<Txn<'_>> {
        debug_assert_eq!(self.pending.placing, None, "a write was begun and not ended");
        self.backing.check_alive()?;
        self.resolve_doubt()?;
        self.make_room(data_bytes)?;
        self.begin()
    }

    /// As [`Volume::begin_change`], for an operation that removes names.
    ///
    /// # Errors
    /// The store's, if the changes that wait already fill a commit.
    pub(crate) fn begin_removal(&mut self) -> Result<Txn<'_>> {
        self.backing.check_alive()?;
        self.resolve_doubt()?;
        self.make_room_for_removal()?;
        self.begin()
    }
}

impl<'v> Txn<'v> {
    pub(crate) fn inode(&mut self, ino: InodeNo) -> Result<&Inode> {
        load::node(&mut self.volume.backing, &mut self.volume.cache, ino)?;
        let node = self.volume.cache.node_mut(ino).ok_or(Error::damaged("inode", ino.0, "not in memory"))?;
        Ok(&node.inode)
    }

    /// Returns the inode of an entry, which must be of the entry's kind.
    pub(crate) fn inode_of(&mut self, entry: Dentry) -> Result<&Inode> {
        of_kind(entry, self.inode(entry.ino)?)
    }

    /// Returns an inode for its attributes: its inline bytes or target may not be in memory.
    pub(crate) fn attributes(&mut self, ino: InodeNo) -> Result<&Inode> {
        load::attributes(&mut self.volume.backing, &mut self.volume.cache, ino)?;
        self.volume.cache.attributes(ino).ok_or(Error::damaged("inode", ino.0, "not in memory"))
    }

    /// As [`Txn::attributes`], of an entry, whose kind the inode must have.
    pub(crate) fn attributes_of(&mut self, entry: Dentry) -> Result<&Inode> {
        of_kind(entry, self.attributes(entry.ino)?)
    }

    /// Looks a name up. A directory that was removed while open has no entries.
    pub(crate) fn lookup(&mut self, dir: InodeNo, name: &str) -> Result<Option<Dentry>> {
        load::dentry(&mut self.volume.backing, &mut self.volume.cache, dir, name)
    }

    /// Fails if the directory cannot take a new name.
    pub(crate) fn check_accepts_names(&mut self, dir: InodeNo) -> Result<()> {
        let inode = self.inode(dir)?;
        match (inode.kind, inode.nlink) {
            (Kind::Directory, 0) => Err(Error::NoEntry),
            (Kind::Directory, _) => Ok(()),
            _ => Err(Error::NotDirectory),
        }
    }

    /// Fails if the volume takes no changes.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.volume.read_only { Err(Error::ReadOnly) } else { Ok(()) }
    }

    /// Fails if the policy does not give rights at a place. That the volume takes no changes is
    /// reported first.
    pub(crate) fn check_right(&self, place: Place, needed: Rights) -> Result<()> {
        let changes = needed != needed.intersection(Rights::DIR_READ | Rights::FILE_READ);
        match self.volume.rights(place).contains(needed) {
            true => Ok(()),
            false if changes && self.volume.read_only => Err(Error::ReadOnly),
            false => Err(Error::NotPermitted),
        }
    }

    /// Fails if a file that is named at the place `old` may be read or written at the place `new`,
    /// and not there.
    pub(crate) fn check_no_more_rights(&self, old: Place, new: Place) -> Result<()> {
        let (old, new) = (self.volume.rights(old), self.volume.rights(new));
        if new.give_a_file_more_than(old) { Err(Error::CrossDevice) } else { Ok(()) }
    }

    /// Ends the reading half: from here on nothing can fail. Only now is it known that the
    /// operation stays on this volume and would be done. So the checks come here: whether the
    /// volume takes changes, and whether an earlier failure is to be reported.
    pub(crate) fn into_writes(self, change: Change) -> Result<Writes<'v>> {
        self.into_writes_with(change, false)
    }

    /// As [`Txn::into_writes`]. A `durable` change is durable when it returns.
    pub(crate) fn into_writes_with(self, change: Change, durable: bool) -> Result<Writes<'v>> {
        self.check_writable()?;
        self.volume.settle_unstored(change)?;
        self.volume.prepare_undo(change, durable);
        let now = self.volume.clock.now();
        Ok(Writes {
            volume: self.volume,
            now: Timestamp { nanoseconds: now.nanoseconds.min(999_999_999), ..now },
            change,
            durable,
        })
    }
}

fn of_kind(entry: Dentry, inode: &Inode) -> Result<&Inode> {
    if inode.kind == entry.kind {
        Ok(inode)
    } else {
        Err(Error::damaged("inode", entry.ino.0, "of another kind than its entry"))
    }
}

impl Writes<'_> {
    /// Changes an inode that the reading half has loaded, and updates the volume's counts.
    pub(crate) fn edit(&mut self, ino: InodeNo, edit: impl FnOnce(&mut Inode, Timestamp)) {
        if self.volume.scrubbing.is_some() {
            self.volume.cache.keep_inode(ino);
            self.mask_inline(ino);
        }
        let superblock = &mut self.volume.pending.superblock;
        let there = self.volume.cache.edit_inode(ino, |node| {
            edit(&mut node.inode, self.now);
            node.inode.generation = node.inode.generation.wrapping_add(1);
            node.charge_to(superblock);
        });
        debug_assert!(there, "edited an inode that was not loaded");
    }

    /// Makes an inode, without a name.
    pub(crate) fn create(&mut self, kind: Kind, parent: InodeNo, content: Content) -> InodeNo {
        let superblock = &mut self.volume.pending.superblock;
        let ino = InodeNo(superblock.next_inode);
        superblock.next_inode = superblock.next_inode.saturating_add(1);
        let mut inode = Inode::new(kind, parent, self.now, content);
        if let (Some(scrubbing), Kind::File) = (&self.volume.scrubbing, kind) {
            inode.clean_of = scrubbing.number();
        }
        let extent_bytes = self.volume.backing.extent_bytes();
        let node = self.volume.cache.insert_node(ino, inode, false, extent_bytes);
        node.charge_to(&mut self.volume.pending.superblock);
        self.volume.cache.mark_inode(ino);
        if kind == Kind::Directory
            && let Some(dir) = self.volume.cache.dir_mut(ino)
        {
            dir.complete = true;
        }
        ino
    }

    /// Adds a directory entry, born now unless it has a birth. The caller sets the inode's link
    /// count.
    pub(crate) fn add_name(&mut self, dir: InodeNo, name: &str, mut entry: Dentry) {
        if entry.born == 0 {
            // The generation after the edit below.
            entry.born = self.volume.cache.node(dir).map_or(0, |node| node.inode.generation.wrapping_add(1));
        }
        self.volume.cache.set_dentry(dir, name, Some(entry));
        let superblock = &mut self.volume.pending.superblock;
        superblock.used_names = superblock.used_names.saturating_add(1);
        superblock.used_bytes = superblock.used_bytes.saturating_add(name_bytes(name));
        self.edit(dir, |inode, now| {
            inode.size = inode.size.saturating_add(1);
            if entry.kind == Kind::Directory {
                inode.nlink = inode.nlink.saturating_add(1);
            }
            (inode.mtime, inode.ctime) = (now, now);
        });
    }

    /// Removes a directory entry. The inode keeps its link count.
    pub(crate) fn remove_name(&mut self, dir: InodeNo, name: &str, entry: Dentry) {
        let before = self.volume.cache.set_dentry(dir, name, None);
        if before.is_none_or(|slot| !slot.below) {
            let superblock = &mut self.volume.pending.superblock;
            superblock.used_names = superblock.used_names.saturating_sub(1);
            superblock.used_bytes = superblock.used_bytes.saturating_sub(name_bytes(name));
        }
        self.edit(dir, |inode, now| {
            inode.size = inode.size.saturating_sub(1);
            if entry.kind == Kind::Directory {
                inode.nlink = inode.nlink.saturating_sub(1);
            }
            (inode.mtime, inode.ctime) = (now, now);
        });
    }

    /// Removes one link of an inode, or all of a directory. Without links the inode is removed:
    /// now, or with its last close if it is open.
    pub(crate) fn drop_link(&mut self, ino: InodeNo) {
        self.edit(ino, |inode, now| {
            inode.nlink = if inode.kind == Kind::Directory { 0 } else { inode.nlink.saturating_sub(1) };
            inode.ctime = now;
        });
        let Some(node) = self.volume.cache.node_mut(ino) else { return };
        if node.inode.nlink > 0 {
            return;
        }
        if node.open > 0 {
            node.orphan_dirty = true;
        } else {
            self.volume.destroy(ino);
        }
    }

    /// Ends the operation.
    ///
    /// # Errors
    /// The commit's, if the change must be stored before it returns, or if the store was full
    /// before. A change that is refused because the store is full is undone if nothing else was
    /// dirty. Otherwise it stays in memory, and the next commit tries again.
    pub(crate) fn finish(self) -> Result<()> {
        let Writes { volume, now, change, durable } = self;
        volume.pending.removals =
            volume.pending.removals.saturating_add(u32::from(change == Change::Removal));
        let since = *volume.pending.since.get_or_insert(now);
        let at_once = durable || volume.is_stored_at_once(change);
        let level = match (volume.options.mode, change) {
            _ if durable => Durability::Durable,
            (Mode::Strict, _) => Durability::Durable,
            (Mode::Close, Change::Names | Change::Replacement) => Durability::Buffered,
            (Mode::Close, Change::Removal) if volume.pending.removals >= MAX_GATHERED_REMOVALS => {
                Durability::Buffered
            }
            _ if at_once || now.nanoseconds_since(since) > volume.options.max_dirty_age_nanoseconds => {
                Durability::Buffered
            }
            _ => return Ok(()),
        };
        let outcome = volume.commit(level);
        if outcome.is_err() {
            // Try again after as many more removals, or as much more time.
            (volume.pending.removals, volume.pending.since) = (0, Some(now));
        }
        volume.answer(change, at_once, outcome)
    }
}
