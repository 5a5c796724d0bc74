//! One mount.

use super::rules::MountRules;
use kvfs::{Policy, Rights};
use std::fmt;
use std::path::PathBuf;

/// A path of the guest, and the source of the files there.
///
/// It is made of its parts, or parsed from the text that the command takes
/// (`PATH=SOURCE[,ro|rw][,allow=RIGHTS][,policy=FILE][,max-bytes=SIZE][,max-inodes=NUMBER]`
/// `[,max-names=NUMBER][,max-file-bytes=SIZE][,extent-size=SIZE][,cache=SIZE]`):
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
/// The error for a text says what is wrong:
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
    /// The source.
    pub source: MountSource,
    /// The guest's access.
    pub access: MountAccess,
    /// Rights where no rule matches; see [`Rights`]. A read-only mount takes no
    /// changes all the same.
    pub allow: Rights,
    /// Rights at single paths.
    pub rules: MountRules,
    /// The limits of its volume, and the size of its extents.
    pub limits: MountLimits,
    /// The most bytes of its files, inodes and names that are cached: 1 MiB to what the
    /// [instance](crate::InstanceLimits::max_cached_bytes) may cache, which is the default.
    ///
    /// It is a ceiling within the cache that all mounts share, and reserves nothing. A mount that
    /// streams evicts no more of the others than fits below it. A quarter is for extents, dirty ones
    /// included; what is open stays and may exceed it, as may the last two writes.
    pub cached_bytes: Option<u64>,
}

/// Limits on the content of a volume, for this component alone: they are not stored. Where the
/// volume has a limit too (`kvfs settings set`), the smaller counts. Content beyond them stays.
/// Growth beyond them is refused with `quota`, of a file with `file-too-large`; everything else
/// goes on working.
///
/// In a volume above a packed tree, only what the guest made or changed counts. A file is copied up
/// with its first change, its bytes in extents of 32 KiB (a file of up to 4 KiB at once). A
/// directory is copied up with the first name that is added or removed in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountLimits {
    /// Bytes of files without their holes, and of link targets, plus 128 for each inode and 64 and
    /// its length for each name. So it bounds the size of the store, whatever the guest makes.
    pub bytes: Option<u64>,
    /// Files, directories and links, the root included.
    pub inodes: Option<u64>,
    /// Names: a file has as many as it has hard links.
    pub names: Option<u64>,
    /// Bytes of the largest file, holes included. A write that begins below is cut short there.
    pub file_bytes: Option<u64>,
    /// Bytes of an extent, the piece in which the bytes of files are stored: a power of two from
    /// 4 KiB to 1 MiB, 16 KiB by default. It is fixed when the volume is made, so it counts for a
    /// volume that this component makes; one that is there keeps its own. A volume above a packed
    /// tree has the tree's, 32 KiB.
    ///
    /// A small write into a large file stores its whole extent: 4 or 8 KiB suit databases. Files
    /// that are only streamed cost less with 64 KiB.
    pub extent_bytes: Option<u32>,
}

impl MountLimits {
    /// Returns true if there is no limit.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for MountLimits {
    /// Writes the options as the command takes them, each after a comma.
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
        if let Some(bytes) = self.file_bytes {
            write!(f, ",max-file-bytes={bytes}")?;
        }
        if let Some(bytes) = self.extent_bytes {
            write!(f, ",extent-size={bytes}")?;
        }
        Ok(())
    }
}

/// The source of the files of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountSource {
    /// A volume of the store.
    Volume {
        /// Its name; that of [`Compose::volume`](crate::Compose::volume) by default.
        volume: Option<String>,
    },
    /// A tree that is packed into the component. The guest can only read it. Reads do not reach the
    /// store.
    Image {
        /// A directory, or a tar, which may be compressed with gzip.
        tree: PathBuf,
    },
    /// A packed tree below a volume of the store: the guest reads the tree, and its changes are in
    /// the volume. The volume belongs to this tree: with another tree it is refused at run time.
    Overlay {
        /// A directory, or a tar, which may be compressed with gzip.
        tree: PathBuf,
        /// The volume's name; that of [`Compose::volume`](crate::Compose::volume) by default.
        volume: Option<String>,
    },
    /// A directory that the host preopens when it runs the result. The result imports
    /// `wasi:filesystem` for it; the guest sees only this directory.
    Host {
        /// The name under which the host preopens it, as in `wasmtime run --dir HOST-DIR::PREOPEN`.
        preopen: String,
        /// The visible files; empty if everything is visible.
        files: Vec<MappedFile>,
    },
}

