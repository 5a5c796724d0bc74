//! Works on inodes by their numbers, for hosts that keep numbers instead of paths, as a kernel does.
//!
//! Rules on paths judge by the way to an object, which a number does not tell. So in a volume with rules
//! every operation here is [`Error::NotPermitted`].

use super::stat::to_stat;
use crate::descriptor::{Access, Descriptor};
use crate::error::{Error, Result};
use crate::limits::MAX_LINKS;
use crate::quota::Used;
use crate::stored::record::inode::Content;
use crate::storing::change::Change;
use crate::transaction::txn::Txn;
use crate::types::{Dentry, InodeNo, Kind, Stat};
use crate::volume::Volume;
use crate::walking::path::{Ending, Follow, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Returns whether the volume takes no changes: it is frozen, an image, or was opened or set so.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Returns the metadata of the object that a path names, and keeps its name in mind: what is changed
    /// by its number is then found by name in comparisons of volumes. Links at the end are not followed.
    ///
    /// # Errors
    /// Those of path resolution.
    ///
    /// # Cost
    /// As [`Volume::stat_at`].
    pub fn look_up_at(&mut self, base: impl Into<Start>, path: &str) -> Result<Stat> {
        let dir = base.into().directory()?;
        let mut txn = self.begin()?;
        let found = resolve(&mut txn, dir, path, Ending::Object(Follow::No))?;
        let entry = found.existing()?;
        let stat = to_stat(entry.ino, txn.attributes_of(entry)?);
        txn.volume.note_name(entry.ino, found.dir, found.name.as_deref());
        Ok(stat)
    }

    /// Returns the start of paths at a directory. Paths do not leave it, as from a descriptor of it. It
    /// keeps nothing open.
    ///
    /// # Errors
    /// [`Error::NoEntry`] if the volume has no such inode, [`Error::NotDirectory`],
    /// [`Error::NotPermitted`] in a volume with rules on paths.
    ///
    /// # Cost
    /// As [`Volume::stat_number`].
    pub fn start_at(&mut self, directory: InodeNo) -> Result<Start> {
        match self.stat_number(directory)?.kind {
            Kind::Directory => Ok(Start::at(directory)),
            _ => Err(Error::NotDirectory),
        }
    }

    /// Returns the metadata of an inode.
    ///
    /// # Errors
    /// [`Error::NoEntry`] if the volume has no such inode, [`Error::NotPermitted`] in a volume with rules
    /// on paths.
    ///
    /// # Cost
    /// Nothing if it is in memory, else one `get`.
    pub fn stat_number(&mut self, ino: InodeNo) -> Result<Stat> {
        let mut txn = self.begin_number(ino)?;
        let stat = to_stat(ino, txn.attributes(ino).map_err(|error| missing(ino, error))?);
        txn.check_exists(ino, stat.nlink)?;
        Ok(stat)
    }

    /// Opens a file, a directory or a symbolic link. A link is open for its metadata only.
    ///
    /// # Errors
    /// As [`Volume::stat_number`]; [`Error::IsDirectory`] and [`Error::Loop`] for writing to anything but
    /// a file, [`Error::ReadOnly`], [`Error::TooManyOpen`].
    ///
    /// # Cost
    /// As [`Volume::stat_number`].
    pub fn open_number(&mut self, ino: InodeNo, access: Access) -> Result<Descriptor> {
        self.check_may_open()?;
        let mut txn = self.begin_number(ino)?;
        let inode = txn.inode(ino).map_err(|error| missing(ino, error))?;
        let (kind, nlink) = (inode.kind, inode.nlink);
        txn.check_exists(ino, nlink.into())?;
        if access.write {
            match kind {
                Kind::File => txn.check_writable()?,
                Kind::Directory => return Err(Error::IsDirectory),
                Kind::Symlink => return Err(Error::Loop),
            }
        }
        let read = kind != Kind::Symlink && (access.read || !access.write);
        self.open_inode(ino, kind, Access { read, ..access }, Default::default())
    }

    /// Returns the target of a symbolic link, as it was written.
    ///
    /// # Errors
    /// As [`Volume::stat_number`]; [`Error::Invalid`] for anything else.
    ///
    /// # Cost
    /// As [`Volume::stat_number`].
    pub fn readlink_number(&mut self, ino: InodeNo) -> Result<String> {
        let mut txn = self.begin_number(ino)?;
        let inode = txn.inode(ino).map_err(|error| missing(ino, error))?;
        let target = match &inode.content {
            Content::Target(target) => Ok(target.to_string()),
            _ => Err(Error::Invalid),
        };
        let nlink = inode.nlink;
        txn.check_exists(ino, nlink.into())?;
        target
    }

    /// Gives a file or symbolic link one more name, as [`Volume::link_at`] does.
    ///
    /// # Errors
    /// As [`Volume::link_at`], and [`Error::NoEntry`] for an inode without names.
    ///
    /// # Durability
    /// In the store when it returns, except in mode `lazy`.
    ///
    /// # Cost
    /// One `apply`, and those of the lookups.
    pub fn link_number(&mut self, ino: InodeNo, base: impl Into<Start>, path: &str) -> Result<()> {
        let dir = base.into().mutable_directory()?;
        self.begin_change(0)?;
        let mut txn = self.begin_number(ino)?;
        let inode = txn.inode(ino).map_err(|error| missing(ino, error))?;
        let (kind, nlink) = (inode.kind, inode.nlink);
        txn.check_exists(ino, nlink.into())?;
        if kind == Kind::Directory {
            return Err(Error::NotPermitted);
        }
        let found = resolve(&mut txn, dir, path, Ending::New)?;
        let name = found.new_name(&mut txn, Kind::File)?;
        match nlink {
            0 => return Err(Error::NoEntry),
            MAX_LINKS.. => return Err(Error::TooManyLinks),
            _ => {}
        }
        // The walk may have evicted it.
        txn.inode(ino)?;
        txn.check_growth(Used::name(name).and(txn.copy_up(ino)).and(txn.copy_up(found.dir)))?;
        let mut writes = txn.into_writes(Change::Names)?;
        writes.edit(ino, |inode, now| {
            inode.nlink = inode.nlink.saturating_add(1);
            inode.ctime = now;
        });
        writes.add_name(found.dir, name, Dentry::new(kind, ino));
        writes.finish()
    }

    /// Starts an operation on an inode by its number.
    fn begin_number(&mut self, ino: InodeNo) -> Result<Txn<'_>> {
        if self.has_rules() {
            return Err(Error::NotPermitted);
        }
        // Until the next commit, the store still has its record.
        let is_removed = self.cache.node(ino).is_none()
            && self.cache.dirty.removed.iter().any(|removed| removed.ino == ino);
        if is_removed { Err(Error::NoEntry) } else { self.begin() }
    }
}

