//! Packs a tree: writes it into a volume in memory, with the engine that will read it.

use super::tree::{Bytes, Content, FirstNames, Node, Purpose, Tree};
use crate::error::MountError;
use crate::limits::MAX_IMAGES_BYTES;
use kvfs::image::ImageId;
use kvfs::{
    Access, At, Clock, Descriptor, Follow, MemoryStore, Mode, OpenFlags, Options, SetTime, Timestamp, Volume,
};
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::rc::Rc;

/// Bytes of a file of the host that are read in one call.
const CHUNK_BYTES: usize = kvfs::limits::MAX_WRITE_BYTES;

/// The progress of packing trees, for [`Compose::on_packing`](crate::Compose::on_packing).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Packing<'a> {
    /// The guest's path of the mount whose tree is being packed.
    pub path: &'a str,
    /// Files, directories and links of this tree.
    pub entries: usize,
    /// The number of them that are packed.
    pub entries_done: usize,
    /// Bytes of its files.
    pub bytes: u64,
    /// The number of them that are packed.
    pub bytes_done: u64,
}

/// A tree that was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackedTree {
    /// Files, counted by their names.
    pub files: usize,
    /// Directories without the root.
    pub directories: usize,
    /// Symbolic links, counted by their names.
    pub symlinks: usize,
    /// Bytes of the files.
    pub file_bytes: u64,
    /// Bytes of the image.
    pub image_bytes: u64,
    /// The identity of the image. A volume above it refuses another one.
    pub digest: String,
}

/// An image, and its entry in the report.
pub(super) struct Packed {
    pub(super) image: Vec<u8>,
    pub(super) facts: PackedTree,
}

/// The extent size of every tree. It never changes: a tree of other extents would be another one to
/// the volumes above it.
const EXTENT_BYTES: u32 = 32 << 10;

/// Writes a tree into a new volume of this name, and makes an image of it, with a name for people.
/// The same tree always gives the same bytes.
///
/// # Errors
///
/// [`MountError::Read`] for a file of the host, [`MountError::Pack`] for an entry that the file
/// system refuses.
pub(super) fn pack(
    purpose: &Purpose,
    tree: &Tree,
    volume_name: &str,
    name: &str,
    progress: &dyn Fn(Packing<'_>),
) -> Result<Packed, MountError> {
    let store = MemoryStore::default();
    let time = TreeTime::default();
    // Without a time of birth: packing the same tree again must give the same bytes.
    let options = Options {
        volume: volume_name.to_owned(),
        mode: Mode::Lazy,
        extent_bytes: EXTENT_BYTES,
        ..Options::default()
    };
    let refused = |name: &str, error| MountError::Pack {
        path: purpose.path.clone(),
        tree: purpose.tree_name(),
        name: name.to_owned(),
        error,
    };
    let at_root = |error| refused("/", error);
    let mut volume =
        Volume::open(Box::new(store.clone()), Box::new(time.clone()), options).map_err(at_root)?;
    let root = volume.root().map_err(at_root)?;
    let mut packer =
        Packer { purpose, volume, root, time, refused: &refused, chunk: Vec::new(), file_bytes: 0 };
    let (entries, bytes) = (tree.nodes().count(), tree.file_bytes());
    if bytes > MAX_IMAGES_BYTES {
        return Err(MountError::TooLarge { size_bytes: bytes, max_bytes: MAX_IMAGES_BYTES });
    }
    let report = |entries_done, bytes_done| {
        progress(Packing { path: &purpose.path, entries, entries_done, bytes, bytes_done })
    };
    let first = tree.first_names();
    let (mut files, mut directories, mut symlinks) = (0, 0, 0);
    for (done, (path, node)) in tree.nodes().enumerate() {
        report(done, packer.file_bytes);
        packer.time.0.set(node.modified);
        let is_further = first.of_further(path, &node.content).is_some();
        match &node.content {
            Content::Directory => {
                directories += 1;
                let made = packer.volume.create_directory_at(&packer.root, path);
                made.map_err(|error| refused(path, error))?;
            }
            Content::File(bytes) => {
                files += 1;
                if !is_further {
                    packer.file(path, bytes)?;
                }
            }
            Content::Symlink(target) => {
                symlinks += 1;
                if !is_further {
                    let made = packer.volume.import_symlink_at(target, &packer.root, path);
                    made.map_err(|error| refused(path, error))?;
                }
            }
        }
    }
    packer.links_and_times(tree, &first)?;
    packer.volume.sync_all().map_err(at_root)?;
    let file_bytes = packer.file_bytes;
    drop(packer);
    report(entries, file_bytes);
    let image = kvfs::image::pack(&mut store.clone(), volume_name, name).map_err(at_root)?;
    let image_bytes = image.len() as u64;
    let digest = ImageId::read(&image).map_err(at_root)?.short_digest();
    Ok(Packed { image, facts: PackedTree { files, directories, symlinks, file_bytes, image_bytes, digest } })
}

/// A clock that gives the time of the entry being packed, so that nothing in an image tells when or
/// where it was made.
#[derive(Clone, Default)]
struct TreeTime(Rc<Cell<Timestamp>>);

impl Clock for TreeTime {
    fn now(&mut self) -> Timestamp {
        self.0.get()
    }
}

struct Packer<'a> {
    purpose: &'a Purpose,
    volume: Volume,
    root: Descriptor,
    time: TreeTime,
    refused: &'a dyn Fn(&str, kvfs::Error) -> MountError,
    chunk: Vec<u8>,
    file_bytes: u64,
}

