//! Why a store cannot be opened.

use kvfs_contract::StoreError;

use crate::url::UrlError;

/// Why a store cannot be opened. Every text is one line, says what to do, and has no password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// See [`UrlError`].
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Nobody answers.
    #[error("no Redis answers at {place}: {why}; check the address, and redis: or rediss: for TLS")]
    Unreachable {
        /// Host and port.
        place: String,
        /// The last failure.
        why: String,
    },
    /// The server does not let this user in.
    #[error("{place} does not let this user in: {why}; check REDISCLI_AUTH or the URL")]
    Credentials {
        /// Host and port.
        place: String,
        /// In the server's words.
        why: String,
    },
    /// The user may not run a command that the store needs.
    #[error("this user may not do what the store needs at {place}: {why}; allow it by ACL SETUSER")]
    Denied {
        /// Host and port.
        place: String,
        /// In the server's words.
        why: String,
    },
    /// The connection cannot be encrypted.
    #[error("no encrypted connection to {place}: {why}; see cacert in the URL")]
    Tls {
        /// Host and port.
        place: String,
        /// What went wrong.
        why: String,
    },
    /// The server cannot hold a store.
    #[error("{place} cannot hold a store: {why}")]
    Server {
        /// Host and port.
        place: String,
        /// What it lacks.
        why: String,
    },
    /// The store is not there.
    #[error(
        "there is no store with the prefix {prefix} at {place}: make it with `kvfs run --create`; if there \
         was one, the server has lost it"
    )]
    NoStore {
        /// The prefix.
        prefix: String,
        /// Host and port.
        place: String,
    },
    /// Other data has the names that the store would have.
    #[error("{name} at {place} is not part of a store; name another store by ?prefix=NAME")]
    Taken {
        /// The server's key.
        name: String,
        /// Host and port.
        place: String,
    },
    /// The server has no room, even to open a store.
    #[error("{place}: {source} ({why})")]
    Full {
        /// Host and port.
        place: String,
        /// In the server's words.
        why: String,
        /// As the store's calls say it.
        source: StoreError,
    },
    /// The system has no thread or socket to give.
    #[error("cannot start to connect: {0}")]
    System(#[from] std::io::Error),
    /// Anything else.
    #[error("{place}: {why}")]
    Other {
        /// Host and port.
        place: String,
        /// In words.
        why: String,
    },
}

impl OpenError {
    /// Returns what went wrong, without the place.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Unreachable { why, .. } => why.clone(),
            other => other.to_string(),
        }
    }

    /// Returns true if another attempt may meet a server that answers.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unreachable { .. } => Self::Unavailable(error.to_string()),
            OpenError::Full { source, .. } => source,
            OpenError::Credentials { .. } | OpenError::Denied { .. } => Self::AccessDenied,
            _ => Self::Other(error.to_string()),
        }
    }
}
