//! What differs between two volumes, by what their layers have.

use super::paths::Paths;
use super::view::{View, without_zeros};
use crate::backing::chain::read_header;
use crate::error::Result;
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::stored::key::tag;
use crate::stored::layer_name::LayerName;
use crate::stored::record::inode::{Content, Inode};
use crate::types::{Dentry, InodeNo, Kind};
use std::collections::{BTreeMap, BTreeSet};

/// One difference from one volume to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The path in the second volume; of what is only in the first, the path there. It starts with a
    /// slash.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// How it differs.
    pub change: Changed,
}

/// How a file, directory or link differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// Only the second volume has it.
    Added,
    /// Only the first volume has it.
    Removed,
    /// Both have it.
    Modified(What),
    /// Both have it, under different paths.
    Renamed {
        /// The path in the first volume.
        from: String,
        /// What else differs.
        also: What,
    },
}

/// What of it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct What {
    /// Its kind: a file in the place of a directory, for example.
    pub kind: bool,
    /// Its bytes, or its target.
    pub bytes: bool,
    /// Its times.
    pub times: bool,
    /// The number of its names.
    pub links: bool,
}

impl What {
    fn any(self) -> bool {
        self != Self::default()
    }
}

/// Finds what differs from volume `first` to volume `second`, in the order of the paths. `image` is the
/// one that both lie on, if they do.
///
/// A directory is not modified by what happens to the names in it. A file that was replaced by another
/// one is modified, and only if bytes or modification time differ.
///
/// # Errors
/// As those of [`fork`](super::fork()); [`crate::Error::OtherImage`] for volumes on other images than
/// the given one; [`crate::Error::Damaged`] for records that cannot be read.
///
/// # Cost
/// Reads the keys that the layers above the deepest common one have, and the records under these keys in
/// both volumes. These layers have the names on the way to each change too, as far as writers of this
/// version made it: see `FORMAT.md`. Any other directory is found by reading its parent up to its name.
/// A changed file of which a name is in none of these layers, such as one with several names, costs a
/// `scan` of all names, once, up to the last one. Without a common layer, everything is compared.
pub fn diff(
    store: &mut dyn KvStore,
    first: &str,
    second: &str,
    image: Option<&Image>,
) -> Result<Vec<Difference>> {
    // Nothing holds so much: the bound is never met.
    Ok(diff_within(store, first, second, image, u64::MAX)?.unwrap_or_default())
}

/// As [`diff`], in about `max_bytes` of memory; `None` if it takes more. A directory that was not
/// changed and lies on the way to a change is read up to its name before the bound is looked at.
///
/// # Errors
/// As there.
pub(crate) fn diff_within(
    store: &mut dyn KvStore,
    first: &str,
    second: &str,
    image: Option<&Image>,
    max_bytes: u64,
) -> Result<Option<Vec<Difference>>> {
    let mut work = Work {
        first: View::new(store, first, image)?,
        second: View::new(store, second, image)?,
        same_below: InodeNo::ROOT.0 + 1,
        names: BTreeSet::new(),
        inodes: BTreeSet::new(),
        extents: BTreeMap::new(),
        found: Vec::new(),
        room: Room { max_bytes, used_bytes: 0 },
    };
    let compared = work.collect(store, image).and_then(|()| work.compare(store));
    if work.room.is_full() {
        return Ok(None);
    }
    compared?;
    work.found.sort();
    Ok(Some(work.found))
}

/// How much memory a comparison may take, and has taken, about.
struct Room {
    max_bytes: u64,
    used_bytes: u64,
}

/// Bytes that a key or a path takes beside its text, about: several tables have it.
const ENTRY_BYTES: u64 = 128;

/// Bytes that the number of an extent takes, about.
const EXTENT_BYTES: u64 = 16;

impl Room {
    fn is_full(&self) -> bool {
        self.used_bytes > self.max_bytes
    }

