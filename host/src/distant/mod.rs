//! Opening a store at a distance, by its URL.

mod asked;

#[cfg(feature = "remote")]
mod reach;

#[cfg(feature = "delayed")]
mod delayed;
#[cfg(feature = "etcd")]
mod etcd;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "slatedb")]
mod slatedb;

use crate::OpenError;
use crate::any_store::AnyStore;
pub(crate) use asked::Asked;

/// Opens the store. `open_within` opens another one by its URL, for kinds that wrap one.
#[cfg_attr(not(feature = "delayed"), expect(unused_variables, reason = "no kind that wraps one is built"))]
pub(crate) fn open(
    asked: &Asked<'_>,
    open_within: &dyn Fn(&str) -> Result<AnyStore, OpenError>,
) -> Result<AnyStore, OpenError> {
    match asked.kind.feature {
        #[cfg(feature = "delayed")]
        "delayed" => delayed::open(asked, open_within),
        #[cfg(feature = "postgres")]
        "postgres" => postgres::open(asked),
        #[cfg(feature = "redis")]
        "redis" => redis::open(asked),
        #[cfg(feature = "etcd")]
        "etcd" => etcd::open(asked),
        #[cfg(feature = "http")]
        "http" => http::open(asked),
        #[cfg(feature = "slatedb")]
        "slatedb" => slatedb::open(asked),
        // A URL of a kind that is not built does not come so far.
        feature => Err(asked.failed(format!("this build is without the feature `{feature}`"))),
    }
}
