//! The mounts that a component was composed with, read from its configuration.

use super::mount::{Cache, MappedFile, Mount, MountAccess, MountLimits, MountSource};
use super::plan::Volumes;
use super::rules;
use super::table::{MAX_MOUNTS, Table};
use crate::audit::Audit;
use crate::error::{MountError, cut};
use crate::instance::InstanceLimits;
use crate::limits::is_extent_size;
use crate::options::{Mode, OWN_VOLUMES, check_volume, read_own_volumes};
use kvfs::Policy;
use kvfs::image::ImageId;
use std::fmt;

/// A mount of a composed component.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FixedMount<'a> {
    /// The guest's path.
    pub path: String,
    /// The guest's access.
    pub access: MountAccess,
    /// Rights at single paths; `None` if everything is allowed.
    pub policy: Option<Policy>,
    /// The limits of its volume.
    pub limits: MountLimits,
    /// The most bytes of it that are cached; `None` if only the instance's limit counts.
    pub cached_bytes: Option<u64>,
    /// The source.
    pub source: FixedSource<'a>,
}

/// The source of a [`FixedMount`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FixedSource<'a> {
    /// A volume of the store.
    Volume {
        /// Its name.
        volume: String,
    },
    /// A packed tree.
    Image {
        /// The image, in the format of `kvfs::image`.
        image: &'a [u8],
    },
    /// A packed tree below a volume of the store.
    Overlay {
        /// The image, in the format of `kvfs::image`.
        image: &'a [u8],
        /// The volume's name.
        volume: String,
    },
    /// A directory of the host.
    Host {
        /// The name under which it is preopened.
        preopen: String,
        /// The visible files; empty if everything is visible.
        files: Vec<MappedFile>,
    },
}

/// Reads the mounts of an untrusted configuration, with the checks that composition makes of
/// options.
///
/// # Errors
///
/// Says what is wrong. A line that this version does not know is an error too.
pub(crate) fn check_config<'a>(config: &str, images: &'a [u8]) -> Result<Vec<FixedMount<'a>>, String> {
    // The adapter reads as far as the first zero byte.
    if config.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err("its configuration has a control character".into());
    }
    let (mut count, mut limits_count) = (0, 0);
    let (mut mode, mut volume, mut audit, mut instance) = (None, None, None, InstanceLimits::default());
    let (mut policy, mut takes_cache, mut own_volumes) = (None, false, None);
    for line in config.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let known = match key {
            // One reader would take the first of two lines, and another the last.
            "mode" => mode.replace(value).is_none() && value.parse::<Mode>().is_ok(),
            "volume" => volume.replace(value).is_none() && check_volume(value).is_ok(),
            "audit" => {
                let read = Audit::of_line(value);
                let is_known = read.is_some();
                audit.replace(read).is_none() && is_known
            }
            OWN_VOLUMES => {
                let read = read_own_volumes(value);
                own_volumes.replace(value).is_none() && read.is_some()
            }
            "mount" => {
                count += 1;
                let mount = read_line(value, images);
                let known = mount.is_some();
                takes_cache = known;
                policy = mount.and_then(|mount| mount.policy);
                known
            }
            // Of the mount before it, once.
            "cache" => std::mem::take(&mut takes_cache) && read_cache(value).is_some(),
            // Of the mount before it. A policy bounds its rules.
            "rule" => policy.as_mut().is_some_and(|policy| policy.add_line(value).is_ok()),
            "limits" => {
                limits_count += 1;
                read_limits(value).is_some()
            }
            limit => instance.read(limit, value).is_some(),
        };
        if !known {
            let line = cut(line);
            return Err(format!("its configuration has a line that this version does not know, `{line}`"));
        }
        // Of each volume there is one line of limits.
        if count > MAX_MOUNTS || limits_count > MAX_MOUNTS {
            return Err(format!("its configuration has more than {MAX_MOUNTS} mounts, or limits"));
        }
    }
    instance.check().map_err(|error| error.to_string())?;
    let mounts = read_lines(config, images);
    let said = |error: MountError| cut(&error.to_string()).into_owned();
    if count > 0 {
        let as_told: Vec<Mount> = mounts.iter().map(FixedMount::as_told).collect();
        as_told.iter().try_for_each(|mount| mount.check_cache_within(&instance)).map_err(said)?;
        let table = Table::new(&as_told).map_err(said)?;
        Volumes::of(&table, volume.unwrap_or(kvfs::DEFAULT_VOLUME)).map_err(said)?;
    }
    let is_mounted = |name: &str| {
        let mut mounted = mounts.iter().map(|mount| &mount.source);
        (count == 0 && volume.unwrap_or(kvfs::DEFAULT_VOLUME) == name)
            || mounted.any(|source| matches!(source, FixedSource::Volume { volume } | FixedSource::Overlay { volume, .. } if volume == name))
    };
    if let Some(audit) = audit.flatten() {
        audit.line(is_mounted).map_err(|error| cut(&error.to_string()).into_owned())?;
    }
    Ok(mounts)
}

