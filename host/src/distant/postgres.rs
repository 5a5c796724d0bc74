//! `postgres://HOST/DATABASE`: a store in a table of PostgreSQL.

use kvfs_postgres_store::{Config, PostgresStore};

use super::Asked;
use crate::OpenError;
use crate::any_store::AnyStore;

pub(super) fn open(asked: &Asked<'_>) -> Result<AnyStore, OpenError> {
    let mut config = Config::from_url(asked.url).map_err(|error| asked.failed(error))?;
    config.create = asked.create;
    config.read_only = asked.read_only;
    asked.reach(PostgresStore::open(config))
}
