//! What the store asks of a bucket.

use kvfs_contract::StoreError;
use std::fmt;

/// Values by name. Names are ASCII letters, digits and dots, values have at most 64 KiB. Names that do not start
/// with `kvfs.` are left alone.
///
/// # Order and durability
///
/// - A call takes place at some moment between its start and its return, for all who use the bucket: what was set
///   before is what a later get finds, whoever asks.
/// - What is left after a crash, of the client or of the bucket, is what some first part of the calls made it, in
///   their order; of the last `set` of them, part of the value may be there instead of all of it. What has returned
///   is lost only if the bucket does not keep what it acknowledged, and then with everything after it.
/// - A call that failed took place or did not; it does not take place later.
pub trait Bucket {
    /// Returns the value of a name.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError>;

    /// Sets the value of a name, whether it had one or not.
    fn set(&self, name: &str, value: &[u8]) -> Result<(), BucketError>;

    /// Removes a name and its value. That it is not there is no error.
    fn delete(&self, name: &str) -> Result<(), BucketError>;
}

/// Why a call of a [`Bucket`] failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BucketError {
    /// The bucket may not be used so.
    Denied,
    /// Anything else, in the host's words.
    Failed(String),
}

impl BucketError {
    /// Returns what the failure means to the caller of the store, for the value of this name.
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
