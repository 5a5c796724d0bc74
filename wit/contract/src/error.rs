//! Why a call failed.

use std::fmt;

/// Why a call of a store failed. Unless said otherwise, nothing changed.
///
/// Every case but [`Fault`](Self::Fault) crosses the component boundary as the case of the same
/// name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// A guard did not hold. Nothing was applied; the caller reads again and decides anew.
    Conflict,
    /// The call may have been applied or not; the caller must read to find out.
    UnknownOutcome,
    /// The store cannot be reached now. Nothing was applied; the call may be repeated.
    Unavailable(String),
    /// A key, a value or the batch is over the limits, or the answer is larger than the store hands
    /// out at once.
    TooLarge,
    /// The namespace may not grow any more, or the disk is full. A call that only shrinks the
    /// namespace still works, unless the disk itself is full.
    QuotaExceeded,
    /// The namespace takes no changes.
    ReadOnly,
    /// The caller may not use the namespace, or not any more.
    AccessDenied,
    /// The store found its own data damaged. In words: what and where.
    Corrupt(String),
    /// Anything else, in words.
    Other(String),
    /// The host itself is broken (a panic, a poisoned lock, a wrong set-up). A guest never sees
    /// this: its call traps, and the embedder gets the text as the cause.
    Fault(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("a guarded key has another value than expected"),
            Self::UnknownOutcome => f.write_str("the call may have been applied or not"),
            Self::Unavailable(why) => write!(f, "the store cannot be reached: {why}"),
            Self::TooLarge => {
                f.write_str("a key, a value, the batch or the answer is over the store's limits")
            }
            Self::QuotaExceeded => f.write_str("the store is full"),
            Self::ReadOnly => f.write_str("the store is read-only"),
            Self::AccessDenied => f.write_str("access to the store is denied"),
            Self::Corrupt(why) => write!(f, "the store is damaged: {why}"),
            Self::Other(why) => f.write_str(why),
            Self::Fault(why) => write!(f, "fault of the host: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Converts an error between [`StoreError`] and an enum generated from the WIT, whose cases have
/// the same names.
///
/// Arms for cases that only one of the two has follow the types.
///
/// ```
/// # enum Error { Conflict, UnknownOutcome, Unavailable(String), TooLarge, QuotaExceeded, ReadOnly, AccessDenied,
/// #     Corrupt(String), Other(String) }
/// use kvfs_contract::{StoreError, convert_error};
///
/// fn to_wit(error: StoreError) -> Error {
///     convert_error!(error, StoreError => Error, StoreError::Fault(why) => Error::Other(why))
/// }
/// # assert!(matches!(to_wit(StoreError::ReadOnly), Error::ReadOnly));
/// ```
#[macro_export]
macro_rules! convert_error {
    ($error:expr, $From:ident => $To:ident $(, $case:pat => $answer:expr)* $(,)?) => {
        match $error {
            $From::Conflict => $To::Conflict,
            $From::UnknownOutcome => $To::UnknownOutcome,
            $From::Unavailable(why) => $To::Unavailable(why),
            $From::TooLarge => $To::TooLarge,
            $From::QuotaExceeded => $To::QuotaExceeded,
            $From::ReadOnly => $To::ReadOnly,
            $From::AccessDenied => $To::AccessDenied,
            $From::Corrupt(why) => $To::Corrupt(why),
            $From::Other(why) => $To::Other(why),
            $($case => $answer,)*
        }
    };
}