impl FixedMount<'_> {
    /// Returns the mount that composition was given. The path of a tree, which is not known, is
    /// replaced by a text that differs from tree to tree.
    fn as_told(&self) -> Mount {
        let tree = |image: &[u8]| format!("{:p}:{}", image.as_ptr(), image.len()).into();
        let source = match &self.source {
            FixedSource::Volume { volume } => MountSource::Volume { volume: Some(volume.clone()) },
            FixedSource::Image { image } => MountSource::Image { tree: tree(image) },
            FixedSource::Overlay { image, volume } => {
                MountSource::Overlay { tree: tree(image), volume: Some(volume.clone()) }
            }
            FixedSource::Host { preopen, files } => {
                MountSource::Host { preopen: preopen.clone(), files: files.clone() }
            }
        };
        let (access, limits, cached_bytes) = (self.access, self.limits, self.cached_bytes);
        let mount = Mount { access, limits, cached_bytes, ..Mount::new(&self.path, source) };
        match &self.policy {
            Some(policy) => mount.policy(policy.clone()),
            None => mount,
        }
    }
}

/// Reads the lines `mount=…` of a configuration. Skips lines that cannot be read, and lines beyond
/// the most that composition writes.
pub(crate) fn read_lines<'a>(config: &str, images: &'a [u8]) -> Vec<FixedMount<'a>> {
    let value = |line: &'_ str, key: &str| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned());
    let lines = config.lines().filter(|line| value(line, "mount").is_some()).take(MAX_MOUNTS);
    if lines.count() == 0 {
        let volume = config.lines().find_map(|line| value(line, "volume"));
        let volume = volume.unwrap_or_else(|| kvfs::DEFAULT_VOLUME.to_owned());
        let source = FixedSource::Volume { volume };
        let (path, access, limits) = ("/".to_owned(), MountAccess::ReadWrite, MountLimits::default());
        return vec![FixedMount { path, access, policy: None, limits, cached_bytes: None, source }];
    }
    let limits = config.lines().filter_map(|line| value(line, "limits")).take(MAX_MOUNTS);
    let limits: Vec<String> = limits.collect();
    let limits: Vec<(&str, MountLimits)> = limits.iter().filter_map(|line| read_limits(line)).collect();
    let mut mounts: Vec<FixedMount<'_>> = Vec::new();
    let (mut count, mut is_read) = (0, false);
    for line in config.lines() {
        if let Some(line) = value(line, "mount") {
            count += 1;
            let mount = read_line(&line, images).filter(|_| count <= MAX_MOUNTS);
            is_read = mount.is_some();
            mounts.extend(mount);
        } else if let Some(bytes) = value(line, "cache").filter(|_| is_read)
            && let Some(mount) = mounts.last_mut()
        {
            mount.cached_bytes = mount.cached_bytes.or(read_cache(&bytes));
        } else if let Some(rule) = value(line, "rule").filter(|_| is_read)
            && let Some(policy) = mounts.last_mut().and_then(|mount| mount.policy.as_mut())
        {
            // A policy bounds its rules.
            let _ = policy.add_line(&rule);
        }
    }
    for mount in &mut mounts {
        if let FixedSource::Volume { volume } | FixedSource::Overlay { volume, .. } = &mount.source
            && let Some((_, limits)) = limits.iter().find(|(name, _)| name == volume)
        {
            mount.limits = *limits;
        }
    }
    mounts
}

fn read_cache(bytes: &str) -> Option<u64> {
    bytes.parse().ok()
}

