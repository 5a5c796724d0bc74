//! Options for opening a volume.

use crate::limits::MAX_OPEN_DESCRIPTORS;
use crate::quota::Quota;

/// When changes are handed to the store. See SEMANTICS for what a kill and a crash lose in each
/// mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Every operation that changes something is durable when it returns.
    Strict,
    /// A file's bytes are in the store when it is closed, a change of names when it returns.
    #[default]
    Close,
    /// Changes gather until a sync, the end of the program, or a limit of size or age.
    Lazy,
}

/// The name of the volume that is used if none is given.
pub const DEFAULT_VOLUME: &str = "main";

/// How much may stay in memory.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Bytes of extents, dirty ones included. Those that are used once, as in a stream, leave room
    /// for those that are used again.
    pub extent_bytes: usize,
    /// Inodes that are neither open nor dirty.
    pub inodes: usize,
    /// Bytes of small files and link targets, which lie in their inodes. Dirty ones may exceed it,
    /// by up to what fits one commit.
    pub inode_bytes: usize,
    /// Directory entries, known-missing names included.
    pub dentries: usize,
}

impl CacheLimits {
    /// The sum of the default limits, in bytes.
    pub const DEFAULT_BYTES: usize = 64 << 20;

    /// Bytes that an inode takes in wasm, with its bookkeeping and its share of the table.
    pub const INODE_BYTES: usize = 288;

    /// Bytes that a directory entry with a name of up to 40 bytes takes, as [`Self::INODE_BYTES`].
    pub const DENTRY_BYTES: usize = 128;

    /// Returns limits of about so many bytes together: a quarter for extents, one for small files
    /// and targets, one for inodes and one for entries, each of which counts with its bookkeeping.
    pub const fn of_bytes(bytes: usize) -> Self {
        let quarter = bytes / 4;
        Self {
            extent_bytes: quarter,
            inodes: quarter / Self::INODE_BYTES,
            inode_bytes: quarter,
            dentries: quarter / Self::DENTRY_BYTES,
        }
    }
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self::of_bytes(Self::DEFAULT_BYTES)
    }
}

/// How to open a volume.
#[derive(Debug, Clone)]
pub struct Options {
    /// The volume's name in its store, 1 to 255 bytes.
    pub volume: String,
    /// When changes are handed to the store.
    pub mode: Mode,
    /// Limits of the cache. Volumes of one [`crate::Mounts`] share the cache, and what may be dirty
    /// and open: together they hold no more than the largest limits of any of them.
    pub cache: CacheLimits,
    /// A ceiling of this volume alone, within `cache`, whose dirty bytes then fit its extents. It
    /// reserves nothing: what the volume does not hold is left to the others. The last two
    /// writes, of up to [`crate::limits::MAX_WRITE_BYTES`] each, may exceed it.
    pub own_cache: Option<CacheLimits>,
    /// Bytes of file data that may wait in memory before they are handed to the store. One write,
    /// of up to [`crate::limits::MAX_WRITE_BYTES`], may exceed it.
    pub max_dirty_bytes: usize,
    /// How long a change may wait in memory, in nanoseconds. The next change after that stores it.
    pub max_dirty_age_nanoseconds: u64,
    /// Descriptors open at once, streams and listings included: up to
    /// [`crate::limits::MAX_OPEN_DESCRIPTORS`].
    pub max_open_descriptors: u32,
    /// Extent size of a new volume: a power of two from 512 to 1 MiB.
    pub extent_bytes: u32,
    /// In a new volume, files up to this size lie in their inode's record; at most the extent size.
    pub inline_bytes: u32,
    /// The quota from now on. `None` keeps the one there is, and gives a new volume none.
    pub quota: Option<Quota>,
    /// Limits of this opener alone, beside the volume's quota: of each limit, the smaller counts.
    /// They are not stored.
    pub own_quota: Quota,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            volume: DEFAULT_VOLUME.to_owned(),
            mode: Mode::default(),
            cache: CacheLimits::default(),
            own_cache: None,
            max_dirty_bytes: 8 << 20,
            max_dirty_age_nanoseconds: 1_000_000_000,
            max_open_descriptors: MAX_OPEN_DESCRIPTORS,
            extent_bytes: 16 << 10,
            inline_bytes: 4 << 10,
            quota: None,
            own_quota: Quota::default(),
        }
    }
}
