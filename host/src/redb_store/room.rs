//! Room on the disk: notices a full disk before changes are acknowledged, and leaves room for
//! removals.
//!
//! Buffered changes have been acknowledged, so no more of them wait than the disk has room for.
//! Changes that grow the store are refused before the last of the disk is used up, because a
//! removal writes pages too before it frees any.

use std::path::Path;

use redb::{Database, StorageError};

use super::file::of_transaction;
use crate::room::{DiskRoom, changes_within};

/// The known room for a file.
#[derive(Debug, Default)]
pub(super) struct Room {
    on_disk: DiskRoom,
    /// Bytes of changes for which the file has free pages, at least.
    in_file_bytes: usize,
    /// The file was examined since the last commit.
    looked_into: bool,
}

impl Room {
    /// Returns whether the disk has room for so many bytes of changes.
    pub(super) fn is_plenty(&mut self, path: &Path, bytes: usize) -> bool {
        self.on_disk.is_plenty(path, bytes)
    }

    /// Takes room for a commit of so many bytes of changes, on the disk and in the file. Returns
    /// false if there is none.
    pub(super) fn take(&mut self, db: &Database, path: &Path, bytes: usize) -> Result<bool, StorageError> {
        let needed = self.on_disk.missing_bytes(bytes);
        if needed > self.in_file_bytes && !self.looked_into {
            self.in_file_bytes = changes_within(free_inside_bytes(db, path)?);
            self.looked_into = true;
        }
        let taken = self.in_file_bytes.checked_sub(needed);
        self.in_file_bytes = taken.unwrap_or(self.in_file_bytes);
        Ok(taken.is_some())
    }

    /// Notes that a commit has changed both.
    pub(super) fn changed(&mut self) {
        (self.on_disk, self.looked_into) = (DiskRoom::default(), false);
    }
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
