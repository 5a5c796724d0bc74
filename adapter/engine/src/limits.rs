//! Every bound of the file system, with its reason.

use kvfs_contract::Limits;

/// Longest name of a directory entry, in bytes. Every common file system allows as much, and it
/// keeps keys under 520 bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Longest path of an operation, in bytes, with symbolic links expanded: Linux's `PATH_MAX` without
/// its terminating zero.
pub const MAX_PATH_BYTES: usize = 4095;

/// Longest target of a symbolic link, in bytes: it must fit a path. In a volume with smaller
/// extents, the extent size is the limit, so that every record fits a store that takes the volume.
pub const MAX_SYMLINK_BYTES: usize = 4095;

/// Most symbolic links followed on one path: Linux's `MAXSYMLINKS`. More count as a loop.
pub const MAX_SYMLINK_DEPTH: u32 = 40;

/// Largest file, in bytes: offsets are signed 64-bit numbers in every libc. A volume may have a
/// smaller limit of its own: [`crate::Quota::file_bytes`].
pub const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// Longest settings record of a volume, in bytes, frame included. Every opener reads it.
pub const MAX_SETTINGS_BYTES: usize = 64 << 10;

/// Most names of one file: ext4's limit. The record has 32 bits.
pub const MAX_LINKS: u32 = 65_000;

/// Bytes that a quota charges for each inode beside its content: its record in the store, and the
/// orphan or reap record that it may get.
pub const INODE_CHARGE_BYTES: u64 = 128;

/// Bytes that a quota charges for each name beside its length: the record of a directory entry in
/// the store.
pub const NAME_CHARGE_BYTES: u64 = 64;

/// Most mounts of one tree. Each may be a volume with its own caches.
pub const MAX_MOUNTS: usize = 64;

/// Most descriptors open at once, streams included, in all volumes of a table together. Each costs
/// a few dozen bytes here, and as many in the runtime's handle table.
pub const MAX_OPEN_DESCRIPTORS: u32 = 65_536;

/// Most changed records beside file data that wait in all volumes of a table together, so that one
/// volume leaves to the others what it has beyond its share. One alone has no more than fit one
/// commit.
pub const MAX_DIRTY_ENTRIES: usize = 16 << 10;

/// Most entries that all listings under way together hold, in all volumes of a table. Beyond that
/// they read smaller pages.
pub const MAX_HELD_ENTRIES: usize = 256 << 10;

/// Most descriptors, streams and listings open at once in directories of the host, all mounts
/// together. Each may be an open file of the host's process, which usually may have 1,024 on Linux:
/// a guest must not leave the host, or other guests in it, without any.
pub const MAX_HOST_DESCRIPTORS: u32 = 512;

/// Most bytes that one read returns: it bounds the memory that a guest can make the file system
/// allocate.
pub const MAX_READ_BYTES: usize = 1 << 20;

/// Most bytes that one write takes. The caller writes the rest with its next call.
pub const MAX_WRITE_BYTES: usize = 1 << 20;

/// Most entries that a listing fetches at once: a page of names of 255 bytes stays under 1 MiB.
pub const READDIR_PAGE_ENTRIES: u32 = 1024;

/// Most bytes of one page of a directory in the store's answer.
pub const READDIR_PAGE_BYTES: u32 = 256 << 10;

/// Most entries fetched at the first look at a directory. A small directory is then known
/// completely, so that later lookups in it cost nothing.
pub const DIR_PRELOAD_ENTRIES: u32 = 128;

/// Most bytes fetched at that first look.
pub const DIR_PRELOAD_BYTES: u32 = 16 << 10;

/// Removals of names that mode `close` gathers before it stores them. Each saves a store call, and
/// a kill brings back no more names than these.
pub const MAX_GATHERED_REMOVALS: u32 = 64;

/// Most extents deleted in the commit that makes them garbage. More are left to a reap record.
pub const MAX_DIRECT_DELETES: u64 = 64;

/// Garbage extents that one commit deletes along the way.
pub const REAP_STEP_EXTENTS: u64 = 64;

/// Smallest `max-batch-entries` of a usable store: the superblock, which is in every apply, and one
/// record.
pub const MIN_STORE_BATCH_ENTRIES: u32 = Limits::LEAST.max_batch_entries;

/// Smallest `max-batch-bytes` of a usable store: the longest key with its record, twice, and an
/// extent of a useful size.
pub const MIN_STORE_BATCH_BYTES: u32 = Limits::LEAST.max_batch_bytes;

/// Smallest `max-value-bytes` of a usable store: an inode with a symbolic link as long as the
/// smallest extent.
pub const MIN_STORE_VALUE_BYTES: u32 = Limits::LEAST.max_value_bytes;

/// Smallest `max-batch-entries` with which commits are one apply: the records that one rename may
/// change, and some data. On a store with less, commits go through the journal.
pub const MIN_DIRECT_BATCH_ENTRIES: u32 = 16;

/// Smallest `max-batch-bytes` with which commits are one apply.
pub const MIN_DIRECT_BATCH_BYTES: u32 = 16 << 10;

/// Changes of metadata that one commit through the journal gathers.
pub const JOURNAL_ENTRIES: usize = 64;

/// Most bytes of a journal that an opener reads into memory: far more than a commit writes.
pub const MAX_JOURNAL_BYTES: usize = 64 << 20;

/// Smallest `max-key-bytes` of a usable store.
pub const MIN_STORE_KEY_BYTES: u32 = Limits::LEAST.max_key_bytes;

/// Longest volume name, in bytes: its length is one byte of every key.
pub const MAX_VOLUME_NAME_BYTES: usize = 255;

/// Longest name that a guest gives a snapshot or fork of its volume, in bytes: with the volume's name
/// it is a name of a volume, and looking for all of them costs a `scan` for each length.
pub const MAX_OWN_NAME_BYTES: usize = 64;

/// Most snapshots and forks that a guest may be allowed for each volume. They are listed at once.
pub const MAX_OWN_VOLUMES: u32 = 1024;

/// Most bytes of memory, about, that a comparison takes which a guest asks for: as much as the cache
/// may hold. Some 170,000 changed files with short paths, 14,000 with the longest.
pub const MAX_OWN_DIFF_BYTES: u64 = 64 << 20;

/// Layers that the snapshots and forks of a volume may stand on together, beyond one for each that it
/// may have. A guest that writes and snapshots in turn so keeps a bounded multiple of its quota.
pub const MORE_OWN_LAYERS: u32 = 128;

/// Most layers below a volume's top layer. A `get` asks for a record in all of them at once.
pub const MAX_LAYERS: usize = 32;

/// Most places of 8 bytes in a writer's table of records that it put into its layers: it need not look for one
/// where it never put it. Five eighths of the places can be in use.
pub(crate) const MAX_KNOWN_PLACES: usize = 1 << 20;

/// Smallest `max-batch-entries` of a store in which volumes can be forked: a fork changes as many
/// records at once.
pub const MIN_FORK_BATCH_ENTRIES: u32 = 8;

/// Longest pattern of paths, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// Most braces around one another in a pattern: each is a call of the parser.
pub const MAX_PATTERN_DEPTH: usize = 4;

/// Most names of all patterns of a set: a path's state is a `u128`, of which eight bits are the
/// number of a pattern.
pub const MAX_PATTERN_NAMES: u32 = 120;