    /// Notes a key or a path that is kept. Fails if it does not fit, with an error that nobody sees.
    fn take(&mut self, text: &str) -> Result<()> {
        self.take_bytes(ENTRY_BYTES.saturating_add(text.len() as u64))
    }

    fn take_bytes(&mut self, bytes: u64) -> Result<()> {
        self.used_bytes = self.used_bytes.saturating_add(bytes);
        if self.is_full() { Err(crate::Error::Overflow) } else { Ok(()) }
    }
}

struct Work {
    first: View,
    second: View,
    /// Inodes below this number are the same file in both.
    same_below: u64,
    /// Names in layers that are not common.
    names: BTreeSet<(InodeNo, String)>,
    /// Inodes in them.
    inodes: BTreeSet<InodeNo>,
    /// Extents in them.
    extents: BTreeMap<InodeNo, BTreeSet<u64>>,
    found: Vec<Difference>,
    room: Room,
}

/// What was told of by a name.
#[derive(Default)]
struct Told {
    paths: BTreeSet<String>,
    /// With the number of their names that were told of.
    inodes: BTreeMap<InodeNo, u64>,
}

/// A name of one volume that the other has not, or for something else.
struct Name {
    dir: InodeNo,
    name: String,
    entry: Dentry,
}

/// Names of the first volume that the second has not, or for something else.
#[derive(Default)]
struct Gone {
    by_path: BTreeMap<String, Dentry>,
    by_inode: BTreeMap<InodeNo, BTreeSet<String>>,
}

impl Gone {
    fn insert(&mut self, path: String, entry: Dentry) {
        self.by_inode.entry(entry.ino).or_default().insert(path.clone());
        self.by_path.insert(path, entry);
    }

    fn remove(&mut self, path: &str) -> Option<Dentry> {
        let entry = self.by_path.remove(path)?;
        if let Some(paths) = self.by_inode.get_mut(&entry.ino) {
            paths.remove(path);
        }
        Some(entry)
    }

    /// Returns the first name of an inode that is not `path`.
    fn other_name(&self, ino: InodeNo, path: &str) -> Option<String> {
        self.by_inode.get(&ino)?.iter().find(|from| *from != path).cloned()
    }
}

impl Work {
    /// Reads the keys of the layers that are not common to both.
    fn collect(&mut self, store: &mut dyn KvStore, image: Option<&Image>) -> Result<()> {
        let chain = |view: &View| {
            let chain = &view.volume.chain;
            std::iter::once(chain.top.clone()).chain(chain.below.iter().cloned()).collect::<Vec<LayerName>>()
        };
        let (one, other) = (chain(&self.first), chain(&self.second));
        let common = one.iter().find_map(|layer| {
            let at = other.iter().position(|found| found == layer)?;
            Some((one.iter().position(|found| found == layer)?, at))
        });
        let (upper_one, upper_other) = common.unwrap_or((one.len(), other.len()));
        if common.is_some() {
            let mut lowest = |chain: &[LayerName], upper: usize| match upper.checked_sub(1) {
                Some(at) => match chain.get(at) {
                    Some(layer) => Ok(read_header(store, layer)?.0.first_inode),
                    None => Ok(u64::MAX),
                },
                None => Ok::<u64, crate::Error>(u64::MAX),
            };
            self.same_below = lowest(&one, upper_one)?.min(lowest(&other, upper_other)?);
        } else if let Some(image) = image {
            // Both began with it.
            self.same_below = image.clone().superblock()?.next_inode;
        }
        let Self { first, second, names, inodes, extents, room, .. } = self;
        let mut note = |inner: &[u8]| {
            let Some((tag, rest)) = inner.split_first() else { return Ok(()) };
            let Some((ino, rest)) = rest.split_first_chunk::<8>() else { return Ok(()) };
            let ino = InodeNo(u64::from_be_bytes(*ino));
            match *tag {
                tag::INODE => {
                    room.take("")?;
                    inodes.insert(ino);
                }
                tag::DENTRY => {
                    if let Ok(name) = std::str::from_utf8(rest) {
                        room.take(name)?;
                        names.insert((ino, name.to_owned()));
                    }
                }
                tag::EXTENT => {
                    if let Some(index) = rest.first_chunk::<8>() {
                        room.take_bytes(EXTENT_BYTES)?;
                        extents.entry(ino).or_default().insert(u64::from_be_bytes(*index));
                    }
                }
                _ => {}
            }
            Ok(())
        };
        let tags = (tag::INODE, tag::EXTENT);
        first.keys_of_upper(store, upper_one, tags, &mut note)?;
        second.keys_of_upper(store, upper_other, tags, &mut note)
    }

