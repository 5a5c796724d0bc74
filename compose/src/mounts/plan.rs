//! Makes of mounts the images for the adapter's memory, the lines for its configuration and the
//! facts for the report.

use super::mount::{Cache, Mount, MountAccess, MountLimits, MountSource};
use super::pack::{PackedTree, Packing, pack};
use super::rules::{self, MountRules};
use super::table::Table;
use super::tree::{Purpose, Tree};
use super::{archive, directory};
use crate::error::MountError;
use crate::limits::MAX_IMAGES_BYTES;
use crate::options::check_volume;
use kvfs::{Policy, Timestamp};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// The volume name that an image without a volume above it is packed under.
const IMAGE_VOLUME: &str = "image";

/// The name, for people, of the image that holds nothing but mountpoints.
const ROOT_NAME: &str = "mountpoints";

/// A mount in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mounted {
    /// The guest's path.
    pub path: String,
    /// The source, as the command takes it.
    pub source: String,
    /// The guest's access.
    pub access: MountAccess,
    /// Rights at single paths; `None` if everything is allowed.
    pub policy: Option<Policy>,
    /// The limits of its volume.
    pub limits: MountLimits,
    /// The most bytes of it that are cached; `None` if only the instance's limit counts.
    pub cached_bytes: Option<u64>,
    /// The tree that was packed for it.
    pub tree: Option<PackedTree>,
}

impl fmt::Display for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cache = Cache(self.cached_bytes);
        write!(f, "{} {}: {}{}{cache}", self.path, self.access, self.source, self.limits)?;
        if let Some(policy) = &self.policy {
            write!(f, ", {policy}")?;
        }
        match &self.tree {
            Some(tree) => write!(
                f,
                ", {} files, {} directories, {} links, {} bytes in {}, image {}",
                tree.files, tree.directories, tree.symlinks, tree.file_bytes, tree.image_bytes, tree.digest
            ),
            None => Ok(()),
        }
    }
}

/// The mounts as composition needs them.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Lines `mount=…` of the adapter's configuration.
    pub(crate) lines: String,
    /// All images, one after the other.
    pub(crate) images: Vec<u8>,
    /// True if directories of the host are mounted.
    pub(crate) host: bool,
    pub(crate) mounted: Vec<Mounted>,
    /// The volumes of the store that are mounted.
    pub(crate) volumes: Vec<String>,
}

