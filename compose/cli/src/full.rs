//! Stores that are full: how to make room.

use crate::terminal::with_causes;
use anyhow::{Error, anyhow};
use kvfs_host::{StoreError, how_to_make_room};

/// Ends an error of the libraries that has no better advice, as it does not know the store.
const ADVICE: &str = "; make room for it, and try again";

/// Adds to an error how to make room in the store that `url` names, if it is full. Any other error stays
/// as it is.
pub(crate) fn with_room(url: &str, error: Error) -> Error {
    if !error.chain().any(is_full) {
        return error;
    }
    let told = with_causes(&error);
    let told = told.strip_suffix(ADVICE).unwrap_or(&told);
    anyhow!("{told}; make room for it: {}", how_to_make_room(url))
}

fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let of_store = match error.downcast_ref::<kvfs::Error>() {
        Some(kvfs::Error::Store(error)) => Some(error),
        _ => error.downcast_ref::<StoreError>(),
    };
    of_store == Some(&StoreError::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfs_host::FilesError;

    fn of(source: kvfs::Error) -> FilesError {
        FilesError::Volume { doing: "write", volume: "v".to_owned(), path: "/a".to_owned(), source }
    }

    #[test]
    fn only_a_store_that_is_full_needs_room() {
        let told = |error: Error| with_causes(&with_room("etcd://host/p", error.context("etcd://host/p")));
        let full = || kvfs::Error::Store(StoreError::QuotaExceeded);
        let room = how_to_make_room("etcd://host/p");
        for error in [anyhow!(of(full())), anyhow!(full()), anyhow!(StoreError::QuotaExceeded)] {
            let told = told(error);
            assert!(told.ends_with(&format!("the store is full; make room for it: {room}")), "{told}");
            assert!(told.starts_with("etcd://host/p: "), "{told}");
        }
        // A limit of the volume is not the server's.
        for error in [anyhow!(of(kvfs::Error::Quota)), anyhow!(StoreError::TooLarge)] {
            assert!(!told(error).contains(room));
        }
    }
}