    /// Returns whether this number means the same in both volumes.
    fn is_same(&self, ino: InodeNo) -> bool {
        ino.0 < self.same_below
    }

    fn compare(&mut self, store: &mut dyn KvStore) -> Result<()> {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        // Names that are as they were, of inodes that may have changed.
        let mut kept: BTreeMap<InodeNo, Vec<(InodeNo, String)>> = BTreeMap::new();
        let (mut paths, mut paths_before) = (Paths::default(), Paths::default());
        let mut directories = BTreeSet::new();
        for (dir, name) in std::mem::take(&mut self.names) {
            let before = self.first.dentry(store, dir, &name)?;
            let after = self.second.dentry(store, dir, &name)?;
            directories.insert(dir);
            if let Some(entry) = before.filter(|entry| entry.kind == Kind::Directory) {
                paths_before.note(dir, &name, entry.ino);
            }
            if let Some(entry) = after.filter(|entry| entry.kind == Kind::Directory) {
                paths.note(dir, &name, entry.ino);
            }
            if let (Some(before), Some(after)) = (before, after)
                && (before.ino, before.kind) == (after.ino, after.kind)
                && self.is_same(dir)
                && self.is_same(after.ino)
            {
                kept.entry(after.ino).or_default().push((dir, name));
                continue;
            }
            gone.extend(before.map(|entry| Name { dir, name: name.clone(), entry }));
            come.extend(after.map(|entry| Name { dir, name, entry }));
        }
        let mut gone_by_path = Gone::default();
        for name in gone {
            let path = paths_before.of_name(store, &mut self.first, &paths, name.dir, &name.name)?;
            self.take_path(&path, &mut paths_before)?;
            gone_by_path.insert(path, name.entry);
        }
        let mut told = Told::default();
        let mut others = Vec::new();
        for name in come {
            let path = paths.of_name(store, &mut self.second, &paths_before, name.dir, &name.name)?;
            self.take_path(&path, &mut paths)?;
            told.paths.insert(path.clone());
            *told.inodes.entry(name.entry.ino).or_default() += 1;
            // Directories that were moved come first: what is new under their old names is no change of
            // them, and the names in them are as they were, so nothing else tells of the move.
            let is_directory = name.entry.kind == Kind::Directory;
            if !is_directory || !self.compare_moved(store, &path, name.entry, &mut gone_by_path)? {
                others.push((path, name.entry));
            }
        }
        for (path, entry) in others {
            if !self.compare_moved(store, &path, entry, &mut gone_by_path)? {
                self.compare_name(store, path, entry, &mut gone_by_path)?;
            }
        }
        for (path, entry) in gone_by_path.by_path {
            self.found.push(Difference { path, kind: entry.kind, change: Changed::Removed });
        }
        self.compare_inodes(store, &directories, kept, &told, (&mut paths, &paths_before))
    }

    /// Notes the memory of a path, and that of the paths of directories that were found for it.
    fn take_path(&mut self, path: &str, paths: &mut Paths) -> Result<()> {
        self.room.take_bytes(paths.take_new_bytes())?;
        self.room.take(path)
    }

