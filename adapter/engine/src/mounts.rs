//! The table of mounts: several volumes as one tree.

use crate::error::{Error, Result};
use crate::limits::MAX_MOUNTS;
use crate::policy::{Grant, Policy};
use crate::shares::Shares;
use crate::types::{Crossing, InodeNo, Kind, MountNo};
use crate::volume::Volume;
use crate::walking::path::{Ending, Follow};
use crate::walking::start::Start;
use std::rc::Rc;

/// A mount: its place in the tree, what is seen there, and whether it can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSpec {
    /// Its place: `/`, or an absolute path of plain names.
    pub path: String,
    /// The volume, or something else, that is seen there.
    pub mounted: Mounted,
    /// Whether operations through this mount change nothing.
    pub read_only: bool,
    /// The rights of operations through this mount at each path; `None` for all rights.
    pub policy: Option<Rc<Policy>>,
}

/// The content of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounted {
    /// A volume, by a number of the caller's. One volume may be seen at several places.
    Volume(usize),
    /// Something that is no volume of this table. See [`Crossing::Elsewhere`].
    Elsewhere,
}

impl Mounted {
    /// The volume's number, if it is one.
    fn volume(self) -> Option<usize> {
        match self {
            Self::Volume(number) => Some(number),
            Self::Elsewhere => None,
        }
    }
}

/// Opens a volume, by its number in the [`MountSpec`]s.
pub type Opener = Box<dyn FnMut(usize) -> Result<Volume>>;

/// Several volumes as one tree.
///
/// A volume is opened at its first use. If that fails, the next use tries again.
///
/// The volumes share what the limits of their [`Options`](crate::Options) bound: cached and dirty
/// bytes, and open descriptors. Together they hold no more than the largest of these limits. One
/// with a ceiling of its own ([`Options::own_cache`](crate::Options::own_cache)) takes from the
/// others at most what fits below it.
pub struct Mounts {
    /// In the order of their paths, so a mount comes after the one that it lies in.
    mounts: Vec<Mount>,
    volumes: Vec<Option<Volume>>,
    shares: Shares,
    open: Opener,
    /// How many of the mounts are attached to the volumes that they lie in.
    attached: usize,
    /// Of each volume that is to be opened anew, the descriptors of its root that stay open.
    kept_roots: Vec<u32>,
}

struct Mount {
    spec: MountSpec,
    /// The mount that it lies in, and the directory that it covers there.
    above: Option<(MountNo, InodeNo)>,
}

/// Where a path leads: a mount, a start on it, and the rest of the path.
#[derive(Debug, Clone)]
pub struct Located {
    /// The mount.
    pub mount: MountNo,
    /// The start of the rest of the path.
    pub start: Start,
    /// The rest of the path, which does not leave the mount.
    pub path: String,
}

impl Mounts {
    /// Makes a table. One mount must be at `/`; it becomes number 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a table without a root, with two mounts at one place, with a path
    /// that is not absolute and plain, with a mount at a path that the policy of another one hides,
    /// or with more than [`crate::limits::MAX_MOUNTS`] mounts.
    pub fn new(specs: Vec<MountSpec>, open: Opener) -> Result<Self> {
        let numbers = specs.iter().filter_map(|spec| spec.mounted.volume());
        let count = numbers.max().unwrap_or(0).saturating_add(1);
        if specs.len() > MAX_MOUNTS || count > MAX_MOUNTS {
            return Err(Error::Invalid);
        }
        let mut mounts: Vec<Mount> = Vec::with_capacity(specs.len());
        for spec in specs {
            let plain = spec.path == "/" || names(&spec.path).is_some();
            let place = mounts.binary_search_by(|mount| mount.spec.path.cmp(&spec.path));
            let place = if plain { place.err() } else { None };
            mounts.insert(place.ok_or(Error::Invalid)?, Mount { spec, above: None });
        }
        if mounts.first().is_none_or(|first| first.spec.path != "/") {
            return Err(Error::Invalid);
        }
        let hidden = |(place, mount): (usize, &Mount)| {
            let (holder, rest) = holder(mounts.get(..place)?, &mount.spec.path)?;
            let policy = mounts.get(holder)?.spec.policy.as_ref()?;
            (policy.at(rest) == Grant::Hide).then_some(())
        };
        if mounts.iter().enumerate().any(|mount| hidden(mount).is_some()) {
            return Err(Error::Invalid);
        }
        let mut volumes = Vec::new();
        volumes.resize_with(count, || None);
        // The root needs no attaching.
        let kept_roots = vec![0; count];
        Ok(Self { mounts, volumes, shares: Shares::new(count), open, attached: 1, kept_roots })
    }

