//! Why a store could not be opened, and what etcd's errors mean.

use kvfs_contract::{StoreError, with_causes};
use std::fmt;
use std::io;
use tonic::{Code, Status};

/// Why a store could not be opened. No message names the store: the caller knows its URL.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// Nothing is stored below the prefix, and a store was not to be made.
    MissingStore,
    /// The prefix holds something else.
    NotAStore {
        /// What is there.
        what: String,
    },
    /// The user or the password is wrong, is missing, or lacks rights.
    Refused {
        /// What etcd said.
        why: String,
    },
    /// The server is too old or its limits are too low.
    Unsupported {
        /// What it lacks.
        what: String,
    },
    /// The settings cannot be used.
    Settings {
        /// What is wrong.
        why: String,
    },
    /// No server was reached, or it failed.
    Store {
        /// Why.
        source: StoreError,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingStore => f.write_str(
                "nothing is stored there; check the prefix, or make a store with `kvfs run --create`",
            ),
            Self::NotAStore { what } => write!(f, "{what}; name another prefix"),
            Self::Refused { why } => write!(
                f,
                "access was refused ({why}); set ETCDCTL_USER=NAME:PASSWORD to a user that may read and \
                 write the prefix"
            ),
            Self::Unsupported { what } => f.write_str(what),
            Self::Settings { why } => f.write_str(why),
            Self::Store { source: source @ StoreError::Unavailable(_) } => write!(
                f,
                "{source}; check the address, that the server runs, and etcd:// or etcds:// for TLS"
            ),
            Self::Store { source } => source.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store { source } => Some(source),
            _ => None,
        }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store { source } => source,
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<Status> for OpenError {
    fn from(status: Status) -> Self {
        match kind(&status) {
            Kind::Refused => Self::Refused { why: in_a_line(&status) },
            _ => Self::Store { source: meaning(&status) },
        }
    }
}

/// What an error asks the caller to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The token is not known any more; a new one may be.
    Token,
    /// The user may not do that.
    Refused,
    /// The server's space is used up.
    Full,
    /// The answer is larger than the client takes.
    Large,
    /// The request did not reach the server: nothing was done.
    Unsent,
    /// The server or the way to it failed: the request may have been done.
    Broken,
    /// The server refuses the request as it is.
    Wrong,
}

pub(crate) fn kind(status: &Status) -> Kind {
    let text = status.message();
    match status.code() {
        Code::Unauthenticated => Kind::Token,
        Code::PermissionDenied => Kind::Refused,
        Code::InvalidArgument
            if text.contains("authentication failed") || text.contains("user name is empty") =>
        {
            Kind::Refused
        }
        Code::InvalidArgument if text.contains("revision of auth store is old") => Kind::Token,
        Code::ResourceExhausted if text.contains("database space exceeded") => Kind::Full,
        Code::OutOfRange if text.contains("message length too large") => Kind::Large,
        _ if never_sent(status) => Kind::Unsent,
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded => {
            Kind::Broken
        }
        Code::Aborted | Code::DataLoss | Code::ResourceExhausted => Kind::Broken,
        _ => Kind::Wrong,
    }
}

/// Returns whether the connection was never there.
fn never_sent(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::ConnectionRefused;
        }
        source = error.source();
    }
    false
}

/// Returns what an error means to a caller whose call changed nothing.
pub(crate) fn meaning(status: &Status) -> StoreError {
    match kind(status) {
        Kind::Token | Kind::Refused => StoreError::AccessDenied,
        Kind::Full => StoreError::QuotaExceeded,
        Kind::Large => StoreError::TooLarge,
        Kind::Unsent | Kind::Broken => StoreError::Unavailable(in_a_line(status)),
        Kind::Wrong => StoreError::Other(in_a_line(status)),
    }
}

/// Returns an error and its sources in one line of bounded length.
pub(crate) fn in_a_line(status: &Status) -> String {
    let line = kvfs_contract::in_a_line(&with_causes(status.message(), status));
    if line.is_empty() { format!("{:?}", status.code()) } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_becomes_one_line() {
        assert_eq!(in_a_line(&Status::unknown("a\nb\u{7}")), "a b");
        assert_eq!(in_a_line(&Status::unavailable("")), "Unavailable");
    }

    #[test]
    fn a_lost_connection_is_no_refused_one() {
        let status = |kind: io::ErrorKind| Status::from_error(Box::new(io::Error::from(kind)));
        assert_eq!(kind(&status(io::ErrorKind::ConnectionRefused)), Kind::Unsent);
        assert_eq!(kind(&status(io::ErrorKind::ConnectionReset)), Kind::Broken);
        assert_eq!(kind(&Status::deadline_exceeded("late")), Kind::Broken);
    }
}
