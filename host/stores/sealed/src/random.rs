//! Where random bytes come from.

use kvfs_contract::StoreError;

/// A source of random bytes: the system's in a program, a seeded one in a test.
///
/// Nonces and keys are taken from it, so a source that repeats itself gives everything away.
pub trait Random: Send {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`StoreError::Fault`]: there are no random bytes to be had. Nothing is stored then.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError>;
}
