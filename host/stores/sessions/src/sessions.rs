//! A session at a server.

use std::sync::atomic::AtomicI64;

use kvfs_contract::{Durability, Guard, Mutation, StoreError};

use crate::connect::Reached;
use crate::reading::Reader;
use crate::writing::Writer;
use crate::{Question, Server};

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
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at the end of the server's patience; those of the server.
    pub async fn ask<Q: Question<S>>(&self, question: &Q) -> Result<Q::Answer, StoreError> {
        self.writer.settled(&self.reached).await?;
        self.reader.ask(&self.reached, question).await
    }

    /// Applies mutations under guards, once.
    ///
    /// # Errors
    /// [`StoreError::UnknownOutcome`] if the server cannot be reached any more before it is known,
    /// otherwise as [`Self::ask`].
    pub async fn apply(
        &self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        if !self.reached.server.writes() {
            return Err(StoreError::ReadOnly);
        }
        self.writer.apply(&self.reached, guards, mutations, level).await
    }

    /// Makes everything durable and ends the session.
    ///
    /// # Errors
    /// As [`Self::ask`]. Closing may be tried again.
    pub async fn close(&self) -> Result<(), StoreError> {
        match self.reached.server.writes() {
            true => self.writer.close(&self.reached).await,
            false => Ok(()),
        }
    }
}
