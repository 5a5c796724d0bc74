//! The trait of all stores on trial, and what their adapters share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kvfs_host::{Guard, Limits, StoreError, SyncStore};

/// A store on trial: open, and to be closed in order.
pub trait Trial: SyncStore {
    /// Makes everything durable and closes the store in order.
    ///
    /// # Errors
    /// As a durable `apply`.
    fn close(self: Box<Self>) -> Result<(), StoreError>;

    /// Runs the library's own check of everything that is stored. `None`: it has none.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn check(&self) -> Option<Result<(), String>> {
        None
    }
}

/// What a trial may change of how a store is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tuning {
    /// Makes tables, segments and logs small, so that a small store has several of each.
    pub small: bool,
}

/// The limits of all adapters.
pub(crate) const LIMITS: Limits = Limits::standard(true);

/// Stands in front of each key where a library has no empty key.
pub(crate) const KEY_PREFIX: u8 = b'k';

/// Returns a key with [`KEY_PREFIX`] in front.
pub(crate) fn stored_key(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len() + 1);
    stored.push(KEY_PREFIX);
    stored.extend_from_slice(key);
    stored
}

/// Fails if a guard does not hold for what `find` returns.
pub(crate) fn hold(
    guards: &[Guard<'_>],
    mut find: impl FnMut(&[u8]) -> Result<Option<Bytes>, StoreError>,
) -> Result<(), StoreError> {
    for guard in guards {
        if !guard.holds(find(guard.key)?.as_deref()) {
            return Err(StoreError::Conflict);
        }
    }
    Ok(())
}

/// Locks, also after a panic of another call: the torture goes on to look what can still be read.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Converts an error of the system.
pub(crate) fn io_error(error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::QuotaExceeded
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}
