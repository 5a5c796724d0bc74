//! Every bound of the file system, with its reason.

/// Longest name of one directory entry, in bytes: what every common file system allows, and what
/// keeps a key under 520 bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Longest path that an operation takes, in bytes, symbolic links expanded: Linux's `PATH_MAX` less
/// the zero that ends a path there.
pub const MAX_PATH_BYTES: usize = 4095;

/// Longest target of a symbolic link, in bytes: it must fit a path. In a volume with smaller extents an
/// extent's size is the limit, so that every record fits a store that takes the volume.
pub const MAX_SYMLINK_BYTES: usize = 4095;

/// Most symbolic links followed on one path: Linux's `MAXSYMLINKS`, after which it is a loop.
pub const MAX_SYMLINK_DEPTH: u32 = 40;

/// Largest file, in bytes: offsets are signed 64-bit numbers in every libc.
pub const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// Most names of one file: ext4's limit is lower, btrfs's is this; the record has 32 bits.
pub const MAX_LINKS: u32 = 65_000;

/// Bytes that a quota charges for each inode beside its content: what its record takes in a store, with those that an
/// inode without a name or with garbage has.
pub const INODE_CHARGE_BYTES: u64 = 128;

/// Bytes that a quota charges for each name beside its own: what the record of a directory entry takes in a store.
pub const NAME_CHARGE_BYTES: u64 = 64;

/// Most mounts of one tree: each may be a volume with caches of its own.
pub const MAX_MOUNTS: usize = 64;

/// Most descriptors open at once, streams included. Each costs a few dozen bytes here and as many in
/// the runtime's handle table.
pub const MAX_OPEN_DESCRIPTORS: u32 = 65_536;

/// Most bytes that one read returns: bounds what a guest can make the file system allocate.
pub const MAX_READ_BYTES: usize = 1 << 20;

/// Most bytes that one write takes; the rest is the caller's next write.
pub const MAX_WRITE_BYTES: usize = 1 << 20;

/// Most entries that one call of `next_entries` fetches: a page of names of 255 bytes stays under 1 MiB.
pub const READDIR_PAGE_ENTRIES: u32 = 1024;

/// Most bytes that one page of a directory may take in the store's answer.
pub const READDIR_PAGE_BYTES: u32 = 256 << 10;

/// Entries fetched when a directory is first looked at: one call, and small directories are then
/// known completely, so that every later question about them is free.
pub const DIR_PRELOAD_ENTRIES: u32 = 128;

/// Bytes fetched at most by that first look.
pub const DIR_PRELOAD_BYTES: u32 = 16 << 10;

/// Removals of names that mode `close` gathers before it stores them: a kill brings back no more. Each
/// costs a store call less.
pub const MAX_GATHERED_REMOVALS: u32 = 64;

/// Extents deleted in the commit that makes them garbage; more are left to a reap record.
pub const MAX_DIRECT_DELETES: u64 = 64;

/// Garbage extents that one commit takes along.
pub const REAP_STEP_EXTENTS: u64 = 64;

/// Smallest `max-batch-entries` of a store: the superblock, which is in every apply, and one record.
pub const MIN_STORE_BATCH_ENTRIES: u32 = 2;

/// Smallest `max-batch-bytes` of a store: the longest key with its record, twice, and a fair extent.
pub const MIN_STORE_BATCH_BYTES: u32 = 4 << 10;

/// Smallest `max-value-bytes` of a store: an inode with a symbolic link as long as the smallest extent.
pub const MIN_STORE_VALUE_BYTES: u32 = 640;

/// `max-batch-entries` from which on commits are one apply: the records that one rename may change, and
/// some data. On a store with less they go through the journal.
pub const MIN_DIRECT_BATCH_ENTRIES: u32 = 16;

/// `max-batch-bytes` from which on they are.
pub const MIN_DIRECT_BATCH_BYTES: u32 = 16 << 10;

/// Changes of metadata that gather for a commit that goes through the journal.
pub const JOURNAL_ENTRIES: usize = 64;

/// Most bytes of a journal that an opener takes into memory; far over what is ever written to one.
pub const MAX_JOURNAL_BYTES: usize = 64 << 20;

/// Smallest `max-key-bytes` of a store.
pub const MIN_STORE_KEY_BYTES: u32 = 520;

/// Longest volume name, in bytes: its length is one byte of every key.
pub const MAX_VOLUME_NAME_BYTES: usize = 255;