/// Reads the limits of a volume: its name, the size of extents if that is given, the size of files
/// if that is limited, bytes, inodes and names. The adapter requires the rest.
fn read_limits(line: &str) -> Option<(&str, MountLimits)> {
    let mut parts = line.split('\t').peekable();
    let volume = parts.next()?;
    let mut given = |prefix: &str| parts.next_if(|part| part.starts_with(prefix))?.strip_prefix(prefix);
    let (extent, file) = (given("extent:"), given("file:"));
    let extent_bytes = match extent {
        Some(bytes) => Some(bytes.parse().ok().filter(|bytes| is_extent_size(*bytes))?),
        None => None,
    };
    let file_bytes = match file {
        Some(bytes) => Some(bytes.parse().ok()?),
        None => None,
    };
    let (bytes, inodes, names) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let number = |text: &str| if text == "-" { Some(None) } else { text.parse().ok().map(Some) };
    let (bytes, inodes, names) = (number(bytes)?, number(inodes)?, number(names)?);
    Some((volume, MountLimits { bytes, inodes, names, file_bytes, extent_bytes }))
}

fn read_line<'a>(line: &str, images: &'a [u8]) -> Option<FixedMount<'a>> {
    let mut parts = line.splitn(3, '\t');
    let (path, access, source) = (parts.next()?, parts.next()?, parts.next()?);
    let (access, rights) =
        access.split_once(':').map_or((access, None), |(access, rights)| (access, Some(rights)));
    let policy = rules::read_default(rights)?;
    let access = match access {
        "ro" => MountAccess::ReadOnly,
        "rw" => MountAccess::ReadWrite,
        _ => return None,
    };
    let (kind, rest) = source.split_once(':')?;
    let source = match kind {
        "kv" => FixedSource::Volume { volume: rest.to_owned() },
        "image" => {
            let (image, None) = slice(images, rest)? else { return None };
            FixedSource::Image { image }
        }
        "overlay" => {
            let (image, volume) = slice(images, rest)?;
            FixedSource::Overlay { image, volume: volume?.to_owned() }
        }
        "host" => {
            let mut parts = rest.split('\t');
            let preopen = parts.next()?.to_owned();
            let file = |part: &str| part.split_once('=').map(|(name, path)| MappedFile::new(name, path));
            FixedSource::Host { preopen, files: parts.map(file).collect::<Option<_>>()? }
        }
        _ => return None,
    };
    let (path, limits) = (path.to_owned(), MountLimits::default());
    Some(FixedMount { path, access, policy, limits, cached_bytes: None, source })
}

/// Parses `OFFSET:LENGTH[:REST]`, and returns that range of all images and the rest.
fn slice<'a, 't>(images: &'a [u8], text: &'t str) -> Option<(&'a [u8], Option<&'t str>)> {
    let (offset, rest) = text.split_once(':')?;
    let (length, rest) = rest.split_once(':').map_or((rest, None), |(length, rest)| (length, Some(rest)));
    let (offset, length): (usize, usize) = (offset.parse().ok()?, length.parse().ok()?);
    Some((images.get(offset..offset.checked_add(length)?)?, rest))
}

impl fmt::Display for FixedMount<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.path, self.access)?;
        let image = |f: &mut fmt::Formatter<'_>, image: &[u8]| match ImageId::read(image) {
            Ok(id) => write!(f, "image {id}, {} bytes", image.len()),
            Err(error) => write!(f, "an image of {} bytes that cannot be read: {error}", image.len()),
        };
        match &self.source {
            FixedSource::Volume { volume } => write!(f, "volume `{volume}`{}", self.limits),
            FixedSource::Image { image: bytes } => image(f, bytes),
            FixedSource::Overlay { image: bytes, volume } => {
                write!(f, "volume `{volume}`{} over ", self.limits)?;
                image(f, bytes)
            }
            FixedSource::Host { preopen, files } => {
                write!(f, "the host's directory `{preopen}`")?;
                let file = |file: &MappedFile| format!("`{}` as `{}`", file.host_path, file.name);
                let files: Vec<_> = files.iter().map(file).collect();
                if files.is_empty() { Ok(()) } else { write!(f, ", of it {}", files.join(", ")) }
            }
        }?;
        write!(f, "{}", Cache(self.cached_bytes))?;
        match &self.policy {
            Some(policy) => write!(f, ", {policy}"),
            None => Ok(()),
        }
    }
}
