//! Servers, and stores on them.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_redis_store::{Config, OpenError, RedisStore};
use kvfs_remote::Remote;
use kvfs_test_servers::Redis;

/// A store that answers at once.
pub(crate) struct Store(pub(crate) Remote<RedisStore>);

impl Store {
    /// Opens the store at a URL, which waits no longer than `patience`.
    pub(crate) fn open(url: &str, patience: Duration) -> Result<Self, OpenError> {
        let mut config = Config::from_url(url)?;
        config.patience = patience;
        config.create = true;
        Self::with(config)
    }

    pub(crate) fn with(config: Config) -> Result<Self, OpenError> {
        Remote::open("kvfs-redis", RedisStore::open(config)).map(Self)
    }

    /// Opens the store at a URL.
    pub(crate) fn make(url: &str) -> Self {
        Self::open(url, Duration::from_secs(10)).unwrap_or_else(|error| panic!("{url}: {error}"))
    }
}

impl KvStore for Store {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.0.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.0.get(keys)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.0.scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.0.apply(guards, mutations, level)
    }
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
