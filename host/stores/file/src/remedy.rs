//! What to do about a damaged store.

use kvfs_contract::StoreError;

/// Adds to the words of a damaged store what to do about it.
///
/// The functions of [`KvStore`](kvfs_contract::KvStore) do so themselves; the others leave it to callers,
/// who may know more.
pub fn with_remedy(error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(why) => StoreError::Corrupt(format!("{why}; restore the directory from a copy")),
        error => error,
    }
}
