//! Stores on servers.

use kvfs_etcd_store::{Config, EtcdStore, OpenError};
use kvfs_store_rig::Blocking;
use std::net::SocketAddr;

/// A store and its runtime.
pub(crate) type Store = Blocking<EtcdStore>;

/// Returns the configuration of a store at an address, which is made if it is not there.
pub(crate) fn at(address: SocketAddr, prefix: &str) -> Config {
    let mut config = Config::from_url(&format!("etcd://{address}/{prefix}")).unwrap();
    config.create = true;
    config
}

/// Opens a store, or says why not.
pub(crate) fn try_open(config: Config) -> Result<Store, OpenError> {
    Blocking::open(EtcdStore::open(config))
}

/// Opens a store.
pub(crate) fn open(config: Config) -> Store {
    try_open(config).unwrap_or_else(|error| panic!("{error}"))
}