/// Checks mounts and packs their trees. Without mounts, the plan is empty and the adapter mounts
/// its volume at the root.
///
/// # Errors
///
/// See [`MountError`].
pub(crate) fn plan(
    mounts: &[Mount],
    default_volume: &str,
    progress: &dyn Fn(Packing<'_>),
) -> Result<Plan, MountError> {
    if mounts.is_empty() {
        return Ok(Plan { volumes: vec![default_volume.to_owned()], ..Plan::default() });
    }
    let mut mounts = mounts.to_vec();
    for mount in &mut mounts {
        // The path is what an error about a file names.
        mount.check()?;
        mount.rules = mount.rules.read(&mount.path, mount.allow)?.map_or(MountRules::None, MountRules::Given);
    }
    let table = Table::new(&mounts)?;
    let volumes = Volumes::of(&table, default_volume)?;
    let mut planner = Planner { plan: Plan::default(), packed: HashMap::new(), progress };
    if !table.mounts().iter().any(|mount| mount.path == "/") {
        planner.bare_root(&table)?;
    }
    for mount in table.mounts() {
        planner.mount(&table, &volumes, mount)?;
    }
    for (volume, limits) in &volumes.limits {
        planner.plan.lines += &limits_line(volume, *limits);
    }
    planner.plan.volumes = volumes.used.keys().map(|name| (*name).to_owned()).collect();
    Ok(planner.plan)
}

/// The mounted volumes of the store.
pub(super) struct Volumes<'a> {
    default: &'a str,
    /// The tree below each volume, and the paths of its mounts.
    used: HashMap<&'a str, (Option<&'a Path>, Vec<&'a str>)>,
    /// The limits of each volume, in the order of the mounts.
    limits: Vec<(&'a str, MountLimits)>,
    /// The mounts with a size of their cache.
    cached: Vec<&'a Mount>,
}

impl<'a> Volumes<'a> {
    /// Checks the volumes of all mounts together.
    pub(super) fn of(table: &'a Table, default: &'a str) -> Result<Self, MountError> {
        let mut volumes = Self { default, used: HashMap::new(), limits: Vec::new(), cached: Vec::new() };
        for mount in table.mounts() {
            volumes.cache(mount)?;
            let Some(name) = volumes.name(mount) else { continue };
            check_volume(name).map_err(|error| MountError::Volume { path: mount.path.clone(), error })?;
            let tree = match &mount.source {
                MountSource::Overlay { tree, .. } => Some(tree.as_path()),
                _ => None,
            };
            let (known, paths) = volumes.used.entry(name).or_insert_with(|| (tree, Vec::new()));
            if *known != tree {
                return Err(MountError::VolumeInTwoWays {
                    volume: name.to_owned(),
                    one: paths.first().copied().unwrap_or_default().to_owned(),
                    other: mount.path.clone(),
                });
            }
            paths.push(&mount.path);
            let one = paths.first().copied().unwrap_or_default();
            volumes.limit(name, mount.limits).ok_or_else(|| MountError::TwoLimits {
                volume: name.to_owned(),
                one: one.to_owned(),
                other: mount.path.clone(),
            })?;
        }
        Ok(volumes)
    }

    /// Notes a volume's limits; `None` if they differ from those noted before.
    fn limit(&mut self, name: &'a str, limits: MountLimits) -> Option<()> {
        if limits.is_none() {
            return Some(());
        }
        let Some((_, known)) = self.limits.iter_mut().find(|(volume, _)| *volume == name) else {
            self.limits.push((name, limits));
            return Some(());
        };
        for (known, new) in [
            (&mut known.bytes, limits.bytes),
            (&mut known.inodes, limits.inodes),
            (&mut known.names, limits.names),
            (&mut known.file_bytes, limits.file_bytes),
        ] {
            join(known, new)?;
        }
        join(&mut known.extent_bytes, limits.extent_bytes)
    }

    /// Notes the size of a mount's cache. Fails if the same files have another one elsewhere.
    fn cache(&mut self, mount: &'a Mount) -> Result<(), MountError> {
        if mount.cached_bytes.is_none() {
            return Ok(());
        }
        let shows_same = |known: &&&Mount| match (&known.source, &mount.source) {
            (MountSource::Image { tree: known }, MountSource::Image { tree }) => known == tree,
            _ => self.name(known).is_some_and(|name| self.name(mount) == Some(name)),
        };
        if let Some(known) = self.cached.iter().find(shows_same)
            && known.cached_bytes != mount.cached_bytes
        {
            return Err(MountError::TwoCaches { one: known.path.clone(), other: mount.path.clone() });
        }
        self.cached.push(mount);
        Ok(())
    }

    /// Returns the name of the volume of a mount, if it has one.
    fn name(&self, mount: &'a Mount) -> Option<&'a str> {
        match &mount.source {
            MountSource::Volume { volume } | MountSource::Overlay { volume, .. } => {
                Some(volume.as_deref().unwrap_or(self.default))
            }
            MountSource::Image { .. } | MountSource::Host { .. } => None,
        }
    }
}

/// The inputs of an image: its tree, the volume name, the mountpoints in it.
type Recipe = (String, String, Vec<String>);

struct Planner<'a> {
    plan: Plan,
    /// Offsets and facts of the images so far.
    packed: HashMap<Recipe, (usize, PackedTree)>,
    progress: &'a dyn Fn(Packing<'_>),
}

