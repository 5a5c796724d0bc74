//! Why a call of the store failed, in the words of `kvfs:store`.

use crate::BucketError;
use std::fmt;

/// Why a call failed. Unless said otherwise, nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// A guard did not hold.
    Conflict,
    /// The call may have been applied or not.
    UnknownOutcome,
    /// The bucket does not answer as it should; the call may be repeated.
    Unavailable(String),
    /// A key or a value is longer than the store takes.
    TooLarge,
    /// The bucket may not be used so.
    Denied,
    /// A newer opener has the store.
    Fenced,
    /// A value of the bucket is damaged, missing, or of a later version. In words: which.
    Corrupt(String),
}

impl StoreError {
    /// Says what a failed call of the bucket means, for a name.
    pub(crate) fn bucket(name: &str, error: &BucketError) -> Self {
        match error {
            BucketError::Denied => Self::Denied,
            BucketError::Failed(why) => Self::Unavailable(format!("{name}: {why}")),
        }
    }

    /// Says that a value is not what was set.
    pub(crate) fn damaged(name: &str, how: &str) -> Self {
        Self::Corrupt(format!("{name} {how}; restore the bucket from a copy"))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("a guarded key has another value than expected"),
            Self::UnknownOutcome => f.write_str("the call may have been applied or not"),
            Self::Unavailable(why) => write!(f, "the bucket does not answer: {why}"),
            Self::TooLarge => f.write_str("a key or a value is too long"),
            Self::Denied => f.write_str("the bucket may not be used"),
            Self::Fenced => f.write_str("another program has opened the store since"),
            Self::Corrupt(why) => write!(f, "the store is damaged: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}
