//! What a failed call of a server's library means.

use kvfs_contract::StoreError;

/// A failed call.
#[derive(Debug)]
pub enum Failure {
    /// The connection is gone, or as good as that: an answer may be missing. In words.
    Lost(String),
    /// The server does not know what it had acknowledged.
    Forgotten,
    /// The server refused the call as a whole.
    Refused(StoreError),
}

impl Failure {
    /// Takes a refusal that may pass for a lost connection: what is in the way may be a connection
    /// that is about to end.
    pub(crate) fn passing(self) -> Self {
        match self {
            Self::Refused(StoreError::Unavailable(why)) => Self::Lost(why),
            other => other,
        }
    }
}
