//! Why a store could not be opened, and what SlateDB's errors mean to a caller.

use crate::reach::{Distance, cause, distance};
use kvfs_contract::{StoreError, with_causes};
use slatedb::{CloseReason, ErrorKind};
use std::fmt;

/// Codes by which services refuse the signature of a clock that is wrong: S3's and Azure's.
const CLOCK: [&str; 3] = ["RequestTimeTooSkewed", "RequestExpired", "Request date header too old"];

/// Paths at which machines of AWS, Google and Azure ask for credentials, where the environment has none.
const METADATA_SERVICES: [&str; 3] = ["/latest/api/token", "/computeMetadata/v1/", "/metadata/identity/"];

/// Why a store could not be opened. No message names the store: the caller knows its URL.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no bucket or container of this name.
    MissingBucket {
        /// True where [`Config::create`](crate::Config::create) makes one.
        can_be_made: bool,
    },
    /// There is no bucket of this name, and the object store makes none.
    BucketNotMade {
        /// What the object store said.
        why: String,
    },
    /// Nothing is stored there, and a store was not to be made.
    MissingStore,
    /// The path holds something else.
    NotAStore {
        /// What is there.
        what: String,
    },
    /// The object store took the credentials for wrong, or for those of somebody without rights.
    Refused {
        /// What the object store said.
        why: String,
    },
    /// There are no credentials: neither in the environment, nor at the service that gives them to
    /// machines of a cloud.
    NoCredentials {
        /// What was tried last.
        why: String,
    },
    /// The clock of this machine and the object store's differ too much for a signature.
    Clock {
        /// What the object store said.
        why: String,
    },
    /// Nobody answers at the object store's endpoint.
    Unreachable {
        /// What failed.
        why: String,
    },
    /// The endpoint speaks no TLS, or has a certificate that this machine does not trust.
    Tls {
        /// What failed.
        why: String,
    },
    /// The endpoint is not encrypted, and the settings do not allow that.
    Unencrypted,
    /// The object store overwrites an object that was only to be created, so that two writers would
    /// not notice each other.
    Unconditional,
    /// The settings cannot be used.
    Settings {
        /// What is wrong.
        why: String,
    },
    /// The object store was not reached, or SlateDB failed.
    Store {
        /// Why.
        source: StoreError,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingBucket { can_be_made: true } => {
                f.write_str("there is no such bucket; check its name, or make it with `kvfs run --create`")
            }
            Self::MissingBucket { can_be_made: false } => {
                f.write_str("there is no such bucket; make it with the tool of its provider")
            }
            Self::BucketNotMade { why } => write!(
                f,
                "there is no such bucket, and none can be made ({why}); make it with the tool of its provider"
            ),
            Self::MissingStore => f.write_str(
                "nothing is stored there; check the path, or make a store with `kvfs run --create`",
            ),
            Self::NotAStore { what } => write!(f, "{what}; name an empty path"),
            Self::Refused { why } => write!(
                f,
                "access was refused ({why}); check the credentials in the environment and their rights"
            ),
            Self::NoCredentials { why } => write!(
                f,
                "there are no credentials ({why}); set those of the object store in the environment, such as \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for S3"
            ),
            Self::Clock { why } => write!(
                f,
                "the clock of this machine is wrong for the object store ({why}); set it, as by NTP, and try \
                 again"
            ),
            Self::Unreachable { why } => write!(
                f,
                "the object store was not reached ({why}); check the endpoint in the environment and the network"
            ),
            Self::Tls { why } => write!(
                f,
                "no encrypted connection ({why}); check that the endpoint speaks TLS, and that this machine \
                 trusts its certificate"
            ),
            Self::Unencrypted => f.write_str(
                "the endpoint is http://, which is not encrypted; use https://, or allow it with \
                 AWS_ALLOW_HTTP=true where the network is yours",
            ),
            Self::Unconditional => f.write_str(
                "the server overwrites what is only to be created (If-None-Match), so two writers would \
                 destroy each other's data; use a server that honours it",
            ),
            Self::Settings { why } => f.write_str(why),
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
            error @ (OpenError::Unreachable { .. } | OpenError::Tls { .. }) => {
                Self::Unavailable(error.to_string())
            }
            error => Self::Other(error.to_string()),
        }
    }
}

