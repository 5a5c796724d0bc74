//! Faults of a store.

use kvfs::StoreError;

/// The ways in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Unavailable,
    UnknownApplied,
    UnknownNotApplied,
    Conflict,
    QuotaExceeded,
    ReadOnly,
    AccessDenied,
    Corrupt,
    /// The store disappears during an apply: its outcome is unknown, and no later call is answered.
    GoneApplied,
    GoneNotApplied,
}

impl Fault {
    pub(super) fn error(self) -> StoreError {
        match self {
            Self::Unavailable => StoreError::Unavailable("by the test".to_owned()),
            Self::UnknownApplied | Self::UnknownNotApplied => StoreError::UnknownOutcome,
            Self::Conflict => StoreError::Conflict,
            Self::QuotaExceeded => StoreError::QuotaExceeded,
            Self::ReadOnly => StoreError::ReadOnly,
            Self::AccessDenied => StoreError::AccessDenied,
            Self::Corrupt => StoreError::Corrupt("by the test".to_owned()),
            Self::GoneApplied | Self::GoneNotApplied => unreachable!("resolved by `turn`"),
        }
    }

    /// Returns whether it can hit a call that only reads.
    pub(super) fn hits_reads(self) -> bool {
        matches!(self, Self::Unavailable | Self::AccessDenied | Self::Corrupt)
    }
}
