//! Room: what a store's limits mean for a volume and its commits.

use crate::cache::dirty::Dirty;
use crate::error::{Error, Result};
use crate::limits::{self, MAX_SYMLINK_BYTES};
use crate::options::Options;
use crate::store::Limits;
use crate::stored::key::KeySpace;
use crate::stored::record::FRAME_BYTES;
use crate::stored::record::inode::FIXED_BYTES;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::{MIN_EXTENT_BYTES, Superblock};

/// Bytes of a key, a frame and the fields of an inode, rounded up. The superblock is no longer.
pub(crate) const RECORD_OVERHEAD_BYTES: u32 =
    limits::MIN_STORE_KEY_BYTES + (FRAME_BYTES + FIXED_BYTES) as u32 + 64;

/// Records that one operation may change beside file data. A rename over an open file changes two
/// directories, two entries, two inodes and an orphan record. Direct deletes come on top.
pub(crate) const ENTRIES_PER_OPERATION: usize = 9;

/// How much may be dirty before a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    entries: usize,
    bytes: usize,
    /// The longest inline content of an inode, and the extent size.
    content_bytes: usize,
    extent_bytes: u32,
    /// One apply takes less than that: most commits go through the journal.
    pub(crate) journalled: bool,
}

/// Fails for a store that can hold no volume.
pub(crate) fn check_limits(limits: &Limits) -> Result<()> {
    if limits.max_key_bytes < limits::MIN_STORE_KEY_BYTES {
        return Err(Error::StoreLimits("max-key-bytes must be at least 520"));
    }
    if limits.max_batch_entries < limits::MIN_STORE_BATCH_ENTRIES {
        return Err(Error::StoreLimits("max-batch-entries must be at least 2"));
    }
    if limits.max_batch_bytes < limits::MIN_STORE_BATCH_BYTES {
        return Err(Error::StoreLimits("max-batch-bytes must be at least 4096"));
    }
    if limits.max_value_bytes < limits::MIN_STORE_VALUE_BYTES {
        return Err(Error::StoreLimits("max-value-bytes must be at least 640"));
    }
    Ok(())
}

/// Longest target of a symbolic link, in bytes, in a volume with this extent size. No inode's
/// record becomes longer than the volume's other records.
pub(crate) fn max_symlink_bytes(extent_bytes: u32) -> usize {
    MAX_SYMLINK_BYTES.min(extent_bytes as usize)
}

/// Longest inline content of an inode.
fn max_content_bytes(superblock: &Superblock) -> usize {
    max_symlink_bytes(superblock.extent_bytes).max(superblock.inline_bytes as usize)
}

/// Returns the room of a commit. Fails if the store cannot take every record: each must fit one
/// value, and one apply beside the superblock.
pub(crate) fn check_fit(superblock: &Superblock, limits: &Limits) -> Result<Room> {
    let (extent, content) = (superblock.extent_bytes as usize, max_content_bytes(superblock));
    let overhead = RECORD_OVERHEAD_BYTES as usize;
    let (max_value, max_batch) = (limits.max_value_bytes as usize, limits.max_batch_bytes as usize);
    // Inline content is no longer than an extent.
    if FRAME_BYTES + extent > max_value || FRAME_BYTES + FIXED_BYTES + content > max_value {
        return Err(Error::StoreLimits("this volume's records are longer than the store's max-value-bytes"));
    }
    if extent + 2 * overhead > max_batch {
        return Err(Error::StoreLimits("this volume's records do not fit the store's max-batch-bytes"));
    }
    let direct = limits.max_batch_entries >= limits::MIN_DIRECT_BATCH_ENTRIES
        && (superblock.inline_bytes as usize + overhead) * (limits::MIN_DIRECT_BATCH_ENTRIES as usize / 2)
            <= max_batch
        && (extent + overhead) * 2 <= max_batch;
    let (entries, bytes) = if direct {
        (limits.max_batch_entries as usize, max_batch)
    } else {
        let entries = limits::JOURNAL_ENTRIES;
        (entries, (content + overhead) * entries + (extent + overhead) * 2)
    };
    let extent_bytes = superblock.extent_bytes;
    Ok(Room { entries, bytes, content_bytes: content, extent_bytes, journalled: !direct })
}

/// Fails if a store cannot take settings: they are one value, and one apply with the superblock.
pub(crate) fn check_settings_fit(
    settings: &SettingsRecord,
    superblock: &Superblock,
    keys: &KeySpace,
    limits: &Limits,
) -> Result<()> {
    let (key, value) = settings.stored(keys);
    let bytes = value.map_or(0, |value| value.len());
    // One byte more tells of the settings.
    let beside = key.len() + keys.superblock().len() + superblock.encoded_bytes() + 1;
    if bytes > limits::MAX_SETTINGS_BYTES {
        return Err(Error::StoreLimits("settings have at most 64 KiB"));
    }
    if bytes > limits.max_value_bytes as usize {
        return Err(Error::StoreLimits("the settings are longer than the store's max-value-bytes"));
    }
    if bytes + beside > limits.max_batch_bytes as usize {
        return Err(Error::StoreLimits("the settings do not fit the store's max-batch-bytes"));
    }
    Ok(())
}

