//! Why a store could not be opened, and the error for damage.

use kvfs_contract::StoreError;
use std::fmt;

/// Why a store could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Another program opened the store at the same moment, a little later. Another attempt would
    /// take the store from it.
    Overtaken,
    /// The store or its bucket failed.
    Store(StoreError),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overtaken => f.write_str("another program has opened the store at the same moment"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Overtaken => None,
            Self::Store(error) => Some(error),
        }
    }
}

/// Returns the error for a value of the bucket that differs from the value that was set.
pub(crate) fn damaged(name: &str, how: &str) -> StoreError {
    StoreError::Corrupt(format!("{name} {how}; restore the bucket from a copy"))
}