impl Txn<'_> {
    /// Fails for an inode without names that nothing has open. It only waits for its removal.
    fn check_exists(&self, ino: InodeNo, nlink: u64) -> Result<()> {
        let is_open = self.volume.cache.node(ino).is_some_and(|node| node.open > 0);
        if nlink > 0 || is_open { Ok(()) } else { Err(Error::NoEntry) }
    }
}

/// Returns the error of an inode that could not be loaded: without a record there is no such inode.
fn missing(ino: InodeNo, error: Error) -> Error {
    if error == Error::damaged("inode", ino.0, "missing") { Error::NoEntry } else { error }
}

#[cfg(test)]
mod tests {
    use crate::{
        Access, At, Clock, Error, Follow, InodeNo, Kind, MemoryStore, Mode, OpenFlags, Options, Policy,
        Rights, Timestamp, Volume,
    };

    const CREATE: OpenFlags = OpenFlags { create: true, directory: false, exclusive: false, truncate: false };
    const READ: Access = Access { read: true, write: false, mutate_directory: true, sync: false };
    const WRITE: Access = Access { read: true, write: true, mutate_directory: true, sync: false };

    struct Noon;

    impl Clock for Noon {
        fn now(&mut self) -> Timestamp {
            Timestamp::default()
        }
    }

    fn open(store: &MemoryStore, mode: Mode) -> Volume {
        let options = Options { mode, ..Options::default() };
        Volume::open(Box::new(store.clone()), Box::new(Noon), options).unwrap()
    }

    fn make(volume: &mut Volume, path: &str) -> InodeNo {
        let root = volume.root().unwrap();
        let file = volume.open_at(&root, path, Follow::No, CREATE, WRITE).unwrap();
        volume.write(&file, At::End, path.as_bytes()).unwrap();
        let ino = file.ino();
        volume.close(file).unwrap();
        volume.close(root).unwrap();
        ino
    }