/// Returns the extent size and inline limit of a new volume: as asked for, or less if the store
/// takes less.
pub(crate) fn fitting_sizes(options: &Options, limits: &Limits) -> (u32, u32) {
    let value_room = limits.max_value_bytes.saturating_sub((FRAME_BYTES + FIXED_BYTES) as u32);
    let batch_room = |records: u32| (limits.max_batch_bytes / records).saturating_sub(RECORD_OVERHEAD_BYTES);
    let mut extent_bytes = options.extent_bytes.max(MIN_EXTENT_BYTES);
    while extent_bytes > value_room.min(batch_room(2)) && extent_bytes > MIN_EXTENT_BYTES {
        extent_bytes /= 2;
    }
    // A store whose commits are one apply must take as many small files in it as `check_fit` asks
    // for. With the journal, an apply that takes two records is enough.
    let direct = limits.max_batch_entries >= limits::MIN_DIRECT_BATCH_ENTRIES
        && limits.max_batch_bytes >= limits::MIN_DIRECT_BATCH_BYTES;
    let inline_room = batch_room(if direct { limits::MIN_DIRECT_BATCH_ENTRIES / 2 } else { 2 });
    // Bytes that leave the record must fit the first extent.
    (extent_bytes, options.inline_bytes.min(inline_room).min(value_room).min(extent_bytes))
}

impl Room {
    /// Returns whether another operation, with its direct deletes, fits one commit with what is dirty.
    pub(crate) fn fits_operation(&self, dirty: &Dirty) -> bool {
        let extent_bytes = self.extent_bytes.saturating_add(RECORD_OVERHEAD_BYTES) as usize;
        self.fits(dirty, ENTRIES_PER_OPERATION + self.max_direct_deletes() as usize, 2, extent_bytes)
    }

    /// As [`Room::fits_operation`], for an operation that writes no extent.
    pub(crate) fn fits_change_of_names(&self, dirty: &Dirty) -> bool {
        self.fits(dirty, ENTRIES_PER_OPERATION + self.max_direct_deletes() as usize, 2, 0)
    }

    /// Returns whether `entries` more mutations, of which `records` carry a small file, and
    /// `extent_bytes` of extents fit one commit with everything that must go together already.
    fn fits(&self, dirty: &Dirty, entries: usize, records: usize, extent_bytes: usize) -> bool {
        let entries = dirty.metadata_entries() + entries;
        let bytes = (dirty.inodes.len() + records).saturating_mul(self.content_bytes)
            + entries.saturating_mul(RECORD_OVERHEAD_BYTES as usize)
            + dirty.with_inode_bytes
            + extent_bytes;
        entries <= self.entries && bytes <= self.bytes
    }

    /// How many extents the next operation can bind to their inodes, if [`Room::fits_operation`]:
    /// at least one.
    pub(crate) fn bound_extents(&self, dirty: &Dirty) -> u64 {
        let entries = dirty.metadata_entries() + ENTRIES_PER_OPERATION;
        let free = self.entries.saturating_sub(entries);
        let extent_bytes = self.extent_bytes.saturating_add(2 * RECORD_OVERHEAD_BYTES) as usize;
        // Halving is exact enough, and the largest stores fit at once.
        let mut count = free;
        while count > 1 && !self.fits(dirty, ENTRIES_PER_OPERATION, 2, count.saturating_mul(extent_bytes)) {
            count /= 2;
        }
        count.max(1) as u64
    }

    /// Returns whether the removal of an inode fits one commit with what is dirty.
    pub(crate) fn fits_removal(&self, dirty: &Dirty) -> bool {
        self.fits(dirty, 2 + self.max_direct_deletes() as usize, 0, 0)
    }

    /// Most extents deleted in the commit that makes them garbage.
    pub(crate) fn max_direct_deletes(&self) -> u64 {
        limits::MAX_DIRECT_DELETES.min(self.entries as u64 / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every store whose limits are accepted can hold a new volume.
    #[test]
    fn a_new_volume_fits_every_store_that_is_taken() {
        for entries in [2, 3, 15, 16, 10_000] {
            for bytes in [4096, 5000, 8192, 16 << 10, 64 << 10, 16 << 20] {
                for value in [640, 700, 1024, 4096, 64 << 10, 2 << 20] {
                    let limits = Limits {
                        max_key_bytes: 520,
                        max_value_bytes: value,
                        max_batch_entries: entries,
                        max_batch_bytes: bytes,
                        durable: true,
                    };
                    check_limits(&limits).unwrap();
                    let (extent, inline) = fitting_sizes(&Options::default(), &limits);
                    let superblock = Superblock::new([7; 16], extent, inline);
                    check_fit(&superblock, &limits).unwrap_or_else(|error| panic!("{limits:?}: {error}"));
                    assert!(Superblock::decode(b"k", &superblock.encode(b"k")).is_ok());
                }
            }
        }
    }
}
