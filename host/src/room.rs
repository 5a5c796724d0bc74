//! Room on the disk for changes that wait: what was acknowledged must find room later.

use std::path::Path;

use bytes::Bytes;

use crate::Mutation;

/// Room on the disk for removals alone.
const RESERVE_BYTES: u64 = 512 << 10;

/// Bytes in the file for each byte of changes: redb's pages have sizes of powers of two, and a
/// change rewrites the pages above it.
const FILE_BYTES_PER_BYTE: u64 = 2;

/// The known room on a disk.
#[derive(Debug, Default)]
pub(crate) struct DiskRoom {
    /// Bytes of changes for which the disk had room when it was last asked.
    known_bytes: usize,
}

impl DiskRoom {
    /// Returns whether the disk has room for so many bytes of changes; nearly always it has far
    /// more.
    pub(crate) fn is_plenty(&mut self, path: &Path, bytes: usize) -> bool {
        if bytes > self.known_bytes {
            self.known_bytes = changes_within(free_bytes(path).saturating_sub(RESERVE_BYTES));
        }
        bytes <= self.known_bytes
    }

    /// Returns how many of so many bytes of changes had no room when the disk was last asked.
    pub(crate) fn missing_bytes(&self, bytes: usize) -> usize {
        bytes.saturating_sub(self.known_bytes)
    }
}

/// Returns how many bytes of changes fit into so many bytes of the file.
pub(crate) fn changes_within(file_bytes: u64) -> usize {
    usize::try_from(file_bytes / FILE_BYTES_PER_BYTE).unwrap_or(usize::MAX)
}

/// Returns the bytes that the disk has free for a file. Where the system does not tell, the commit
/// finds out: some file systems have no answer, others one of zeros.
#[cfg(unix)]
pub(crate) fn free_bytes(path: &Path) -> u64 {
    match rustix::fs::statvfs(path) {
        Ok(disk) if disk.f_blocks > 0 => disk.f_bavail.saturating_mul(disk.f_frsize),
        _ => u64::MAX,
    }
}

#[cfg(not(unix))]
pub(crate) fn free_bytes(_: &Path) -> u64 {
    u64::MAX
}

/// Returns whether mutations make the stored data larger. `value` returns the value of a key.
pub(crate) fn grows<E>(
    mutations: &[Mutation<'_>],
    mut value: impl FnMut(&[u8]) -> Result<Option<Bytes>, E>,
) -> Result<bool, E> {
    let (mut before, mut after) = (0, 0);
    for mutation in mutations {
        let key_bytes = mutation.key().len();
        after += mutation.value().map_or(0, |value| key_bytes + value.len());
        before += value(mutation.key())?.map_or(0, |old| key_bytes + old.len());
    }
    Ok(after > before)
}
