//! Words for errors: the remedy for a damaged store, and the reason of another error.

use kvfs_contract::StoreError;

/// Adds the remedy to the message of a damaged store.
///
/// The functions of [`KvStore`](kvfs_contract::KvStore) do so themselves. The store's other
/// functions leave it to callers, who may know a better one.
pub fn with_remedy(error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(why) => StoreError::Corrupt(format!("{why}; restore the directory from a copy")),
        error => error,
    }
}

/// Returns the words of an error for a message that says itself that the store cannot be reached.
pub(crate) fn reason(error: StoreError) -> String {
    match error {
        StoreError::Unavailable(why) => why,
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_does_not_say_again_that_the_store_cannot_be_reached() {
        let unreachable = StoreError::Unavailable("1.lease: no such device".into());
        assert_eq!(reason(unreachable), "1.lease: no such device");
        let corrupt = StoreError::Corrupt("1.kvfs is missing".into());
        assert_eq!(reason(corrupt), "the store is damaged: 1.kvfs is missing");
    }
}