    /// Tells of a name of the second volume if the first one has the same object under a name that is gone.
    /// Returns whether it has.
    fn compare_moved(
        &mut self,
        store: &mut dyn KvStore,
        path: &str,
        entry: Dentry,
        gone: &mut Gone,
    ) -> Result<bool> {
        if !self.is_same(entry.ino) {
            return Ok(false);
        }
        let Some(from) = gone.other_name(entry.ino, path) else { return Ok(false) };
        // What had the name before is gone.
        gone.remove(&from);
        let what = self.differs(store, entry.ino, entry.ino)?;
        let times = what.times && entry.kind != Kind::Directory;
        let change = Changed::Renamed { from, also: What { times, ..what } };
        self.found.push(Difference { path: path.to_owned(), kind: entry.kind, change });
        Ok(true)
    }

    /// Compares a name of the second volume with what the first one has under this path, and nowhere else.
    fn compare_name(
        &mut self,
        store: &mut dyn KvStore,
        path: String,
        entry: Dentry,
        gone: &mut Gone,
    ) -> Result<()> {
        let kind = entry.kind;
        let change = if let Some(before) = gone.remove(&path) {
            let what = self.differs(store, before.ino, entry.ino)?;
            // Times of another directory are its own.
            if !what.kind && (kind == Kind::Directory || !what.bytes && !what.times) {
                return Ok(());
            }
            Changed::Modified(what)
        } else {
            Changed::Added
        };
        self.found.push(Difference { path, kind, change });
        Ok(())
    }

    /// Compares inodes that both volumes have, and that are not told of by a name.
    fn compare_inodes(
        &mut self,
        store: &mut dyn KvStore,
        directories: &BTreeSet<InodeNo>,
        kept: BTreeMap<InodeNo, Vec<(InodeNo, String)>>,
        told: &Told,
        (paths, beside): (&mut Paths, &Paths),
    ) -> Result<()> {
        let mut changed: BTreeMap<InodeNo, (Kind, What)> = BTreeMap::new();
        // Files of which not all names are known, and how many they have.
        let mut unnamed: BTreeMap<InodeNo, u32> = BTreeMap::new();
        let touched: BTreeSet<InodeNo> = self.inodes.iter().chain(self.extents.keys()).copied().collect();
        for ino in touched {
            // A directory that has other names now has other times too.
            if !self.is_same(ino) || directories.contains(&ino) {
                continue;
            }
            let what = self.differs(store, ino, ino)?;
            if let Some(inode) = self.second.inode(store, ino)?.filter(|_| what.any()) {
                changed.insert(ino, (inode.kind, what));
                let known = kept.get(&ino).map_or(0, |names| names.len() as u64)
                    + told.inodes.get(&ino).copied().unwrap_or(0);
                if inode.kind != Kind::Directory && known != u64::from(inode.nlink) {
                    unnamed.insert(ino, inode.nlink);
                }
            }
        }
        for (ino, (kind, what)) in &changed {
            if *kind == Kind::Directory {
                let path = paths.of_directory(store, &mut self.second, beside, *ino)?;
                let path = if path.is_empty() { "/".to_owned() } else { path };
                self.take_path(&path, paths)?;
                if !told.paths.contains(&path) {
                    self.found.push(Difference { path, kind: *kind, change: Changed::Modified(*what) });
                }
                continue;
            }
            // Of those without all their names, all are found below.
            for (dir, name) in kept.get(ino).into_iter().flatten().filter(|_| !unnamed.contains_key(ino)) {
                let path = paths.of_name(store, &mut self.second, beside, *dir, name)?;
                self.take_path(&path, paths)?;
                self.found.push(Difference { path, kind: *kind, change: Changed::Modified(*what) });
            }
        }
        for (dir, name, ino) in self.names_of(store, unnamed)? {
            let path = paths.of_name(store, &mut self.second, beside, dir, &name)?;
            self.take_path(&path, paths)?;
            let Some((kind, what)) = changed.get(&ino).filter(|_| !told.paths.contains(&path)) else {
                continue;
            };
            self.found.push(Difference { path, kind: *kind, change: Changed::Modified(*what) });
        }
        Ok(())
    }