    /// Takes the descriptors that `count` returns from what the volumes may have open together: they
    /// are open in mounts that the owner of the table serves itself.
    pub fn count_outside(&mut self, count: fn() -> u32) {
        self.shares.count_outside(count);
    }

    /// Returns how many descriptors, streams and listings are open in all volumes.
    pub fn open_descriptors(&self) -> u32 {
        self.volumes.iter().flatten().map(|volume| volume.open_descriptors).fold(0, u32::saturating_add)
    }

    /// Returns the volume of a mount, opened and ready to be used through this mount.
    ///
    /// # Errors
    /// Those of opening it. The first use makes the directories that mounts lie on, and fails as
    /// that does.
    ///
    /// # Cost
    /// Next to nothing once it is open.
    #[inline(always)]
    pub fn volume(&mut self, mount: MountNo) -> Result<&mut Volume> {
        // Most tables have one volume, and every operation passes here.
        if self.mounts.len() > 1 || !matches!(self.volumes.first(), Some(Some(_))) {
            return self.volume_of_many(mount);
        }
        self.volumes.first_mut().and_then(Option::as_mut).ok_or(Error::BadDescriptor)
    }

    #[cold]
    fn volume_of_many(&mut self, mount: MountNo) -> Result<&mut Volume> {
        if self.attached < self.mounts.len() {
            self.attach_all()?;
        }
        self.use_volume(mount)
    }

    fn use_volume(&mut self, mount: MountNo) -> Result<&mut Volume> {
        let alone = self.mounts.len() == 1;
        let spec = &self.mount(mount)?.spec;
        let (read_only, policy) = (spec.read_only, spec.policy.clone());
        let number = spec.mounted.volume().ok_or(Error::BadDescriptor)?;
        let place = self.volumes.get_mut(number).ok_or(Error::BadDescriptor)?;
        let is_new = place.is_none();
        if is_new {
            let mut volume = (self.open)(number)?;
            if let Some(kept) = self.kept_roots.get_mut(number).filter(|kept| **kept > 0) {
                volume.hold_root(*kept)?;
                *kept = 0;
            }
            self.shares.add(number, place.insert(volume));
        }
        self.shares.turn_to(number, &mut self.volumes);
        let volume = self.volumes.get_mut(number).and_then(Option::as_mut).ok_or(Error::BadDescriptor)?;
        // With a single mount, the first call has told the volume all.
        if !alone || is_new {
            volume.enter(mount, read_only);
            volume.set_policy(policy);
        }
        Ok(volume)
    }

    /// Returns the volume of a mount, if it was opened.
    pub fn opened(&mut self, mount: MountNo) -> Option<&mut Volume> {
        let number = self.volume_number(mount)?;
        if self.mounts.len() > 1 {
            // A close gives room to the others.
            self.shares.turn_to(number, &mut self.volumes);
        }
        self.volumes.get_mut(number)?.as_mut()
    }

    /// Returns the mount at exactly this path.
    pub(crate) fn at(&self, path: &str) -> Option<MountNo> {
        self.mounts.binary_search_by(|mount| mount.spec.path.as_str().cmp(path)).ok().map(mount_no)
    }

    /// Whether any mount shows a volume with rules on paths.
    pub(crate) fn has_policy(&self, number: usize) -> bool {
        let shows = |mount: &&Mount| mount.spec.mounted.volume() == Some(number);
        self.mounts.iter().filter(shows).any(|mount| mount.spec.policy.is_some())
    }

    /// Forgets an open volume, with all that is in its memory. Its next use opens it anew. Descriptors
    /// of its root stay open; nothing else may be.
    pub(crate) fn forget(&mut self, number: usize) {
        let Some(volume) = self.volumes.get_mut(number).and_then(Option::take) else { return };
        if let Some(kept) = self.kept_roots.get_mut(number) {
            *kept = volume.open_descriptors;
        }
        self.shares.forget(number);
        // Mounts in it lie on directories of what it holds now.
        let inside = |index: &usize| {
            let path = self.mounts.get(*index).map(|mount| mount.spec.path.as_str());
            let ahead = self.mounts.get(..*index);
            let holder = ahead.zip(path).and_then(|(ahead, path)| holder(ahead, path));
            holder.and_then(|(holder, _)| self.volume_number(mount_no(holder))) == Some(number)
        };
        if let Some(first) = (1..self.attached).find(inside) {
            self.attached = first;
        }
    }

