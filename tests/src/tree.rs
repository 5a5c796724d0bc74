//! The files that a guest left: every name under its `/`, from a store or from a directory of the
//! host.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, ensure};
use kvfs::{Access, Clock, Descriptor, Follow, Kind, OpenFlags, Options, Timestamp, Volume};
use kvfs_host::{EngineStore, MemoryStore};
use xxhash_rust::xxh64::Xxh64;

/// Bytes per read.
const PIECE_BYTES: usize = 64 << 10;

/// A file of up to this size is shown by its content, a larger one by a checksum.
const MAX_TEXT_BYTES: u64 = 64;

/// A larger file is mostly a hole; its two ends stand for it.
const MAX_WHOLE_BYTES: u64 = 64 << 20;
const END_BYTES: u64 = 1 << 20;

/// Maps each path, without a leading slash, to a text: kind, size, number of links, and the content
/// or its checksum; for a symbolic link, the target.
///
/// Owners, permissions, inode numbers and times are left out: programs print what they observe of
/// those.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree(pub BTreeMap<String, String>);

impl Tree {
    /// Reads the default volume of a store, after checking it.
    ///
    /// # Errors
    ///
    /// The volume breaks an invariant or cannot be read. A store without a volume is an empty tree.
    pub fn of_store(store: &MemoryStore) -> anyhow::Result<Self> {
        Self::of_volume(store, kvfs::DEFAULT_VOLUME)
    }

    /// Reads a volume of a store, after checking it.
    ///
    /// # Errors
    ///
    /// As [`Tree::of_store`].
    pub fn of_volume(store: &MemoryStore, name: &str) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        let engine_store = || EngineStore(store.clone());
        if !kvfs::probe(&mut engine_store(), name)? {
            return Ok(tree);
        }
        let report = kvfs::fsck(&mut engine_store(), name)?;
        ensure!(report.is_clean(), "the volume that the guest left is damaged: {report:?}");
        let options = Options { volume: name.into(), ..Options::default() };
        let mut volume = Volume::open(Box::new(engine_store()), Box::new(NoTime), options)?;
        let root = volume.root()?;
        tree.add_volume(&mut volume, &root, "")?;
        volume.close(root)?;
        Ok(tree)
    }

    /// Reads a directory.
    ///
    /// # Errors
    ///
    /// The directory cannot be read, or holds anything but files, directories and symbolic links,
    /// or a name that is not UTF-8.
    pub fn of_directory(dir: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.add_directory(dir, "").with_context(|| dir.display().to_string())?;
        Ok(tree)
    }

    fn add_volume(&mut self, volume: &mut Volume, dir: &Descriptor, above: &str) -> anyhow::Result<()> {
        let mut names = Vec::new();
        let mut listing = volume.read_directory(dir)?;
        while let Some(entry) = volume.next_entry(&mut listing)? {
            names.push(entry.name.to_string());
        }
        volume.close_directory(listing)?;
        for name in names {
            let path = format!("{above}{name}");
            let stat = volume.stat_at(dir, &name, Follow::No)?;
            let text = match stat.kind {
                Kind::Symlink => link(&volume.readlink_at(dir, &name)?),
                Kind::Directory => {
                    let inner = open(volume, dir, &name)?;
                    self.add_volume(volume, &inner, &format!("{path}/"))?;
                    volume.close(inner)?;
                    "directory".into()
                }
                Kind::File => {
                    let file = open(volume, dir, &name)?;
                    let text = file_text(stat.size, stat.nlink, |piece, offset| {
                        let mut bytes = Vec::new();
                        let count = volume.read(&file, offset, piece.len(), &mut bytes)?;
                        piece[..count].copy_from_slice(&bytes);
                        Ok(count)
                    })?;
                    volume.close(file)?;
                    text
                }
            };
            self.0.insert(path, text);
        }
        Ok(())
    }

    fn add_directory(&mut self, dir: &Path, above: &str) -> anyhow::Result<()> {
        for entry in dir.read_dir()? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a name is not UTF-8")?;
            let path = format!("{above}{name}");
            let about = entry.path().symlink_metadata()?;
            let text = if about.is_symlink() {
                link(entry.path().read_link()?.to_str().context("a target is not UTF-8")?)
            } else if about.is_dir() {
                self.add_directory(&entry.path(), &format!("{path}/"))?;
                "directory".into()
            } else {
                ensure!(about.is_file(), "{path} is not a file, directory or link");
                let file = File::open(entry.path())?;
                file_text(about.len(), about.nlink(), |piece, offset| Ok(file.read_at(piece, offset)?))?
            };
            self.0.insert(path, text);
        }
        Ok(())
    }
}

fn open(volume: &mut Volume, dir: &Descriptor, name: &str) -> kvfs::Result<Descriptor> {
    let access = Access { read: true, ..Access::default() };
    volume.open_at(dir, name, Follow::No, OpenFlags::default(), access)
}

fn link(target: &str) -> String {
    format!("link to {target:?}")
}

fn file_text(
    size: u64,
    names: u64,
    mut read: impl FnMut(&mut [u8], u64) -> anyhow::Result<usize>,
) -> anyhow::Result<String> {
    let mut sum = Xxh64::new(0);
    let mut text = String::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut offset = 0;
    while offset < size {
        if size > MAX_WHOLE_BYTES && (END_BYTES..size - END_BYTES).contains(&offset) {
            offset = size - END_BYTES;
        }
        let wanted = piece.len().min((size - offset) as usize);
        let count = read(&mut piece[..wanted], offset)?;
        ensure!(count > 0, "the file ends at {offset}, and its size is {size}");
        let bytes = &piece[..count];
        sum.update(bytes);
        if size <= MAX_TEXT_BYTES {
            text += &bytes.escape_ascii().to_string();
        }
        offset += count as u64;
    }
    let content = if size <= MAX_TEXT_BYTES { format!("{text:?}") } else { format!("{:016x}", sum.digest()) };
    Ok(format!("file, {size} bytes, {names} names, {content}"))
}

/// Sets one time for every file and directory of a tree, so that every run packs the same image and
/// compiles it once.
pub fn set_times(dir: &Path) -> std::io::Result<()> {
    for entry in dir.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            set_times(&entry.path())?;
        } else if entry.file_type()?.is_file() {
            set_time(&entry.path())?;
        }
    }
    set_time(dir)
}

fn set_time(path: &Path) -> std::io::Result<()> {
    File::open(path)?.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
}

/// A constant clock: reading sets no times.
struct NoTime;

impl Clock for NoTime {
    fn now(&mut self) -> Timestamp {
        Timestamp::default()
    }
}