impl Packer<'_> {
    fn file(&mut self, path: &str, bytes: &Bytes) -> Result<(), MountError> {
        let flags = OpenFlags { create: true, exclusive: true, ..OpenFlags::default() };
        let access = Access { write: true, ..Access::default() };
        let file = self.volume.open_at(&self.root, path, Follow::No, flags, access);
        let file = file.map_err(|error| (self.refused)(path, error))?;
        match bytes {
            Bytes::Here(bytes) => self.write(&file, path, bytes)?,
            Bytes::Disk(source, _) => {
                let unreadable = |error| self.purpose.unreadable(source, error);
                let mut reader = File::open(source).map_err(unreadable)?;
                let mut chunk = std::mem::take(&mut self.chunk);
                loop {
                    chunk.clear();
                    (&mut reader).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).map_err(unreadable)?;
                    if chunk.is_empty() {
                        break;
                    }
                    self.write(&file, path, &chunk)?;
                }
                self.chunk = chunk;
            }
        }
        self.volume.close(file).map_err(|error| (self.refused)(path, error))
    }

    fn write(&mut self, file: &Descriptor, path: &str, mut bytes: &[u8]) -> Result<(), MountError> {
        while !bytes.is_empty() {
            let written = self.volume.write(file, At::End, bytes);
            let written = written.map_err(|error| (self.refused)(path, error))?;
            self.file_bytes += written as u64;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Links the further names of files and symbolic links, and sets all times, those of a
    /// directory after those of its entries.
    fn links_and_times(&mut self, tree: &Tree, first: &FirstNames<'_>) -> Result<(), MountError> {
        let further = |(path, node): (&'_ str, &Node)| first.of_further(path, &node.content);
        for (path, node) in tree.nodes() {
            if let Some(target) = further((path, node)) {
                let linked = self.volume.link_at(&self.root, target, Follow::No, &self.root, path);
                linked.map_err(|error| (self.refused)(path, error))?;
            }
        }
        // A hard link has the times of its file.
        for (path, node) in tree.nodes().rev().filter(|entry| further(*entry).is_none()) {
            self.set_times(path, node.modified)?;
        }
        self.set_times(".", tree.modified)
    }

    fn set_times(&mut self, path: &str, modified: Timestamp) -> Result<(), MountError> {
        self.time.0.set(modified);
        let time = SetTime::At(modified);
        let set = self.volume.set_times_at(&self.root, path, Follow::No, time, time);
        set.map_err(|error| (self.refused)(path, error))
    }
}