    /// Returns the number of the volume of a mount; `None` if it shows no volume.
    pub fn volume_number(&self, mount: MountNo) -> Option<usize> {
        self.mount(mount).ok()?.spec.mounted.volume()
    }

    /// Does an operation where a path leads. When the path leaves a volume, the operation is
    /// repeated on the next one. Returns the mount on which it was done, with its result.
    ///
    /// # Errors
    /// The operation's.
    #[inline(always)]
    pub fn walk<T>(
        &mut self,
        mount: MountNo,
        start: Start,
        path: &str,
        mut operation: impl FnMut(&mut Volume, Start, &str) -> Result<T>,
    ) -> Result<(MountNo, T)> {
        self.walk_on((mount, start), (mount, start, path), &mut operation)
    }

    /// Resumes a walk from `base` that comes back from elsewhere, out of the mount `from`.
    ///
    /// # Errors
    /// As [`Mounts::walk`].
    pub fn resume<T>(
        &mut self,
        base: (MountNo, Start),
        from: MountNo,
        crossing: Crossing,
        mut operation: impl FnMut(&mut Volume, Start, &str) -> Result<T>,
    ) -> Result<(MountNo, T)> {
        if self.attached < self.mounts.len() {
            self.attach_all()?;
        }
        let (here, start, path) = self.cross(from, base, crossing)?;
        self.walk_on(base, (here, start, &path), &mut operation)
    }