/// Returns what an error of the object store means when a store is opened.
pub(crate) fn opening(error: &object_store::Error) -> OpenError {
    use object_store::Error;
    match error {
        Error::NotFound { .. } => OpenError::MissingBucket { can_be_made: false },
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            let why = in_a_line(error);
            if CLOCK.iter().any(|told| why.contains(told)) {
                return OpenError::Clock { why };
            }
            OpenError::Refused { why }
        }
        error => {
            let why = in_a_line(error);
            // Clients report the missing bucket of a list as any other failure.
            if ["NoSuchBucket", "ContainerNotFound", "404 Not Found"].iter().any(|told| why.contains(told)) {
                return OpenError::MissingBucket { can_be_made: false };
            }
            if METADATA_SERVICES.iter().any(|path| why.contains(path)) {
                return OpenError::NoCredentials { why: kvfs_contract::in_a_line(&cause(error)) };
            }
            let cause = || kvfs_contract::in_a_line(&cause(error));
            match distance(error) {
                Some(Distance::Unreachable) => OpenError::Unreachable { why: cause() },
                Some(Distance::Tls) => OpenError::Tls { why: cause() },
                Some(Distance::Unencrypted) => OpenError::Unencrypted,
                None => OpenError::Store { source: StoreError::Unavailable(why) },
            }
        }
    }
}

/// Returns what an error of SlateDB means to a caller whose call changed nothing.
pub(crate) fn meaning(error: &slatedb::Error) -> StoreError {
    match error.kind() {
        // A newer opener has the database.
        ErrorKind::Closed(CloseReason::Fenced) => StoreError::AccessDenied,
        ErrorKind::Closed(CloseReason::Clean) => {
            StoreError::Unavailable("the database is closed; open it again".to_owned())
        }
        ErrorKind::Closed(_) => {
            StoreError::Unavailable(format!("SlateDB ended ({}); open it again", in_a_line(error)))
        }
        ErrorKind::Unavailable => StoreError::Unavailable(in_a_line(error)),
        ErrorKind::Data => {
            StoreError::Corrupt(format!("{}; restore the bucket from a copy", in_a_line(error)))
        }
        _ => StoreError::Other(in_a_line(error)),
    }
}

/// Returns an error and its sources in one line of bounded length. Servers answer with pages of XML
/// that repeat the request; their code and message are enough. Queries of URLs are left out, since
/// a shared access signature is a secret.
pub(crate) fn in_a_line(error: &dyn std::error::Error) -> String {
    let whole = with_causes(&error.to_string(), error);
    let told = match (element(&whole, "Code"), element(&whole, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => whole,
    };
    let words: Vec<_> = told.split_whitespace().map(without_query).collect();
    kvfs_contract::in_a_line(&words.join(" "))
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inside)
}

fn without_query(word: &str) -> &str {
    match word.find("://").and_then(|_| word.find('?')) {
        Some(query) => &word[..query],
        None => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        in_a_line(&std::io::Error::other(text.to_owned()))
    }

    #[test]
    fn what_a_server_says_becomes_one_line_without_secrets() {
        let page = "status 403: <?xml?>\n<Error><Code>SignatureDoesNotMatch</Code>\n<Message>The key\nis \
                    wrong</Message><StringToSign>AWS4</StringToSign></Error>";
        assert_eq!(line(page), "SignatureDoesNotMatch: The key is wrong");
        assert_eq!(
            line("error for url (https://a.blob/c?sig=secret&se=1): refused"),
            "error for url (https://a.blob/c refused"
        );
        assert_eq!(line("a\u{7}\nb <Code>"), "a b <Code>");
    }
}