/// A file or directory of the host in a mount that shows only some, under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MappedFile {
    /// The guest's name of it, directly in the mount.
    pub name: String,
    /// Its path in the host's directory.
    pub host_path: String,
}

impl MappedFile {
    /// Makes a path of the host's directory visible under a name.
    pub fn new(name: impl Into<String>, host_path: impl Into<String>) -> Self {
        Self { name: name.into(), host_path: host_path.into() }
    }
}

/// A guest's access to the files of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountAccess {
    /// Refuses every change with `read-only`.
    ReadOnly,
    /// Allows the changes that the source allows; an image allows none.
    #[default]
    ReadWrite,
}

impl Mount {
    /// Makes a mount that the guest may change, if the source allows changes.
    /// [`Compose::build`](crate::Compose::build) checks the path.
    pub fn new(path: impl Into<String>, source: MountSource) -> Self {
        let access = match source {
            MountSource::Image { .. } => MountAccess::ReadOnly,
            _ => MountAccess::ReadWrite,
        };
        let (allow, rules) = (Rights::ALL, MountRules::None);
        let (path, limits) = (path.into(), MountLimits::default());
        Self { path, source, access, allow, rules, limits, cached_bytes: None }
    }

    /// Makes it read-only.
    pub fn read_only(mut self) -> Self {
        self.access = MountAccess::ReadOnly;
        self
    }

    /// Lets the guest do only this where no rule matches.
    pub fn allow(mut self, rights: Rights) -> Self {
        self.allow = rights;
        self
    }

    /// Sets what the guest may do at which paths, and where no rule matches.
    ///
    /// A volume that is mounted at two paths has the policy of each at each.
    ///
    /// ```
    /// use kvfs_compose::{Mount, MountSource, Policy, Rights};
    ///
    /// let data = MountSource::Volume { volume: Some("data".into()) };
    /// let read = Rights::DIR_READ | Rights::FILE_READ;
    /// let policy = Policy::new(read).allow("tmp/**", Rights::ALL)?.hide("**/.env")?;
    /// let mount = Mount::new("/data", data).policy(policy);
    /// assert_eq!(mount.allow, read);
    /// # Ok::<(), kvfs_compose::PolicyError>(())
    /// ```
    pub fn policy(mut self, policy: Policy) -> Self {
        self.allow = policy.default_rights();
        self.rules = MountRules::Given(policy);
        self
    }

    /// Limits its volume to this many bytes; see [`MountLimits`].
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes = Some(bytes);
        self
    }

    /// Limits its volume to this many files, directories and links; see [`MountLimits`].
    pub fn max_inodes(mut self, inodes: u64) -> Self {
        self.limits.inodes = Some(inodes);
        self
    }

    /// Limits its volume to this many names; see [`MountLimits`].
    pub fn max_names(mut self, names: u64) -> Self {
        self.limits.names = Some(names);
        self
    }

    /// Limits the files of its volume to this many bytes each; see [`MountLimits`].
    pub fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.limits.file_bytes = Some(bytes);
        self
    }

    /// Sets the size of extents, if this component makes its volume: see
    /// [`MountLimits::extent_bytes`]. [`Compose::build`](crate::Compose::build) checks it.
    pub fn extent_bytes(mut self, bytes: u32) -> Self {
        self.limits.extent_bytes = Some(bytes);
        self
    }

    /// Caches no more than this many bytes of it; see [`Mount::cached_bytes`].
    /// [`Compose::build`](crate::Compose::build) checks the number.
    pub fn cached_bytes(mut self, bytes: u64) -> Self {
        self.cached_bytes = Some(bytes);
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
    /// Writes the text that the command takes. Bytes of a path that are not Unicode are replaced.
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
    /// Writes the text that the command takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.path, self.source)?;
        match (&self.source, self.access) {
            (MountSource::Image { .. }, _) | (_, MountAccess::ReadWrite) => {}
            (_, MountAccess::ReadOnly) => f.write_str(",ro")?,
        }
        if self.allow != Rights::ALL {
            write!(f, ",allow={}", self.allow)?;
        }
        write!(f, "{}{}{}", self.rules, self.limits, Cache(self.cached_bytes))
    }
}

/// The option `cache=` as the command takes it, after a comma; nothing if there is none.
pub(super) struct Cache(pub(super) Option<u64>);

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |bytes| write!(f, ",cache={bytes}"))
    }
}
