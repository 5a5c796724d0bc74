//! Why a store cannot be opened, and what foreign errors say.

use kvfs_contract::{StoreError, in_a_line, with_causes};

use crate::url::UrlError;

/// Why a store cannot be opened. Every text is one line, says what to do, and has no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// See [`UrlError`].
    #[error(transparent)]
    Url(#[from] UrlError),
    /// There is no token.
    #[error(
        "no token for {place}: name a file with it in KVFS_STORE_TOKEN_FILE; it is the one that the server's \
         --token-file has"
    )]
    MissingToken {
        /// Host and port.
        place: String,
    },
    /// The file of the token cannot be read.
    #[error("cannot read KVFS_STORE_TOKEN_FILE {file}: {source}")]
    TokenFile {
        /// The file.
        file: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// Others may read the file of the token.
    #[error("{file}: others may read this file with a token; run chmod 600 on it")]
    TokenIsOpen {
        /// The file.
        file: String,
    },
    /// What should be the token is none.
    #[error("the token for {place} is not 16 to 512 letters, digits and -._~+/=: take the server's")]
    Token {
        /// Host and port.
        place: String,
    },
    /// The server knows another token.
    #[error("{place} refuses the token: take the one of the server's --token-file")]
    Credentials {
        /// Host and port.
        place: String,
    },
    /// Nobody answers.
    #[error("no store server answers at {place}: {why}; check the address and that kvfs store-server runs")]
    Unreachable {
        /// Host and port.
        place: String,
        /// The last failure.
        why: String,
    },
    /// Something else answers.
    #[error("{place} is no store server: {why}; name the address that kvfs store-server prints")]
    Other {
        /// Host and port.
        place: String,
        /// What it answered.
        why: String,
    },
    /// The connection cannot be made.
    #[error("cannot connect to {place}: {why}")]
    Client {
        /// Host and port.
        place: String,
        /// The library's words.
        why: String,
    },
    /// The store at the server failed.
    #[error("the store at {place}: {source}")]
    Store {
        /// Host and port.
        place: String,
        /// Its error.
        source: StoreError,
    },
}

/// Describes an error and its causes in one line of bounded length.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    in_a_line(&with_causes(&error.to_string(), error))
}
