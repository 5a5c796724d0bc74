//! The state that readers need: the buffered changes, and a snapshot of the file from before them.

use std::io::ErrorKind;

use bytes::Bytes;
use kvfs_contract::{Answer, KeyRange, ScanBudget};
use kvfs_gathered::{Changes, StoredEntry};
use redb::{AccessGuard, StorageError};

use super::file::Table;
use crate::{Entry, Guard, Limits, MAX_ANSWER_BYTES, StoreError, contract};

pub(super) const LIMITS: Limits = Limits::standard(true);

pub(super) struct State {
    pub(super) overlay: Changes,
    /// `None` once the store is closed, because a snapshot keeps the file open and locked.
    pub(super) table: Option<Table>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("overlay", &self.overlay).finish_non_exhaustive()
    }
}

type Bytestring<'t> = AccessGuard<'t, &'static [u8]>;

/// An entry of the file: key and value.
struct Stored<'t>(Bytestring<'t>, Bytestring<'t>);

impl StoredEntry for Stored<'_> {
    fn key(&self) -> &[u8] {
        self.0.value()
    }

    fn into_entry(self) -> Entry {
        let (key, value) = (Bytes::copy_from_slice(self.0.value()), Bytes::copy_from_slice(self.1.value()));
        Entry { key, value }
    }
}

impl State {
    fn table(&self) -> Result<&Table, StorageError> {
        self.table.as_ref().ok_or(StorageError::DatabaseClosed)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.overlay.value(key, || {
            let stored = redb::ReadableTable::get(self.table()?, key)?;
            Ok(stored.map(|value| Bytes::copy_from_slice(value.value())))
        })
    }

    pub(super) fn get_all(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let mut answer = Answer::new(keys.len());
        for key in keys {
            answer.push(self.get(key)?).map_err(|_| StorageError::ValueTooLarge(MAX_ANSWER_BYTES))?;
        }
        Ok(answer.finish())
    }

    pub(super) fn page(&self, range: KeyRange<'_>, budget: ScanBudget) -> Result<Vec<Entry>, StorageError> {
        let stored = redb::ReadableTable::range::<&[u8]>(self.table()?, range)?;
        let stored = stored.map(|entry| entry.map(|(key, value)| Stored(key, value)));
        self.overlay.merge(range, stored, budget)
    }

    pub(super) fn holds_all(&self, guards: &[Guard<'_>]) -> Result<bool, StorageError> {
        for guard in guards {
            if !self.holds(guard)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds(&self, guard: &Guard<'_>) -> Result<bool, StorageError> {
        self.overlay.holds(guard, || {
            let stored = redb::ReadableTable::get(self.table()?, guard.key)?;
            Ok(guard.holds(stored.as_ref().map(|value| value.value())))
        })
    }
}

pub(super) fn poisoned() -> StoreError {
    contract::poisoned("a redb store")
}

/// Returns whether redb answers nothing more until the file is opened anew, as after an I/O error or
/// one of its panics.
pub(super) fn given_up(error: &StorageError) -> bool {
    matches!(error, StorageError::PreviousIo | StorageError::DatabaseClosed | StorageError::LockPoisoned(_))
}

/// Converts a failure of redb to the error for the caller of the store.
pub(super) fn store_error(error: StorageError) -> StoreError {
    match error {
        StorageError::Corrupted(text) => StoreError::Corrupt(text),
        StorageError::LockPoisoned(_) => poisoned(),
        StorageError::ValueTooLarge(_) => StoreError::TooLarge,
        StorageError::Io(error) => match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                StoreError::QuotaExceeded
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => StoreError::ReadOnly,
            _ => StoreError::Unavailable(error.to_string()),
        },
        other => StoreError::Unavailable(other.to_string()),
    }
}
