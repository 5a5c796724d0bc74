//! Why a call to a store failed, and what becomes of it: most errors are codes that the guest sees,
//! one ends the guest.

/// Why a call to a store failed. Unless said otherwise, nothing changed.
///
/// Every variant but [`Fault`](StoreError::Fault) reaches the guest as the error code of the same
/// name in `kvfs:store`; a fault of the host traps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A guard did not hold. Nothing was applied. The caller reads again and decides anew.
    #[error("a guarded key has another value than expected")]
    Conflict,
    /// The call may have been applied or not: the connection or the disk failed half way.
    /// The caller must read to find out.
    #[error("the call may have been applied or not")]
    UnknownOutcome,
    /// The store cannot be reached now. Nothing was applied; the call may be repeated.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// A key, a value, the batch or the answer is over the limits that the store states.
    #[error("a key, a value, the batch or the answer is over the store's limits")]
    TooLarge,
    /// The namespace may not grow any more, or the disk is full.
    /// A call that only shrinks the namespace still works unless the disk itself is full.
    #[error("the store may not grow any more")]
    QuotaExceeded,
    /// The namespace takes no changes.
    #[error("the store is read-only")]
    ReadOnly,
    /// The caller may not use the namespace, or not any more.
    #[error("access to the store is denied")]
    AccessDenied,
    /// The store found its own data damaged. In words: what and where.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// Anything else that the guest may know, in words.
    #[error("{0}")]
    Other(String),
    /// The host itself is broken (a panic, a poisoned lock, a wrong set-up). The guest never sees
    /// it: its call traps, and the embedder gets this text as the cause.
    #[error("fault of the host: {0}")]
    Fault(String),
}

impl StoreError {
    /// The error for a lock whose owner panicked: what it protects may be half changed.
    pub(crate) fn poisoned(what: &str) -> Self {
        StoreError::Fault(format!("a thread panicked while it changed {what}; open the store anew"))
    }
}
