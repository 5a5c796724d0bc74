//! The four functions.

use std::sync::atomic::AtomicI64;

use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, StoreError};

use crate::connect_error::OpenError;
use crate::open::open;
use crate::reading::Reader;
use crate::server::Server;
use crate::url::Config;
use crate::writing::Writer;

/// A store in a table of PostgreSQL, over two connections: one for reads, one for applies.
///
/// Several may be open on one table, by any number of programs: applies with guards are atomic and
/// happen one after the other, and reads see all that was acknowledged before they began.
///
/// # Durability
/// What is acknowledged as durable is in the server's log on disk. A crash of the server may lose
/// what was acknowledged as buffered since: a suffix. The store then answers every further call with
/// an error, because what was read from it may be gone.
///
/// # Cost
/// Each call is one round to the server, whatever it carries.
pub struct PostgresStore {
    server: Server,
    reader: Reader,
    writer: Writer,
    limits: Limits,
}

impl PostgresStore {
    /// Opens the store that a [`Config`] names. Must be called within a tokio runtime, which
    /// outlives the store.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let opened = open(config).await?;
        let limits = Limits::standard(opened.writer.durable);
        let server = Server {
            config: opened.config,
            sql: opened.sql,
            session: opened.session,
            acknowledged: AtomicI64::new(0),
        };
        Ok(Self { server, reader: Reader::new(), writer: Writer::new(opened.writer), limits })
    }

    /// Returns the hosts and ports of the server.
    pub fn place(&self) -> String {
        self.server.config.place()
    }
}

impl AsyncKvStore for PostgresStore {
    type Bytes = Vec<u8>;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.limits)
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.limits.check_get(keys)?;
        self.writer.settled(&self.server).await?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.reader.get(&self.server, keys).await
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.writer.settled(&self.server).await?;
        self.reader.scan(&self.server, (start, end), max_entries, max_bytes).await
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.limits.check_apply(guards, mutations)?;
        if self.server.config.read_only {
            return Err(StoreError::ReadOnly);
        }
        self.writer.apply(&self.server, guards, mutations, level).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.server.config.read_only {
            return Ok(());
        }
        self.writer.close(&self.server).await
    }
}
