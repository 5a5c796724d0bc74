//! The calls of `kvfs:store/kv-store` as requests of HTTP/1.1: their paths and bodies.
//!
//! `kvfs store-server` answers them, and the provider `http` makes them from within a component.
//! The page beside this crate, README, describes them for clients in any language. Nothing here
//! does I/O.
//!
//! | items | purpose |
//! |---|---|
//! | [`Call`] | a request: [`Call::path`], [`Call::encode`], [`Call::decode`] |
//! | [`limits`], [`values`], [`entries`], [`nothing`] | the answer of each call, written and read |
//! | [`MAX_REQUEST_BYTES`], [`MAX_ANSWER_BYTES`] | bounds of bodies |

#![warn(missing_docs)]

mod bytes;
mod error;

mod answer;
mod call;

pub use answer::{MAX_ANSWER_BYTES, entries, limits, nothing, refusal, values};
pub use bytes::Malformed;
pub use call::{Call, MAX_REQUEST_BYTES};

/// The header that carries the token, as `Bearer TOKEN`.
pub const AUTHORIZATION: &str = "authorization";

/// The type of every body.
pub const CONTENT_TYPE: &str = "application/vnd.kvfs.v1";

/// Fewest characters of a token. A shorter one could be guessed.
pub const MIN_TOKEN_CHARS: usize = 16;

/// Most characters of a token.
pub const MAX_TOKEN_CHARS: usize = 512;

/// Returns whether a token can be sent as it is: letters, digits and `-._~+/=`, as in RFC 6750.
pub fn is_token(token: &str) -> bool {
    (MIN_TOKEN_CHARS..=MAX_TOKEN_CHARS).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}
