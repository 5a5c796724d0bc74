//! Types shared by all modules.

use std::fmt;

/// The number of an inode: a file's identity, for as long as the volume exists. Never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeNo(pub u64);

impl InodeNo {
    /// The root directory of every volume.
    pub const ROOT: Self = Self(1);
}

/// Which piece of a file: bytes `[index * extent_size, (index + 1) * extent_size)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ExtentIndex(pub(crate) u64);

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file with bytes.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

impl Kind {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Directory => 2,
            Self::Symlink => 3,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::File),
            2 => Some(Self::Directory),
            3 => Some(Self::Symlink),
            _ => None,
        }
    }
}

/// A point in time: seconds and nanoseconds since 1970-01-01T00:00:00Z; the nanoseconds count forward
/// from the second, also before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Timestamp {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// Nanoseconds from `earlier` to `self`; 0 if the clock went back.
    pub(crate) fn nanoseconds_since(self, earlier: Self) -> u64 {
        // Saturating: 64 bits hold 292 years, and 128 have no instruction in wasm.
        let seconds = self.seconds.saturating_sub(earlier.seconds);
        let nanoseconds = i64::from(self.nanoseconds) - i64::from(earlier.nanoseconds);
        let total = seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
        u64::try_from(total).unwrap_or(0)
    }
}

/// Tells the time. The engine asks when it stamps a change, and never otherwise.
pub trait Clock {
    /// Returns the time of day.
    fn now(&mut self) -> Timestamp;
}

/// What a directory says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dentry {
    pub(crate) kind: Kind,
    pub(crate) ino: InodeNo,
    /// The directory's generation when the name was given: a listing leaves out what is younger than
    /// itself, or one that is fed new names would never end. 0: not known, older than any listing.
    pub(crate) born: u64,
}

impl Dentry {
    /// An entry that is yet to be given its name.
    pub(crate) fn new(kind: Kind, ino: InodeNo) -> Self {
        Self { kind, ino, born: 0 }
    }
}

/// What the file system knows of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its identity.
    pub ino: InodeNo,
    /// What it is.
    pub kind: Kind,
    /// How many names it has; for a directory two and one for each directory in it.
    pub nlink: u64,
    /// Bytes of a file or of a link's target; entries of a directory.
    pub size: u64,
    /// Last access as it was set: reading does not change it.
    pub atime: Timestamp,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of anything.
    pub ctime: Timestamp,
    /// Counts the changes of content and metadata.
    pub generation: u64,
}

/// How a time is to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    Keep,
    /// Set it to the time of the call.
    Now,
    /// Set it to this.
    At(Timestamp),
}

/// Tells images apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageId {
    /// What people call it, up to 255 bytes. Nothing is decided by it.
    pub name: String,
    /// 128 bits of the content: two XXH64 with different seeds. It tells trees apart that differ by
    /// accident, not ones that someone made alike.
    pub digest: [u8; 16],
}

impl ImageId {
    /// The start of the digest, as people are shown it.
    pub fn short_digest(&self) -> String {
        self.digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for ImageId {
    /// The name, and the start of the digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.name.escape_debug(), self.short_digest())
    }
}

/// The number of a mount in its table. One volume may be mounted more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MountNo(pub u32);

/// Where a walk left a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crossing {
    /// Onto a mountpoint: the walk goes on with `rest` at the root of what is mounted there.
    Down {
        /// What is mounted there.
        mount: MountNo,
        /// The path from there on.
        rest: String,
        /// Symbolic links followed so far.
        links: u32,
    },
    /// Above the root, from which nothing but the mount below it leads: the walk goes on with `rest`, which
    /// starts with `..`, at the directory that this volume is mounted on.
    Up {
        /// The path from there on.
        rest: String,
        /// Symbolic links followed so far.
        links: u32,
    },
    /// To a mount of the table that is no volume ([`Mounted::Elsewhere`](crate::Mounted::Elsewhere)): whoever made the table goes on there, and
    /// comes back with [`crate::Mounts::resume`].
    Elsewhere {
        /// The mount.
        mount: MountNo,
        /// The mount below it that the walk came up from; `None` if it came from above, to the root.
        from: Option<MountNo>,
        /// The path from there on. It starts with `..` if the walk came up.
        rest: String,
        /// Symbolic links followed so far.
        links: u32,
    },
}

impl Crossing {
    /// Onto a mountpoint, with what is behind its name in the path: nothing, or a slash and more.
    ///
    /// Slashes at the path's end belong to its last name, whose meaning they change, and go on with it.
    pub fn down(mount: MountNo, behind: &str, links: u32) -> Self {
        let rest = match behind.trim_start_matches('/') {
            // The mountpoint is the last name itself.
            "" => ".",
            rest => rest,
        };
        Self::Down { mount, rest: rest.to_owned(), links }
    }
}
