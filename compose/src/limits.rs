//! Limits that options and errors name.

/// Longest name of a volume, in bytes: its length is one byte in the store's keys.
pub const MAX_VOLUME_NAME_BYTES: usize = 255;

/// Least bytes of a store in memory: a file system with next to nothing in it.
pub const MIN_MEMORY_BYTES: u64 = kvfs_size::MIN_MEMORY_BYTES;

/// Most bytes of a store in memory. The rest of the 4 GiB of a component's memory is for calls and
/// answers.
pub const MAX_MEMORY_BYTES: u64 = 3 << 30;

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
