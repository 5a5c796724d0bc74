//! Opening a store at a distance, by its URL.

#[cfg(feature = "remote")]
mod reach;

#[cfg(feature = "delayed")]
mod delayed;
#[cfg(feature = "etcd")]
mod etcd;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "slatedb")]
mod slatedb;

use crate::any_store::AnyStore;
use crate::store_url::{Kind, without_secrets};
use crate::{OpenError, StoreAccess};

/// A store at a distance that is to be opened.
#[allow(dead_code, reason = "each kind reads what it distinguishes")]
pub(crate) struct Asked<'u> {
    pub(crate) kind: &'static Kind,
    /// The whole URL.
    pub(crate) url: &'u str,
    /// What follows the scheme.
    pub(crate) rest: &'u str,
    /// To make what is missing at the server.
    pub(crate) create: bool,
    pub(crate) read_only: bool,
    pub(crate) access: Option<StoreAccess>,
}

/// Opens the store. `open_within` opens another one by its URL, for kinds that wrap one.
#[cfg_attr(not(feature = "delayed"), expect(unused_variables, reason = "no kind that wraps one is built"))]
pub(crate) fn open(
    asked: &Asked<'_>,
    open_within: &dyn Fn(&str) -> Result<AnyStore, OpenError>,
) -> Result<AnyStore, OpenError> {
    match asked.kind.feature {
        #[cfg(feature = "delayed")]
        "delayed" => delayed::open(asked, open_within),
        #[cfg(feature = "etcd")]
        "etcd" => etcd::open(asked),
        #[cfg(feature = "slatedb")]
        "slatedb" => slatedb::open(asked),
        #[cfg(feature = "postgres")]
        "postgres" => postgres::open(asked),
        #[cfg(feature = "redis")]
        "redis" => redis::open(asked),
        // A URL of a kind that is not built does not come so far.
        feature => Err(asked.failed(format!("this build is without the feature `{feature}`"))),
    }
}

impl Asked<'_> {
    /// Makes the error for a store that cannot be opened. `source` must hold no secret.
    fn failed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> OpenError {
        OpenError::Distant { place: self.place(), source: source.into() }
    }

    /// Returns the URL without credentials.
    fn place(&self) -> String {
        without_secrets(self.url).into_owned()
    }
}
