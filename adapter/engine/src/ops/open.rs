//! Opens files and directories, and makes files.

use crate::descriptor::{Access, Descriptor};
use crate::error::{Error, Result};
use crate::place::Place;
use crate::policy::Rights;
use crate::quota::Used;
use crate::stored::record::inode::Content;
use crate::storing::change::Change;
use crate::types::{Dentry, InodeNo, Kind};
use crate::volume::Volume;
use crate::walking::path::{Ending, Follow, resolve};
use crate::walking::start::Start;

/// Flags of `open_at`: what to do if the name exists, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenFlags {
    /// Make a file if there is none.
    pub create: bool,
    /// Fail for anything but a directory.
    pub directory: bool,
    /// With `create`: fail if the name exists.
    pub exclusive: bool,
    /// Truncate the file to length 0.
    pub truncate: bool,
}

/// The rights that opening a file for some access needs.
fn rights_of(access: Access) -> Rights {
    let read = if access.read { Rights::FILE_READ } else { Rights::NONE };
    let write = if access.write { Rights::FILE_WRITE } else { Rights::NONE };
    read | write
}

impl Volume {
    /// Opens a file or directory, or makes a file.
    ///
    /// Without `access.write` it is open for reading, whatever `access.read` says. What is opened
    /// through a directory that may be changed may be changed too, as on wasmtime's host file
    /// system.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `directory` with a flag that makes or truncates files,
    /// [`Error::ReadOnly`] for a change through a directory that takes none, [`Error::IsDirectory`]
    /// for writing to a directory, [`Error::Loop`] for a symbolic link with [`Follow::No`],
    /// [`Error::NotPermitted`] for a file that the policy does not let it read, write or make, and
    /// those of path resolution.
    ///
    /// # Durability
    /// A file that it makes or truncates is stored with its close.
    ///
    /// # Cost
    /// Nothing for a known name of a known inode.
    pub fn open_at(
        &mut self,
        base: impl Into<Start>,
        path: &str,
        follow: Follow,
        flags: OpenFlags,
        access: Access,
    ) -> Result<Descriptor> {
        let dir = base.into().directory()?;
        if flags.directory && (flags.create || flags.exclusive || flags.truncate) {
            return Err(Error::Invalid);
        }
        let changes = flags.create || flags.truncate || access.write;
        if changes && !dir.mutate_directory {
            return Err(Error::ReadOnly);
        }
        let access =
            Access { read: access.read || !access.write, mutate_directory: dir.mutate_directory, ..access };
        self.check_may_open()?;
        let mut txn = if changes { self.begin_change(0)? } else { self.begin()? };
        let exclusive = flags.create && flags.exclusive;
        let follow = if exclusive { Follow::No } else { follow };
        let ending = if flags.create { Ending::File(follow) } else { Ending::Object(follow) };
        let found = resolve(&mut txn, dir, path, ending)?;
        let place = found.place();
        let Some(entry) = found.entry else {
            if !flags.create {
                return Err(Error::NoEntry);
            }
            let name = found.new_name(&mut txn, Kind::File)?;
            txn.check_right(place, rights_of(access))?;
            txn.check_growth(Used::inode(0).and(Used::name(name)).and(txn.copy_up(found.dir)))?;
            let mut writes = txn.into_writes(Change::Data)?;
            let ino = writes.create(Kind::File, found.dir, Content::Inline(Vec::new()));
            writes.add_name(found.dir, name, Dentry::new(Kind::File, ino));
            writes.volume.note_place(ino, place);
            writes.finish()?;
            return self.open_inode(ino, Kind::File, access, place);
        };
        if exclusive {
            return Err(Error::Exist);
        }
        if entry.kind == Kind::Symlink {
            return Err(Error::Loop);
        }
        if entry.kind != Kind::Directory && (flags.directory || found.must_be_dir) {
            return Err(Error::NotDirectory);
        }
        if entry.kind == Kind::Directory && (flags.create || flags.truncate || access.write) {
            return Err(Error::IsDirectory);
        }
        if access.write || flags.truncate {
            txn.check_writable()?;
        }
        if entry.kind == Kind::File {
            let truncate = if flags.truncate { Rights::FILE_WRITE } else { Rights::NONE };
            txn.check_right(place, rights_of(access) | truncate)?;
        }
        let size = txn.inode_of(entry)?.size;
        txn.volume.note_place(entry.ino, place);
        if access.write || flags.truncate || entry.kind == Kind::Directory {
            txn.volume.note_name(entry.ino, found.dir, found.name.as_deref());
        }
        if flags.truncate && size > 0 {
            let resize = txn.prepare_resize(entry.ino, 0)?;
            let mut writes = txn.into_writes(resize.change())?;
            writes.resize(entry.ino, resize);
            writes.finish()?;
        }
        self.open_inode(entry.ino, entry.kind, access, place)
    }

    /// Opens the root directory, for reading and changing.
    ///
    /// # Errors
    /// Those of reading an inode, and [`Error::TooManyOpen`].
    ///
    /// # Cost
    /// One `get` the first time.
    pub fn root(&mut self) -> Result<Descriptor> {
        let mut txn = self.begin()?;
        txn.inode(InodeNo::ROOT)?;
        let access = Access { read: true, mutate_directory: true, ..Access::default() };
        self.open_inode(InodeNo::ROOT, Kind::Directory, access, self.place_of(InodeNo::ROOT))
    }

    /// Counts descriptors of the root that were opened in an earlier state of the volume.
    pub(crate) fn hold_root(&mut self, descriptors: u32) -> Result<()> {
        let root = self.root()?;
        self.close(root)?;
        if let Some(node) = self.cache.node_mut(InodeNo::ROOT) {
            node.open = node.open.saturating_add(descriptors);
            self.open_descriptors = self.open_descriptors.saturating_add(descriptors);
        }
        Ok(())
    }

    /// Whether nothing but the root directory is open.
    pub(crate) fn has_root_open_alone(&self) -> bool {
        let roots = self.cache.node(InodeNo::ROOT).map_or(0, |node| node.open);
        self.open_listings == 0 && roots == self.open_descriptors
    }

    /// Opens the same object once more: a stream outlives the descriptor that it was made from.
    ///
    /// # Errors
    /// [`Error::TooManyOpen`].
    pub fn reopen(&mut self, descriptor: &Descriptor) -> Result<Descriptor> {
        let place = self.places.get(descriptor.place);
        self.open_inode(descriptor.ino, descriptor.kind, descriptor.access, place)
    }

    /// Fails if no more can be opened.
    pub(crate) fn check_may_open(&self) -> Result<()> {
        if (self.open_descriptors as usize) < self.allowed.open() { Ok(()) } else { Err(Error::TooManyOpen) }
    }

    /// Counts a new descriptor of an inode in memory.
    pub(crate) fn open_inode(
        &mut self,
        ino: InodeNo,
        kind: Kind,
        access: Access,
        place: Place,
    ) -> Result<Descriptor> {
        self.check_may_open()?;
        let node = self.cache.node_mut(ino).ok_or(Error::damaged("inode", ino.0, "not in memory"))?;
        node.open = node.open.saturating_add(1);
        self.open_descriptors += 1;
        Ok(Descriptor { ino, kind, access, place: self.places.keep(place) })
    }
}
