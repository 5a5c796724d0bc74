//! `redis://HOST`: a store in Redis or Valkey.

use kvfs_redis_store::{Config, RedisStore};

use super::Asked;
use crate::OpenError;
use crate::any_store::AnyStore;

pub(super) fn open(asked: &Asked<'_>) -> Result<AnyStore, OpenError> {
    let mut config = Config::from_url(asked.url).map_err(|error| asked.failed(error))?;
    config.create = asked.create;
    config.read_only = asked.read_only;
    asked.reach(RedisStore::open(config))
}
