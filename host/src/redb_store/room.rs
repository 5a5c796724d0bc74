//! Room on the disk: notices a full disk before changes are acknowledged, and leaves room for
//! removals.
//!
//! Buffered changes have been acknowledged, so no more of them wait than the disk has room for.
//! Changes that grow the store are refused before the last of the disk is used up, because a
//! removal writes pages too before it frees any.

use std::path::Path;

use redb::{Database, StorageError};

use super::file::of_transaction;
use super::state::State;
use crate::Mutation;

/// Room on the disk for removals alone.
const RESERVE_BYTES: u64 = 512 << 10;

/// Bytes in the file for each byte of changes: redb's pages have sizes of powers of two, and a
/// change rewrites the pages above it.
const FILE_BYTES_PER_BYTE: u64 = 2;

/// The known room for a file.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Bytes of changes for which the disk had room when it was last asked.
    on_disk_bytes: usize,
    /// Bytes of changes for which the file has free pages, at least.
    in_file_bytes: usize,
    /// The file was examined since the last commit.
    looked_into: bool,
}

impl Room {
    /// Returns whether the disk has room for so many bytes of changes; nearly always it has far
    /// more.
    pub(super) fn is_plenty(&mut self, path: &Path, bytes: usize) -> bool {
        if bytes > self.on_disk_bytes {
            self.on_disk_bytes = changes(free_bytes(path).saturating_sub(RESERVE_BYTES));
        }
        bytes <= self.on_disk_bytes
    }

    /// Takes room for a commit of so many bytes of changes, on the disk and in the file. Returns
    /// false if there is none.
    pub(super) fn take(&mut self, db: &Database, path: &Path, bytes: usize) -> Result<bool, StorageError> {
        let needed = bytes.saturating_sub(self.on_disk_bytes);
        if needed > self.in_file_bytes && !self.looked_into {
            self.in_file_bytes = changes(free_inside_bytes(db, path)?);
            self.looked_into = true;
        }
        let taken = self.in_file_bytes.checked_sub(needed);
        self.in_file_bytes = taken.unwrap_or(self.in_file_bytes);
        Ok(taken.is_some())
    }

    /// Notes that a commit has changed both.
    pub(super) fn changed(&mut self) {
        (self.on_disk_bytes, self.looked_into) = (0, false);
    }
}

/// Returns how many bytes of changes fit into so many bytes of the file.
fn changes(file_bytes: u64) -> usize {
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

/// Returns the bytes that are free within a file. redb walks all of it.
fn free_inside_bytes(db: &Database, path: &Path) -> Result<u64, StorageError> {
    let transaction = db.begin_write().map_err(of_transaction)?;
    let stats = transaction.stats()?;
    transaction.abort()?;
    let used = stats.allocated_pages().saturating_mul(stats.page_size() as u64);
    Ok(backed_bytes(path)?.saturating_sub(used))
}

/// Returns the bytes of a file that have a place on the disk.
fn backed_bytes(path: &Path) -> Result<u64, StorageError> {
    let metadata = std::fs::metadata(path).map_err(StorageError::Io)?;
    #[cfg(unix)]
    let backed = std::os::unix::fs::MetadataExt::blocks(&metadata).saturating_mul(512);
    #[cfg(not(unix))]
    let backed = u64::MAX;
    Ok(backed.min(metadata.len()))
}

/// Returns whether mutations make the stored data larger.
pub(super) fn grows(state: &State, mutations: &[Mutation<'_>]) -> Result<bool, StorageError> {
    let (mut before, mut after) = (0, 0);
    for mutation in mutations {
        let key_bytes = mutation.key().len();
        after += mutation.value().map_or(0, |value| key_bytes + value.len());
        before += state.get(mutation.key())?.map_or(0, |old| key_bytes + old.len());
    }
    Ok(after > before)
}
