//! The four functions.

use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, StoreError};
use kvfs_store_sessions::{Asked, Sessions};

use crate::open::open;
use crate::open_error::OpenError;
use crate::reading::{Page, Values};
use crate::server::Server;
use crate::url::Config;

/// A store in Redis or Valkey, over two connections: one for reads, one for applies.
///
/// Several may be open on one prefix, by any number of programs: each call is one script, and a
/// server runs one at a time.
///
/// # Durability
/// It depends on the server's settings, and [`Limits::durable`] says what they come to: with
/// `appendfsync always`, or from 7.2 on `everysec`, what is acknowledged as durable is in the
/// server's log on disk. Otherwise a crash of the server may lose anything. The store then answers
/// every further call with an error, because what was read from it may be gone.
///
/// # Cost
/// Each call is one round to the server, whatever it carries.
pub struct RedisStore {
    sessions: Sessions<Server>,
    limits: Limits,
}

impl RedisStore {
    /// Opens the store that a [`Config`] names. Must be called within
    /// a tokio runtime, which outlives the store.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let (server, connection) = open(config).await?;
        let limits = Limits::standard(server.durable);
        Ok(Self { sessions: Sessions::new(server, connection).await, limits })
    }

    /// Returns the host and port of the server.
    pub fn place(&self) -> String {
        self.sessions.server().config.place()
    }
}

impl AsyncKvStore for RedisStore {
    type Bytes = Vec<u8>;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.limits)
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.limits.check_get(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Asked::new(keys);
        asked.answer(self.sessions.ask(&Values(asked.keys())).await?)
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        match Page::new(start, end, max_entries, max_bytes) {
            Some(page) => self.sessions.ask(&page).await,
            None => Ok(Vec::new()),
        }
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.limits.check_apply(guards, mutations)?;
        self.sessions.apply(guards, mutations, level).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.sessions.close().await
    }
}
