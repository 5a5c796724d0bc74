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
    #[error("no PostgreSQL answers at {place}: {why}; check the address and that the server runs")]
    Unreachable {
        /// Hosts and ports.
        place: String,
        /// The last failure.
        why: String,
    },
    /// The server does not let this user in.
    #[error("{place} does not let this user in: {why}; check PGUSER, PGPASSWORD or the password file")]
    Credentials {
        /// Hosts and ports.
        place: String,
        /// In the server's words.
        why: String,
    },
    /// The connection cannot be encrypted as asked for.
    #[error("no encrypted connection to {place}: {why}; see sslmode and sslrootcert in the URL")]
    Tls {
        /// Hosts and ports.
        place: String,
        /// What went wrong.
        why: String,
    },
    /// The database is not there.
    #[error("the database is not at {place}: {why}; make it with `kvfs run --create`")]
    NoDatabase {
        /// Hosts and ports.
        place: String,
        /// In the server's words.
        why: String,
    },
    /// The table is not there.
    #[error("there is no table {table} at {place}: make it with `kvfs run --create`")]
    NoTable {
        /// The table.
        table: String,
        /// Hosts and ports.
        place: String,
    },
    /// A table of this name has other columns.
    #[error("the table {table} at {place} is not a store: {why}; name another one by ?table=NAME")]
    OtherTable {
        /// The table.
        table: String,
        /// Hosts and ports.
        place: String,
        /// In the server's words.
        why: String,
    },
    /// The server cannot do what the store needs.
    #[error("{place} cannot hold a store: {why}")]
    Server {
        /// Hosts and ports.
        place: String,
        /// What it lacks.
        why: String,
    },
    /// The user may not do this.
    #[error("this user may not use the table at {place}: {why}; grant it, or name another user")]
    Denied {
        /// Hosts and ports.
        place: String,
        /// In the server's words.
        why: String,
    },
    /// The server has no room, even to open a store.
    #[error("{place}: {source} ({why})")]
    Full {
        /// Hosts and ports.
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
        /// Hosts and ports.
        place: String,
        /// In the server's words.
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
