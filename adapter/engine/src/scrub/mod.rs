//! Scrubbing: which secrets must not reach the store, how they are recognised, and in which files.
//!
//! A volume holds no secret in clear, or it would store what it is to keep out. It has a digest of
//! each, with which it recognises the secret in the bytes that a guest writes.

// The ground: the secrets.
mod secrets;

// The record of them, and of the files that are scrubbed.
mod scrubbing;

pub use scrubbing::{Scope, Scrubbing};
pub use secrets::{MAX_SECRET_BYTES, MAX_SECRETS, MIN_SECRET_BYTES, ScrubbingError};