    #[inline(always)]
    fn walk_on<T>(
        &mut self,
        base: (MountNo, Start),
        (mut here, mut from, mut rest): (MountNo, Start, &str),
        operation: &mut impl FnMut(&mut Volume, Start, &str) -> Result<T>,
    ) -> Result<(MountNo, T)> {
        let mut owned;
        // The loop ends: each step down takes a name off the path and each step up a `..`. Only
        // symbolic links add names, and they are counted.
        loop {
            match operation(self.volume(here)?, from, rest) {
                Ok(answer) => return Ok((here, answer)),
                Err(Error::Crossing(crossing)) => {
                    (here, from, owned) = self.cross(here, base, *crossing)?;
                    rest = &owned;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns where a walk from `base` goes on that leaves the volume of the mount `here`.
    #[cold]
    fn cross(
        &self,
        here: MountNo,
        (base, start): (MountNo, Start),
        crossing: Crossing,
    ) -> Result<(MountNo, Start, String)> {
        let (mount, at, path, links) = match crossing {
            Crossing::Down { mount, rest, links } => (mount, InodeNo::ROOT, rest, links),
            Crossing::Up { rest, links } => {
                let (above, covered) = self.mount(here)?.above.ok_or(Error::NotPermitted)?;
                if self.is_elsewhere(above)? {
                    return Err(elsewhere(above, Some(here), rest, links));
                }
                (above, covered, rest, links)
            }
            Crossing::Elsewhere { .. } => return Err(Error::Crossing(Box::new(crossing))),
        };
        if self.is_elsewhere(mount)? {
            return Err(elsewhere(mount, None, path, links));
        }
        Ok((mount, start.resumed(at, mount == base, links), path))
    }

    /// Finds out where a path leads, for an operation with two paths. Fails as [`Volume::locate`].
    ///
    /// # Errors
    /// Those of path resolution.
    pub fn locate(&mut self, mount: MountNo, start: Start, path: &str, ending: Ending) -> Result<Located> {
        let (mount, (start, path)) = self.walk(mount, start, path, |volume, start, path| {
            volume.locate(start, path, ending)?;
            Ok((start, path.to_owned()))
        })?;
        Ok(Located { mount, start, path })
    }

    /// Does an operation with two paths, each with its ending.
    ///
    /// # Errors
    /// [`Error::CrossDevice`] for paths to different mounts, after those that [`Mounts::locate`]
    /// finds, and the operation's.
    pub fn walk_both<T>(
        &mut self,
        (mount, start, path): (MountNo, Start, &str),
        (other_mount, other_start, other_path): (MountNo, Start, &str),
        (ending, other_ending): (Ending, Ending),
        operation: impl FnOnce(&mut Volume, (Start, &str), (Start, &str)) -> Result<T>,
    ) -> Result<T> {
        if self.mounts.len() == 1 {
            return operation(self.volume(mount)?, (start, path), (other_start, other_path));
        }
        let one = self.locate(mount, start, path, ending)?;
        let other = self.locate(other_mount, other_start, other_path, other_ending)?;
        if one.mount != other.mount {
            return Err(Error::CrossDevice);
        }
        operation(self.volume(one.mount)?, (one.start, &one.path), (other.start, &other.path))
    }

    /// Stores everything of all volumes, durably. Tries all of them, even if one fails.
    ///
    /// # Errors
    /// The first one.
    pub fn sync_all(&mut self) -> Result<()> {
        let mut first = Ok(());
        for volume in self.volumes.iter_mut().flatten() {
            first = first.and(volume.sync_all());
        }
        first
    }

    /// Attaches the remaining mounts, each to the directory that it covers.
    #[cold]
    fn attach_all(&mut self) -> Result<()> {
        while let Some(mount) = self.mounts.get(self.attached) {
            let path = mount.spec.path.clone();
            let ahead = self.mounts.get(..self.attached).unwrap_or_default();
            let (holder, rest) = holder(ahead, &path).unwrap_or_default();
            let (above, number) = (mount_no(holder), mount_no(self.attached));
            if self.is_elsewhere(above)? {
                // A mount elsewhere finds it by its path, not by a directory of ours.
                if let Some(mount) = self.mounts.get_mut(self.attached) {
                    mount.above = Some((above, InodeNo::ROOT));
                }
                self.attached += 1;
                continue;
            }
            let volume = self.use_volume(above)?;
            // The table may make the directory even on a mount that lets the guest make none.
            volume.enter(above, false);
            volume.set_policy(None);
            let root = volume.root()?;
            let way = make_directories(volume, (&root).into(), rest);
            volume.close(root)?;
            // If a file is in the way, nothing leads to the mount until the file is removed and the
            // table made again.
            if let Some(way) = way?
                && let Some((_, covered)) = way.last()
            {
                let covered = *covered;
                volume.attach(above, way, number);
                if let Some(mount) = self.mounts.get_mut(self.attached) {
                    mount.above = Some((above, covered));
                }
            }
            self.attached += 1;
        }
        Ok(())
    }

    fn is_elsewhere(&self, mount: MountNo) -> Result<bool> {
        Ok(self.mount(mount)?.spec.mounted == Mounted::Elsewhere)
    }

    fn mount(&self, mount: MountNo) -> Result<&Mount> {
        usize::try_from(mount.0).ok().and_then(|index| self.mounts.get(index)).ok_or(Error::BadDescriptor)
    }
}

fn elsewhere(mount: MountNo, from: Option<MountNo>, rest: String, links: u32) -> Error {
    Error::Crossing(Box::new(Crossing::Elsewhere { mount, from, rest, links }))
}

fn mount_no(index: usize) -> MountNo {
    MountNo(u32::try_from(index).unwrap_or(u32::MAX))
}

/// Returns the names of an absolute path of plain names.
fn names(path: &str) -> Option<impl Iterator<Item = &str>> {
    let names = path.strip_prefix('/')?.split('/');
    let plain = |name: &str| crate::stored::record::dentry::is_storable_name(name);
    (path.len() <= crate::limits::MAX_PATH_BYTES && names.clone().all(plain)).then_some(names)
}

/// Returns the mount that a path lies in, of those that come before it, and the rest of the path.
fn holder<'p>(ahead: &[Mount], path: &'p str) -> Option<(usize, &'p str)> {
    // The last one whose path its own starts with.
    let around = |(number, above): (usize, &Mount)| Some((number, below(&above.spec.path, path)?));
    ahead.iter().enumerate().rev().find_map(around)
}

/// Returns the rest of a path that lies below another, without a leading slash.
fn below<'p>(above: &str, path: &'p str) -> Option<&'p str> {
    match above {
        "/" => path.strip_prefix('/'),
        _ => path.strip_prefix(above)?.strip_prefix('/'),
    }
}

/// Makes sure that there is a directory at a path, and returns the directories on the way to it,
/// each with its name; `None` if a file is in the way.
/// Symbolic links are not followed: a mount lies where the table says.
fn make_directories(volume: &mut Volume, root: Start, path: &str) -> Result<Option<Vec<(String, InodeNo)>>> {
    let mut way = Vec::new();
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    for end in ends {
        let prefix = path.get(..end).unwrap_or(path);
        let stat = match volume.stat_at(root, prefix, Follow::No) {
            Err(Error::NoEntry) => {
                volume.create_directory_at(root, prefix)?;
                volume.stat_at(root, prefix, Follow::No)?
            }
            stat => stat?,
        };
        match stat.kind {
            Kind::Directory => {
                let name = prefix.rsplit('/').next().unwrap_or_default();
                way.push((name.to_owned(), stat.ino));
            }
            Kind::File => return Ok(None),
            // Following it would put the mount elsewhere.
            Kind::Symlink => return Err(Error::NotDirectory),
        }
    }
    Ok(Some(way))
}
