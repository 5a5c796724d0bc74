//! A store that `kvfs store-server` keeps on another machine: the four functions over HTTP.
//!
//! [`open`] opens the one that a [`Config`] names. The page beside this crate, README, says what is
//! promised, and how to run the server.

#![warn(missing_docs)]

mod url;

mod error;

mod token;

mod client;

mod store;

mod open;

pub use error::OpenError;
pub use open::open;
pub use store::HttpStore;
pub use url::{Config, UrlError};
