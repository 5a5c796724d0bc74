//! Why a call of the store failed, in the words of `kvfs:store`.

use crate::{IoError, IoKind};
use std::fmt;

/// What to do with a store that is [damaged](StoreError::Corrupt).
pub const RESTORE: &str = "restore the directory from a copy";

/// Why a call failed. Unless said otherwise, nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// A guard did not hold.
    Conflict,
    /// The call may have been applied or not.
    UnknownOutcome,
    /// The directory does not answer as it should; the call may be repeated. In words: which file, why.
    Unavailable(String),
    /// The disk is full.
    QuotaExceeded,
    /// The directory may not be written.
    ReadOnly,
    /// A newer opener has the store.
    Fenced,
    /// A file is damaged, or is of a later version. In words: which, where; what to do is [`RESTORE`].
    Corrupt(String),
}

impl StoreError {
    /// Says what a failed call of the directory means, for a file.
    pub(crate) fn io(name: &str, error: &IoError) -> Self {
        match error.kind {
            IoKind::NoSpace => Self::QuotaExceeded,
            IoKind::Denied => Self::ReadOnly,
            _ => Self::Unavailable(format!("{name}: {error}")),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("a guarded key has another value than expected"),
            Self::UnknownOutcome => f.write_str("the call may have been applied or not"),
            Self::Unavailable(why) => f.write_str(why),
            Self::QuotaExceeded => f.write_str("the disk is full"),
            Self::ReadOnly => f.write_str("the directory may not be written"),
            Self::Fenced => f.write_str("another program has opened the store since"),
            Self::Corrupt(why) => write!(f, "the store is damaged: {why}; {RESTORE}"),
        }
    }
}

impl std::error::Error for StoreError {}
