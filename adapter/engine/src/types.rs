//! Types shared by all modules.

use std::fmt;

/// The number of an inode: a file's identity. A volume never gives a number out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeNo(pub u64);

impl InodeNo {
    /// The root directory of every volume.
    pub const ROOT: Self = Self(1);
}

/// The index of a piece of a file: bytes `[index * extent_size, (index + 1) * extent_size)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ExtentIndex(pub(crate) u64);

/// The kind of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// A point in time, since 1970-01-01T00:00:00Z. The nanoseconds count forward from the second, also
/// before 1970.
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

/// Tells the time. The engine asks only when it stamps a change.
pub trait Clock {
    /// Returns the time of day.
    fn now(&mut self) -> Timestamp;
}

/// A directory entry, without its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dentry {
    pub(crate) kind: Kind,
    pub(crate) ino: InodeNo,
    /// The directory's generation when the name was added; 0 if it is not known. A listing leaves
    /// out entries younger than itself: otherwise a listing that is fed new names would never end.
    pub(crate) born: u64,
}

impl Dentry {
    /// An entry that has no name yet.
    pub(crate) fn new(kind: Kind, ino: InodeNo) -> Self {
        Self { kind, ino, born: 0 }
    }
}

/// The metadata of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its identity.
    pub ino: InodeNo,
    /// Its kind.
    pub kind: Kind,
    /// The number of its names. A directory has two, and one more for each directory in it.
    pub nlink: u64,
    /// Bytes of a file or of a link's target; entries of a directory.
    pub size: u64,
    /// Last access, as it was set. Reading does not change it.
    pub atime: Timestamp,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of anything.
    pub ctime: Timestamp,
    /// Counts the changes of content and metadata.
    pub generation: u64,
}

/// How to set a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    Keep,
    /// Set it to the time of the call.
    Now,
    /// Set it to this.
    At(Timestamp),
}

/// The identity of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageId {
    /// A name for people, up to 255 bytes. Nothing depends on it.
    pub name: String,
    /// A digest of the content: two XXH64 with different seeds. It tells apart trees that differ by
    /// accident, not trees that an attacker made to collide.
    pub digest: [u8; 16],
}

impl ImageId {
    /// The start of the digest, to be shown to people.
    pub fn short_digest(&self) -> String {
        self.digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for ImageId {
    /// Writes the name and the start of the digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.name.escape_debug(), self.short_digest())
    }
}

/// The number of a mount in its table. One volume may be mounted more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MountNo(pub u32);

/// The exit of a walk from a volume, and how the walk goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crossing {
    /// Onto a mountpoint. The walk goes on with `rest`, at the root of that mount.
    Down {
        /// The mount at the mountpoint.
        mount: MountNo,
        /// The rest of the path.
        rest: String,
        /// Symbolic links followed so far.
        links: u32,
    },
    /// Above the root of the volume. The walk goes on with `rest`, which starts with `..`, at the
    /// directory that this volume is mounted on.
    Up {
        /// The rest of the path.
        rest: String,
        /// Symbolic links followed so far.
        links: u32,
    },
    /// To a mount that is no volume of the table
    /// ([`Mounted::Elsewhere`](crate::Mounted::Elsewhere)). The owner of the table walks on there,
    /// and comes back with [`Mounts::resume`](crate::Mounts::resume).
    Elsewhere {
        /// The mount.
        mount: MountNo,
        /// The mount below from which the walk came up; `None` if it came down, to the root.
        from: Option<MountNo>,
        /// The rest of the path. It starts with `..` if the walk came up.
        rest: String,
        /// Symbolic links followed so far.
        links: u32,
    },
}

impl Crossing {
    /// Makes a crossing onto a mountpoint. `behind` follows its name in the path: it is empty, or a
    /// slash and more.
    ///
    /// Slashes at the end of a path belong to its last name and stay with it: they change its
    /// meaning.
    pub fn down(mount: MountNo, behind: &str, links: u32) -> Self {
        let rest = match behind.trim_start_matches('/') {
            // The mountpoint is the last name itself.
            "" => ".",
            rest => rest,
        };
        Self::Down { mount, rest: rest.to_owned(), links }
    }
}
