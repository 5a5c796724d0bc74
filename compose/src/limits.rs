//! Limits that options and errors name.

/// Longest name of a volume, in bytes: its length is one byte in the store's keys.
pub const MAX_VOLUME_NAME_BYTES: usize = 255;

/// Least bytes of a store in memory: a file system with next to nothing in it.
pub const MIN_MEMORY_BYTES: u64 = kvfs_size::MIN_MEMORY_BYTES;

/// Most bytes of a store in memory. The rest of the 4 GiB of a component's memory is for calls and
/// answers.
pub const MAX_MEMORY_BYTES: u64 = 3 << 30;

/// Fewest and most descriptors, streams and listings that an instance may have open at once.
pub const MIN_DESCRIPTORS: u32 = 16;
/// See [`MIN_DESCRIPTORS`].
pub const MAX_DESCRIPTORS: u32 = kvfs::limits::MAX_OPEN_DESCRIPTORS;

/// Fewest and most bytes that an instance may be told to cache. The most leaves room in the 4 GiB
/// of a component's memory for images.
pub const MIN_CACHED_BYTES: u64 = 1 << 20;
/// See [`MIN_CACHED_BYTES`].
pub const MAX_CACHED_BYTES: u64 = 1 << 30;

/// Fewest and most bytes of files that may be told to wait for a commit. The fewest are two extents
/// of the usual size: with less, each write would be a commit.
pub const MIN_DIRTY_BYTES: u64 = 64 << 10;
/// See [`MIN_DIRTY_BYTES`].
pub const MAX_DIRTY_BYTES: u64 = 256 << 20;

/// Smallest and largest extents that a mount may ask for. With smaller ones the target of a link
/// could not have the length that WASI allows.
pub const MIN_EXTENT_BYTES: u32 = 4 << 10;
/// See [`MIN_EXTENT_BYTES`].
pub const MAX_EXTENT_BYTES: u32 = 1 << 20;

/// Returns whether extents of a volume can have this size.
pub(crate) fn is_extent_size(bytes: u32) -> bool {
    bytes.is_power_of_two() && (MIN_EXTENT_BYTES..=MAX_EXTENT_BYTES).contains(&bytes)
}

/// Most files, directories and links of a tree that is packed.
pub(crate) const MAX_TREE_ENTRIES: usize = 2 << 20;

/// Most bytes of the paths and link targets of a tree that is packed. A few bytes of an archive can
/// name a path with a directory for each letter.
pub(crate) const MAX_TREE_NAME_BYTES: usize = 256 << 20;

/// Most bytes of all images of a component: half of the 4 GiB that its memory can have. The file
/// system works in the other half.
pub(crate) const MAX_IMAGES_BYTES: u64 = 2 << 30;

/// Most bytes of a guest and a provider that a result keeps beside their sections: types and names.
pub(crate) const MAX_KEPT_BYTES: u64 = 64 << 20;

/// Snapshots and forks that a guest may have of each volume, if control of volumes is allowed without
/// a number.
pub const DEFAULT_OWN_VOLUMES: u32 = 64;
/// Most snapshots and forks that a guest may be allowed for each volume: the file system lists them at
/// once.
pub const MAX_OWN_VOLUMES: u32 = kvfs::limits::MAX_OWN_VOLUMES;
