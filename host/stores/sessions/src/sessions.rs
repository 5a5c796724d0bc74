//! A session at a server.

use std::sync::atomic::AtomicI64;

use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, StoreError};

use crate::asked::Asked;
use crate::connect::Reached;
use crate::reading::{Question, Reader};
use crate::writing::Writer;
use crate::{Page, Server};

/// A session at a server, over two connections: one for reads, one for applies.
pub struct Sessions<S: Server> {
    reached: Reached<S>,
    reader: Reader<S::Connection>,
    writer: Writer<S::Connection>,
}

impl<S: Server> Sessions<S> {
    /// Goes on from a connection on which a session has begun, with the number 0; or, for reading
    /// only, from any.
    pub async fn new(server: S, first: S::Connection) -> Self {
        let (reader, writer) = (Reader::new(), Writer::new());
        match server.writes() {
            true => writer.take(first).await,
            false => reader.take(first).await,
        }
        Self { reached: Reached { server, acknowledged: AtomicI64::new(0) }, reader, writer }
    }

    /// Returns the server.
    pub fn server(&self) -> &S {
        &self.reached.server
    }

    /// Asks, and repeats it on a new connection when one is lost.
    async fn ask<Q: Question<S>>(&self, question: &Q) -> Result<Q::Answer, StoreError> {
        self.writer.settled(&self.reached).await?;
        self.reader.ask(&self.reached, question).await
    }
}

/// Reads end with [`StoreError::Unavailable`] at the end of the server's patience; so do applies, or
/// with [`StoreError::UnknownOutcome`] if it is not known what became of them.
impl<S: Server> AsyncKvStore for Sessions<S> {
    type Bytes = Vec<u8>;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.server().limits())
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.server().limits().check_get(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Asked::new(keys);
        asked.answer(self.ask(&asked).await?)
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        match Page::new(start, end, max_entries, max_bytes) {
            Some(page) => self.ask(&page).await,
            None => Ok(Vec::new()),
        }
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.server().limits().check_apply(guards, mutations)?;
        if !self.server().writes() {
            return Err(StoreError::ReadOnly);
        }
        self.writer.apply(&self.reached, guards, mutations, level).await
    }

    /// Makes everything durable and ends the session.
    async fn close(&self) -> Result<(), StoreError> {
        match self.server().writes() {
            true => self.writer.close(&self.reached).await,
            false => Ok(()),
        }
    }
}
