//! `http://HOST:PORT`: a store that `kvfs store-server` keeps.

use kvfs_http_store::Config;

use super::Asked;
use crate::OpenError;
use crate::any_store::AnyStore;

pub(super) fn open(asked: &Asked<'_>) -> Result<AnyStore, OpenError> {
    let mut config = Config::from_url(asked.url).map_err(|error| asked.failed(error))?;
    config.read_only = asked.read_only;
    asked.reach(kvfs_http_store::open(config))
}
