//! The bucket that the store needs.

use kvfs_contract::StoreError;
use std::fmt;

/// A service that keeps values by name. Names are ASCII letters, digits and dots; values have at
/// most 64 KiB. The store leaves names alone that do not start with `kvfs.`.
///
/// # Order and durability
///
/// - A call takes place at one moment between its start and its return, for all who use the bucket:
///   a get finds what was set before, whoever asks.
/// - A crash, of the client or of the bucket, leaves the result of some first part of the calls, in
///   their order; of the last `set` among them, only a part of the value may be there. A bucket
///   that keeps what it acknowledged loses no call that has returned; one that does not loses a
///   suffix of the calls.
/// - A call that failed took place or did not; it does not take place later.
pub trait Bucket {
    /// Returns the value of a name.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError>;

    /// Sets the value of a name, whether it had one or not.
    fn set(&self, name: &str, value: &[u8]) -> Result<(), BucketError>;

    /// Removes a name and its value. Removing an absent name is not an error.
    fn delete(&self, name: &str) -> Result<(), BucketError>;
}

/// Why a call of a [`Bucket`] failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BucketError {
    /// The bucket denies this use.
    Denied,
    /// Anything else, in the host's words.
    Failed(String),
}

impl BucketError {
    /// Returns the error of a store's call that failed because of this one, on the value of this
    /// name.
    pub(crate) fn at(&self, name: &str) -> StoreError {
        match self {
            Self::Denied => StoreError::AccessDenied,
            Self::Failed(why) => StoreError::Unavailable(format!("{name}: {why}")),
        }
    }
}

impl fmt::Display for BucketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("access denied"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BucketError {}
