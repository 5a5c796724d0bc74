//! Servers, and stores on them.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_postgres_store::{Config, OpenError, PostgresStore};
use kvfs_remote::Remote;
use kvfs_test_servers::Postgres;

/// A store that answers at once.
pub(crate) struct Store(pub(crate) Remote<PostgresStore>);

impl Store {
    pub(crate) fn open(config: Config) -> Result<Self, OpenError> {
        Remote::open("kvfs-postgres", PostgresStore::open(config)).map(Self)
    }

    /// Opens the store at a URL with little patience, and makes its table.
    pub(crate) fn make(url: &str) -> Self {
        Self::open(config(url)).unwrap_or_else(|error| panic!("{url}: {error}"))
    }
}

/// Returns how to open the store at a URL, with little patience, making its table.
pub(crate) fn config(url: &str) -> Config {
    let mut config = Config::from_url(url).unwrap();
    config.create = true;
    config.patience = Duration::from_secs(10);
    config
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
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(Postgres::start)
}

/// Returns the URL of a table that no other test uses.
pub(crate) fn own_url(address: SocketAddr) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("postgres://postgres@{address}/postgres?sslmode=disable&table=t{number}")
}
