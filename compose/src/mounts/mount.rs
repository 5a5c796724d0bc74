//! One mount.

use std::fmt;
use std::path::PathBuf;

/// What the guest finds at a path.
///
/// It is made of its parts, or read from the text that the command takes
/// (`PATH=SOURCE[,ro|rw][,max-bytes=SIZE][,max-inodes=NUMBER][,max-names=NUMBER]`):
///
/// ```
/// use kvfs_compose::{Mount, MountSource};
///
/// let site = MountSource::Image { tree: "dist/site".into() };
/// assert_eq!(Mount::new("/srv/www", site), "/srv/www=image:dist/site".parse()?);
///
/// let data = MountSource::Volume { volume: Some("data".into()) };
/// assert_eq!(Mount::new("/data", data).read_only(), "/data=kv:data,ro".parse()?);
/// # Ok::<(), kvfs_compose::MountError>(())
/// ```
///
/// What is wrong with a text is told:
///
/// ```
/// let error = "data=kv".parse::<kvfs_compose::Mount>().unwrap_err();
/// assert_eq!(error.to_string(), "mount path `data` is relative; write `/data`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// The guest's path: absolute, without `.`, `..` and empty parts, of at most 4,095 bytes.
    pub path: String,
    /// What is there.
    pub source: MountSource,
    /// Whether the guest may change it.
    pub access: MountAccess,
    /// How much its volume may hold.
    pub limits: MountLimits,
}

/// How much a volume may hold from the time on that it is opened so. What it holds already stays; growth over
/// it is refused with `quota`, and everything else goes on working. Without any, those that the volume has stay;
/// where only some are given, the others are lifted.
///
/// Of a volume above a packed tree only what lies above the tree counts: what the guest made or changed. A file comes
/// above with its first change, its bytes by extents of 32 KiB (a file of up to 4 KiB at once), a directory with the first
/// name that comes or goes in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountLimits {
    /// Bytes of files, holes not counted, and of links' targets; with them 128 for each inode, and 64 and its length for
    /// each name. So it bounds what the store takes, whatever the guest makes.
    pub bytes: Option<u64>,
    /// Files, directories and links, the root being one.
    pub inodes: Option<u64>,
    /// Names: a file has as many as it has hard links.
    pub names: Option<u64>,
}

impl MountLimits {
    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for MountLimits {
    /// Writes what the command takes, with a comma before each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(bytes) = self.bytes {
            write!(f, ",max-bytes={bytes}")?;
        }
        if let Some(inodes) = self.inodes {
            write!(f, ",max-inodes={inodes}")?;
        }
        if let Some(names) = self.names {
            write!(f, ",max-names={names}")?;
        }
        Ok(())
    }
}

/// Where the files of a mount are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountSource {
    /// A volume of the store.
    Volume {
        /// Its name; that of [`Compose::volume`](crate::Compose::volume) unless told.
        volume: Option<String>,
    },
    /// A tree that is packed into the component. The guest can only read it, and reading it asks no store.
    Image {
        /// A directory, or a tar, which may be compressed with gzip.
        tree: PathBuf,
    },
    /// A packed tree below a volume of the store: the guest reads the tree, and what it changes is in the
    /// volume. The volume belongs to this tree: with another one it is refused at run time.
    Overlay {
        /// A directory, or a tar, which may be compressed with gzip.
        tree: PathBuf,
        /// The volume's name; that of [`Compose::volume`](crate::Compose::volume) unless told.
        volume: Option<String>,
    },
    /// A directory of the host, which it preopens when it runs the result. The result imports
    /// `wasi:filesystem` for it, of which the guest gets to see this directory alone.
    Host {
        /// The name under which the host preopens it, as in `wasmtime run --dir HOST-DIR::PREOPEN`.
        preopen: String,
        /// What is visible in it; everything if this is empty.
        files: Vec<MappedFile>,
    },
}

/// A file or directory of the host that is visible under a name of its own, where not everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MappedFile {
    /// The name that the guest finds it by, directly in the mount.
    pub name: String,
    /// The path that it has in the host's directory.
    pub host_path: String,
}

impl MappedFile {
    /// Makes what is at a path of the host's directory visible under a name.
    pub fn new(name: impl Into<String>, host_path: impl Into<String>) -> Self {
        Self { name: name.into(), host_path: host_path.into() }
    }
}

/// Whether the guest may change what is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountAccess {
    /// Every change is refused with `read-only`.
    ReadOnly,
    /// As the source allows: an image allows nothing.
    #[default]
    ReadWrite,
}

impl Mount {
    /// Makes a mount that the guest may change, if its source can be changed at all. The path is checked by
    /// [`Compose::build`](crate::Compose::build).
    pub fn new(path: impl Into<String>, source: MountSource) -> Self {
        let access = match source {
            MountSource::Image { .. } => MountAccess::ReadOnly,
            _ => MountAccess::ReadWrite,
        };
        Self { path: path.into(), source, access, limits: MountLimits::default() }
    }

    /// Lets the guest only read it.
    pub fn read_only(mut self) -> Self {
        self.access = MountAccess::ReadOnly;
        self
    }

    /// Lets its volume grow to so many bytes; see [`MountLimits`].
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes = Some(bytes);
        self
    }

    /// Lets its volume grow to so many files, directories and links; see [`MountLimits`].
    pub fn max_inodes(mut self, inodes: u64) -> Self {
        self.limits.inodes = Some(inodes);
        self
    }

    /// Lets its volume grow to so many names; see [`MountLimits`].
    pub fn max_names(mut self, names: u64) -> Self {
        self.limits.names = Some(names);
        self
    }
}

impl fmt::Display for MountAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
        })
    }
}

impl fmt::Display for MountSource {
    /// Writes what the command takes. A path that is not Unicode is written with replacements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |f: &mut fmt::Formatter<'_>, volume: &Option<String>| match volume {
            Some(volume) => write!(f, ":{volume}"),
            None => Ok(()),
        };
        match self {
            Self::Volume { volume } => f.write_str("kv").and_then(|()| with(f, volume)),
            Self::Image { tree } => write!(f, "image:{}", tree.display()),
            Self::Overlay { tree, volume } => {
                write!(f, "overlay:{}", tree.display()).and_then(|()| with(f, volume))
            }
            Self::Host { preopen, files } => {
                write!(f, "host:{preopen}")?;
                files.iter().try_for_each(|file| write!(f, ",file={}={}", file.name, file.host_path))
            }
        }
    }
}

impl fmt::Display for Mount {
    /// Writes what the command takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.path, self.source)?;
        match (&self.source, self.access) {
            (MountSource::Image { .. }, _) | (_, MountAccess::ReadWrite) => {}
            (_, MountAccess::ReadOnly) => f.write_str(",ro")?,
        }
        write!(f, "{}", self.limits)
    }
}
