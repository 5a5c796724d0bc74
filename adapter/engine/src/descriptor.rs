//! What is open: a reference to an inode, by identity, with the access it was opened for.

use crate::error::{Error, Result};
use crate::limits::OPEN_MAX;
use crate::store::Durability;
use crate::types::{InodeNo, Kind};
use crate::volume::{Mode, State, Volume};

/// What a descriptor may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    /// Reading a file.
    pub read: bool,
    /// Writing a file.
    pub write: bool,
    /// Changing a directory and what lies in it.
    pub mutate_directory: bool,
    /// Every write is durable when it returns.
    pub sync: bool,
}

/// An open file or directory.
///
/// It refers to the inode, so it goes on working when the name changes or goes. It must be given to
/// [`Volume::close`]: dropping it leaves the inode open, and a file without a name in the store.
#[derive(Debug)]
#[must_use = "a descriptor that is not closed keeps its inode open"]
pub struct Descriptor {
    pub(crate) ino: InodeNo,
    pub(crate) kind: Kind,
    pub(crate) access: Access,
}

impl Descriptor {
    /// The inode it is open on.
    pub fn ino(&self) -> InodeNo {
        self.ino
    }

    /// What it is open on.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it may be used for.
    pub fn access(&self) -> Access {
        self.access
    }

    pub(crate) fn directory(&self) -> Result<InodeNo> {
        if self.kind == Kind::Directory { Ok(self.ino) } else { Err(Error::NotDirectory) }
    }

    pub(crate) fn readable_file(&self) -> Result<InodeNo> {
        match self.kind {
            Kind::Directory => Err(Error::IsDirectory),
            _ if self.access.read => Ok(self.ino),
            _ => Err(Error::BadDescriptor),
        }
    }

    pub(crate) fn writable_file(&self) -> Result<InodeNo> {
        // Never a directory: one cannot be opened for writing.
        if self.access.write { Ok(self.ino) } else { Err(Error::BadDescriptor) }
    }
}

impl Volume {
    /// Opens the root directory, for reading and changing.
    ///
    /// # Errors
    /// As reading an inode, and [`Error::TooManyOpen`].
    ///
    /// # Cost
    /// One `get` the first time.
    pub fn root(&mut self) -> Result<Descriptor> {
        let mut txn = self.begin()?;
        txn.inode(InodeNo::ROOT)?;
        let access = Access { read: true, mutate_directory: true, ..Access::default() };
        self.open_inode(InodeNo::ROOT, Kind::Directory, access)
    }

    /// Opens the same thing once more: a stream lives on when the descriptor it was made from is closed.
    ///
    /// # Errors
    /// [`Error::TooManyOpen`].
    pub fn reopen(&mut self, descriptor: &Descriptor) -> Result<Descriptor> {
        self.open_inode(descriptor.ino, descriptor.kind, descriptor.access)
    }

    /// Fails if no more can be opened.
    pub(crate) fn check_may_open(&self) -> Result<()> {
        if self.open_descriptors < OPEN_MAX { Ok(()) } else { Err(Error::TooManyOpen) }
    }

    /// Counts a new descriptor of an inode in memory.
    pub(crate) fn open_inode(&mut self, ino: InodeNo, kind: Kind, access: Access) -> Result<Descriptor> {
        self.check_may_open()?;
        let node = self.cache.node_mut(ino).ok_or(Error::damaged("inode", ino.0, "not in memory"))?;
        node.open = node.open.saturating_add(1);
        self.open_descriptors += 1;
        Ok(Descriptor { ino, kind, access })
    }

    /// Closes a descriptor. In mode `close`, a file that was changed is in the store when this returns.
    ///
    /// # Errors
    /// The commit's. The descriptor is closed in any case, and the changes stay dirty: the next commit
    /// carries them. A caller that has nobody to tell leaves it to [`Volume::tell_later`].
    ///
    /// # Cost
    /// One `apply` if the file was changed since the last one, else nothing.
    pub fn close(&mut self, descriptor: Descriptor) -> Result<()> {
        let changed = self.release(&descriptor);
        if changed && self.options.mode == Mode::Close { self.commit(Durability::Buffered) } else { Ok(()) }
    }

    /// Closes what [`Volume::reopen`] opened. Unlike [`Volume::close`] it stores nothing, unless it was
    /// the file's last descriptor: libc makes and drops a stream for each seek.
    ///
    /// # Errors
    /// As [`Volume::close`].
    pub fn close_stream(&mut self, descriptor: Descriptor) -> Result<()> {
        let last = self.cache.node(descriptor.ino).is_some_and(|node| node.open == 1);
        let changed = self.release(&descriptor);
        if changed && last && self.options.mode == Mode::Close {
            self.commit(Durability::Buffered)
        } else {
            Ok(())
        }
    }

    /// Returns whether the file has changes that are not stored.
    fn release(&mut self, descriptor: &Descriptor) -> bool {
        self.open_descriptors = self.open_descriptors.saturating_sub(1);
        let Some(node) = self.cache.node_mut(descriptor.ino) else { return false };
        node.open = node.open.saturating_sub(1);
        if node.inode.nlink == 0 {
            if node.open == 0 {
                self.remove_or_queue(descriptor.ino);
            }
            return false;
        }
        descriptor.kind == Kind::File && (node.dirty || node.dirty_extents > 0)
    }

    /// Removes an inode after its last close, or leaves that to a commit with more room: a close must
    /// not fail for it.
    fn remove_or_queue(&mut self, ino: InodeNo) {
        if self.fits_removal() && self.state == State::Live {
            self.destroy(ino)
        } else {
            self.orphans.push_back(ino)
        }
    }

    /// Stores everything, durably. What a program's end does.
    ///
    /// # Errors
    /// The store's. Nothing is forgotten: calling it again tries again.
    ///
    /// # Cost
    /// One `apply`, or more if the changes are over the store's batch limits; none if nothing was
    /// changed since the last one.
    pub fn sync_all(&mut self) -> Result<()> {
        self.commit(Durability::Durable)
    }
}