impl Planner<'_> {
    /// Mounts a directory with nothing but mountpoints at the root.
    fn bare_root(&mut self, table: &Table) -> Result<(), MountError> {
        let purpose = Purpose { path: "/".into(), tree: "".into() };
        let mut tree = Tree::new(Timestamp::default());
        for mountpoint in table.mountpoints_in("/") {
            tree.mountpoint(&purpose, mountpoint)?;
        }
        let (offset, packed) = self.image(&purpose, &tree, IMAGE_VOLUME, ROOT_NAME)?;
        let source = format!("image:{offset}:{}", packed.image_bytes);
        self.line(("/", MountAccess::ReadOnly, None), &source, None);
        Ok(())
    }

    fn mount<'t>(
        &mut self,
        table: &'t Table,
        volumes: &Volumes<'t>,
        mount: &'t Mount,
    ) -> Result<(), MountError> {
        let volume = volumes.name(mount).unwrap_or_default();
        let (source, packed) = match &mount.source {
            MountSource::Volume { .. } => (format!("kv:{volume}"), None),
            MountSource::Image { tree } => {
                let (offset, facts) = self.tree(table, &[&mount.path], mount, tree, IMAGE_VOLUME)?;
                (format!("image:{offset}:{}", facts.image_bytes), Some(facts))
            }
            MountSource::Overlay { tree, .. } => {
                // A volume that is mounted twice is one volume, with the mountpoints of both
                // mounts.
                let paths = volumes.used.get(volume).map(|(_, paths)| paths.as_slice()).unwrap_or_default();
                let (offset, facts) = self.tree(table, paths, mount, tree, volume)?;
                (format!("overlay:{offset}:{}:{volume}", facts.image_bytes), Some(facts))
            }
            MountSource::Host { preopen, files } => {
                self.plan.host = true;
                let files = files.iter().map(|file| format!("\t{}={}", file.name, file.host_path));
                (format!("host:{preopen}{}", files.collect::<String>()), None)
            }
        };
        let policy = match &mount.rules {
            MountRules::Given(policy) => Some(policy),
            MountRules::None | MountRules::File(_) => None,
        };
        self.line((&mount.path, mount.access, policy), &source, mount.cached_bytes);
        self.plan.mounted.push(Mounted {
            path: mount.path.clone(),
            source: mount.source.to_string(),
            access: mount.access,
            policy: policy.cloned(),
            limits: mount.limits,
            cached_bytes: mount.cached_bytes,
            tree: packed,
        });
        Ok(())
    }

    fn line(
        &mut self,
        (path, access, policy): (&str, MountAccess, Option<&Policy>),
        source: &str,
        cached_bytes: Option<u64>,
    ) {
        let (rights, rules) = rules::lines(policy);
        let cache = cached_bytes.map_or_else(String::new, |bytes| format!("cache={bytes}\n"));
        self.plan.lines += &format!("mount={path}\t{access}{rights}\t{source}\n{cache}{rules}");
    }

    /// Packs a tree with the mountpoints of the mounts at `paths`, once.
    fn tree(
        &mut self,
        table: &Table,
        paths: &[&str],
        mount: &Mount,
        source: &Path,
        volume: &str,
    ) -> Result<(usize, PackedTree), MountError> {
        let mut mountpoints: Vec<&str> = paths.iter().flat_map(|path| table.mountpoints_in(path)).collect();
        mountpoints.sort_unstable();
        mountpoints.dedup();
        let recipe = (
            source.display().to_string(),
            volume.to_owned(),
            mountpoints.iter().map(|path| path.to_string()).collect(),
        );
        if let Some(known) = self.packed.get(&recipe) {
            return Ok(known.clone());
        }
        let purpose = Purpose { path: mount.path.clone(), tree: source.to_owned() };
        let metadata = std::fs::metadata(source).map_err(|error| purpose.unreadable(source, error))?;
        let mut tree = if metadata.is_dir() { directory::read(&purpose)? } else { archive::read(&purpose)? };
        for mountpoint in mountpoints {
            tree.mountpoint(&purpose, mountpoint)?;
        }
        let done = self.image(&purpose, &tree, volume, &name_of(source))?;
        self.packed.insert(recipe, done.clone());
        Ok(done)
    }

    /// Adds an image, and returns its offset among all.
    fn image(
        &mut self,
        purpose: &Purpose,
        tree: &Tree,
        volume: &str,
        name: &str,
    ) -> Result<(usize, PackedTree), MountError> {
        let packed = pack(purpose, tree, volume, name, self.progress)?;
        let images = &mut self.plan.images;
        let offset = images.len();
        let size_bytes = (offset + packed.image.len()) as u64;
        if size_bytes > MAX_IMAGES_BYTES {
            return Err(MountError::TooLarge { size_bytes, max_bytes: MAX_IMAGES_BYTES });
        }
        images.extend_from_slice(&packed.image);
        Ok((offset, packed.facts))
    }
}

/// Joins a value with one noted before; `None` if they differ.
fn join<T: PartialEq + Copy>(known: &mut Option<T>, new: Option<T>) -> Option<()> {
    if known.is_some() && new.is_some() && *known != new {
        return None;
    }
    *known = known.or(new);
    Some(())
}

/// Writes a volume's limits for the adapter: its name, bytes, inodes and names, `-` for no limit.
/// The size of extents and a limit of file sizes come first, as `extent:` and `file:` with the
/// number: an adapter that does not know them refuses the line.
fn limits_line(volume: &str, limits: MountLimits) -> String {
    let number = |limit: Option<u64>| limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    let (bytes, inodes, names) = (number(limits.bytes), number(limits.inodes), number(limits.names));
    let extent = limits.extent_bytes.map_or_else(String::new, |bytes| format!("extent:{bytes}\t"));
    let file = limits.file_bytes.map_or_else(String::new, |bytes| format!("file:{bytes}\t"));
    format!("limits={volume}\t{extent}{file}{bytes}\t{inodes}\t{names}\n")
}

/// Names a tree for people by the last part of its path, which does not tell where it lay.
fn name_of(source: &Path) -> String {
    let last = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let found = last(source).or_else(|| last(&source.canonicalize().ok()?));
    let mut name = found.unwrap_or_else(|| "tree".to_owned()).replace(char::is_control, "\u{fffd}");
    name.truncate(name.floor_char_boundary(kvfs::image::MAX_NAME_BYTES));
    name
}