    #[test]
    fn a_number_leads_to_the_object_whatever_its_name() {
        let store = MemoryStore::default();
        let mut volume = open(&store, Mode::Close);
        let ino = make(&mut volume, "old");
        let root = volume.root().unwrap();
        volume.create_directory_at(&root, "dir").unwrap();
        volume.rename_at(&root, "old", &root, "dir/new").unwrap();
        let dir = volume.look_up_at(&root, "dir").unwrap().ino;
        let start = volume.start_at(dir).unwrap();
        assert_eq!(volume.look_up_at(start, "new").unwrap().ino, ino);
        assert_eq!(volume.look_up_at(start, "./../dir/new"), Err(Error::NotPermitted));
        volume.link_number(ino, &root, "again").unwrap();
        assert_eq!(volume.link_number(ino, &root, "again"), Err(Error::Exist));
        assert_eq!(volume.link_number(dir, &root, "other"), Err(Error::NotPermitted));
        assert_eq!(volume.stat_number(ino).unwrap().nlink, 2);
        let file = volume.open_number(ino, READ).unwrap();
        let mut bytes = Vec::new();
        volume.read(&file, 0, 10, &mut bytes).unwrap();
        assert_eq!(bytes, b"old");
        assert_eq!(volume.write(&file, At::End, b"x"), Err(Error::BadDescriptor));
        volume.close(file).unwrap();
        assert_eq!(volume.start_at(ino).err(), Some(Error::NotDirectory));
        assert_eq!(volume.open_number(dir, WRITE).err(), Some(Error::IsDirectory));
        assert_eq!(volume.readlink_number(ino), Err(Error::Invalid));
        volume.close(root).unwrap();
    }

    #[test]
    fn a_link_is_open_for_its_metadata_only() {
        let mut volume = open(&MemoryStore::default(), Mode::Close);
        let root = volume.root().unwrap();
        volume.import_symlink_at("/etc/passwd", &root, "link").unwrap();
        let ino = volume.look_up_at(&root, "link").unwrap().ino;
        assert_eq!(volume.readlink_number(ino).as_deref(), Ok("/etc/passwd"));
        assert_eq!(volume.open_number(ino, WRITE).err(), Some(Error::Loop));
        let link = volume.open_number(ino, READ).unwrap();
        assert_eq!(volume.stat(&link).unwrap().kind, Kind::Symlink);
        assert_eq!(volume.read(&link, 0, 5, &mut Vec::new()), Err(Error::BadDescriptor));
        assert_eq!(volume.set_size(&link, 0), Err(Error::BadDescriptor));
        volume.close(link).unwrap();
        volume.close(root).unwrap();
    }

    #[test]
    fn a_removed_inode_is_gone_before_the_commit_and_after_it() {
        for mode in [Mode::Strict, Mode::Close, Mode::Lazy] {
            let store = MemoryStore::default();
            let mut volume = open(&store, mode);
            let (gone, kept) = (make(&mut volume, "gone"), make(&mut volume, "kept"));
            volume.sync_all().unwrap();
            let root = volume.root().unwrap();
            let held = volume.open_number(kept, READ).unwrap();
            let gone_while_open = make(&mut volume, "gone while open");
            let last = volume.open_number(gone_while_open, WRITE).unwrap();
            volume.unlink_file_at(&root, "gone while open").unwrap();
            volume.close(last).unwrap();
            assert_eq!(volume.stat_number(gone_while_open), Err(Error::NoEntry));
            assert_eq!(volume.readlink_number(gone_while_open), Err(Error::NoEntry));
            assert_eq!(volume.start_at(gone_while_open).err(), Some(Error::NoEntry));
            volume.unlink_file_at(&root, "gone").unwrap();
            volume.unlink_file_at(&root, "kept").unwrap();
            for _ in 0..2 {
                assert_eq!(volume.stat_number(gone), Err(Error::NoEntry));
                assert_eq!(volume.open_number(gone, READ).err(), Some(Error::NoEntry));
                assert_eq!(volume.readlink_number(gone), Err(Error::NoEntry));
                assert_eq!(volume.link_number(gone, &root, "back"), Err(Error::NoEntry));
                // It is open, and has no name to be linked by.
                assert_eq!(volume.stat_number(kept).unwrap().nlink, 0);
                assert_eq!(volume.link_number(kept, &root, "back"), Err(Error::NoEntry));
                let again = volume.open_number(kept, READ).unwrap();
                volume.close(again).unwrap();
                volume.sync_all().unwrap();
            }
            volume.close(held).unwrap();
            assert_eq!(volume.stat_number(kept), Err(Error::NoEntry));
            assert_eq!(volume.stat_number(InodeNo(999)), Err(Error::NoEntry));
            assert_eq!(volume.stat_number(InodeNo(0)), Err(Error::NoEntry));
            volume.close(root).unwrap();
        }
    }

    #[test]
    fn rules_on_paths_shut_numbers_out() {
        let mut volume = open(&MemoryStore::default(), Mode::Close);
        let ino = make(&mut volume, "file");
        volume.set_policy(Some(std::rc::Rc::new(Policy::new(Rights::ALL))));
        assert_eq!(volume.stat_number(ino), Err(Error::NotPermitted));
        assert_eq!(volume.open_number(ino, READ).err(), Some(Error::NotPermitted));
        assert_eq!(volume.start_at(InodeNo::ROOT).err(), Some(Error::NotPermitted));
    }
}
