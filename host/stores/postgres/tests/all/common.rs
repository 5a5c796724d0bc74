//! Servers, and stores on them.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kvfs_postgres_store::{Config, OpenError, PostgresStore};
use kvfs_store_rig::Blocking;
use kvfs_test_servers::Postgres;

/// A store that answers at once.
pub(crate) type Store = Blocking<PostgresStore>;

pub(crate) fn open_config(config: Config) -> Result<Store, OpenError> {
    Blocking::open(kvfs_postgres_store::open(config))
}

/// Opens the store at a URL, which waits no longer than `patience`, and makes its table.
pub(crate) fn open_within(url: &str, patience: Duration) -> Result<Store, OpenError> {
    let mut config = Config::from_url(url)?;
    config.patience = patience;
    config.create = true;
    open_config(config)
}

/// Opens the store at a URL with a host's patience, and makes its table.
pub(crate) fn make(url: &str) -> Store {
    open_config(config(url)).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Returns how to open the store at a URL, making its table.
pub(crate) fn config(url: &str) -> Config {
    let mut config = Config::from_url(url).unwrap();
    config.create = true;
    config
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
