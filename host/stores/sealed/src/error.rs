//! Why a sealed store could not be opened.

use kvfs_contract::{Limits, StoreError};

/// Why a sealed store could not be opened or wrapped anew, and what to do about it. The store was
/// left as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The key opens nothing here.
    #[error("this is not the store's key; give the passphrase or key file that it was sealed with")]
    WrongKey,
    /// The store is sealed with a key file, and a passphrase was given, or the other way round.
    #[error("the store is sealed with a {sealed_with}, not with a {given}; give that")]
    OtherKind {
        /// The kind of key that opens it.
        sealed_with: &'static str,
        /// The kind of key that was given.
        given: &'static str,
    },
    /// The store has entries that are not sealed.
    #[error("the store has data that is not sealed; open it without a key, or copy the files to a new store")]
    NotSealed,
    /// The store is empty, and nothing was to be made.
    #[error("the store is empty; nothing is sealed in it yet")]
    Empty,
    /// The header fails its checksum, or is no header at all.
    #[error("the header of the sealed store is damaged ({why}); restore the store from a copy")]
    DamagedHeader {
        /// The fault.
        why: &'static str,
    },
    /// The header is gone, and sealed entries are there.
    #[error(
        "the header of the sealed store is missing, and no key opens its entries without it; \
         restore the header from a copy of the store"
    )]
    HeaderGone,
    /// The header, or the caller, asks for more memory or time than is allowed.
    #[error(
        "{memory_kib} KiB, {passes} passes and {lanes} lanes to check a passphrase are more than is allowed; \
         restore the store from a copy, or choose a lower cost for a new one"
    )]
    CostTooHigh {
        /// Memory for Argon2id.
        memory_kib: u32,
        /// Passes of Argon2id.
        passes: u32,
        /// Lanes of Argon2id.
        lanes: u32,
    },
    /// The header, or the caller, asks for less than Argon2id takes: 8 KiB for each lane, 1 pass, 1
    /// lane.
    #[error(
        "{memory_kib} KiB, {passes} passes and {lanes} lanes to check a passphrase are less than Argon2id takes; \
         restore the store from a copy, or choose a higher cost for a new one"
    )]
    CostTooLow {
        /// Memory for Argon2id.
        memory_kib: u32,
        /// Passes of Argon2id.
        passes: u32,
        /// Lanes of Argon2id.
        lanes: u32,
    },
    /// The store was sealed by a later version.
    #[error("the store is sealed in form {found}; this program knows form 1; use a newer one")]
    Newer {
        /// The form found.
        found: u8,
    },
    /// The limits of the store below leave too little after what sealing adds.
    #[error("the store takes too little in a call to be sealed; what would be left is {left:?}")]
    TooSmall {
        /// The limits that a sealed store on it would have.
        left: Limits,
    },
    /// The store below failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