    /// Finds the names of inodes in the second volume, of which each is to have a number of names.
    fn names_of(
        &mut self,
        store: &mut dyn KvStore,
        mut wanted: BTreeMap<InodeNo, u32>,
    ) -> Result<Vec<(InodeNo, String, InodeNo)>> {
        let mut names = Vec::new();
        if wanted.is_empty() {
            return Ok(names);
        }
        let (start, end) = self.second.keys.tags_range(tag::DENTRY, tag::DENTRY);
        self.second.scan(store, start, &end, &mut |keys, entry| {
            let dir = keys.split(&entry.key).and_then(|(_, rest)| rest.first_chunk::<8>().copied());
            let dir = InodeNo(dir.map_or(0, u64::from_be_bytes));
            let found = crate::stored::record::dentry::decode(&entry.key, dir, &entry.value)?;
            if let Some(missing) = wanted.get_mut(&found.ino)
                && let Some(name) = keys.dentry_name(dir, &entry.key)
            {
                names.push((dir, name.to_owned(), found.ino));
                *missing = missing.saturating_sub(1);
                if *missing == 0 {
                    wanted.remove(&found.ino);
                }
            }
            Ok(!wanted.is_empty())
        })?;
        Ok(names)
    }

    /// Compares an inode of the first volume with one of the second.
    fn differs(&mut self, store: &mut dyn KvStore, before: InodeNo, after: InodeNo) -> Result<What> {
        let (one, other) = (self.first.inode(store, before)?, self.second.inode(store, after)?);
        let (Some(one), Some(other)) = (one, other) else { return Ok(What::default()) };
        let same_file = before == after && self.is_same(after);
        let mut what = What {
            kind: one.kind != other.kind,
            times: one.mtime != other.mtime || same_file && one.atime != other.atime,
            links: same_file && one.kind != Kind::Directory && one.nlink != other.nlink,
            bytes: false,
        };
        if !what.kind && one.kind != Kind::Directory {
            what.bytes = self.bytes_differ(store, (before, &one), (after, &other), same_file)?;
        }
        Ok(what)
    }

    fn bytes_differ(
        &mut self,
        store: &mut dyn KvStore,
        (before, one): (InodeNo, &Inode),
        (after, other): (InodeNo, &Inode),
        same_file: bool,
    ) -> Result<bool> {
        if one.size != other.size {
            return Ok(true);
        }
        match (&one.content, &other.content) {
            (Content::Inline(one), Content::Inline(other)) => {
                return Ok(without_zeros(one) != without_zeros(other));
            }
            (Content::Target(one), Content::Target(other)) => return Ok(one != other),
            _ => {}
        }
        let sizes = (self.first.volume.superblock.extent_bytes, self.second.volume.superblock.extent_bytes);
        let both_in_extents = matches!((&one.content, &other.content), (Content::Extents, Content::Extents));
        if sizes.0 != sizes.1 || !both_in_extents {
            // One is inline, or the pieces are of other sizes: who stored the same bytes in another way
            // wrote them.
            return Ok(true);
        }
        let end = other.extents_end(u64::from(sizes.0));
        let mut indices = BTreeSet::new();
        if same_file {
            // All others are the common layer's.
            let touched = self.extents.get(&after).into_iter().flatten();
            indices.extend(touched.copied().filter(|index| *index < end));
        } else {
            self.first.extents(store, before, end, &mut indices)?;
            self.second.extents(store, after, end, &mut indices)?;
        }
        for index in indices {
            // Bytes behind the end of a file mean nothing.
            let valid = one.size.saturating_sub(index.saturating_mul(u64::from(sizes.0)));
            let bytes = self.first.extent(store, before, index, valid)?;
            if bytes != self.second.extent(store, after, index, valid)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
