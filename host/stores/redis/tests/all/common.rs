//! Servers, and stores on them.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kvfs_redis_store::{Config, OpenError, RedisStore};
use kvfs_store_rig::Blocking;
use kvfs_test_servers::Redis;

/// A store that answers at once.
pub(crate) type Store = Blocking<RedisStore>;

pub(crate) fn open(config: Config) -> Result<Store, OpenError> {
    Blocking::open(kvfs_redis_store::open(config))
}

/// Opens the store at a URL, which waits no longer than `patience`, and makes it.
pub(crate) fn open_within(url: &str, patience: Duration) -> Result<Store, OpenError> {
    let mut config = Config::from_url(url)?;
    config.patience = patience;
    config.create = true;
    open(config)
}

/// Opens the store at a URL with a host's patience, and makes it.
pub(crate) fn make(url: &str) -> Store {
    open_within(url, Duration::from_secs(30)).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// The server of all tests that do it no harm. It ends with the process.
pub(crate) fn server() -> &'static Redis {
    static SERVER: OnceLock<Redis> = OnceLock::new();
    SERVER.get_or_init(Redis::start_durable)
}

/// Returns the URL of a store that no other test uses.
pub(crate) fn own_url(address: SocketAddr) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("redis://{address}/?prefix=t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
