//! Applies: each made once, and its fate found out when an answer is lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::future::{Either, join5, ready};
use kvfs_contract::{Durability, Guard, Mutation, StoreError};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;

use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::Failure;
use crate::server::{Attempts, Server, forgotten};
use crate::session::Fate;

/// The transaction of every apply. Each statement sees all that was committed before it began, so
/// the guards see all that was committed before the lock was taken. It commits without waiting for
/// the disk: a durable apply is followed by a flush, when the lock is free again.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off";

/// The connection that applies use, one after the other.
pub(crate) struct Writer {
    state: Mutex<State>,
    /// Whether the fate of an apply is not known whose caller was told so, or has gone.
    unsettled: AtomicBool,
}

struct State {
    closed: bool,
    connection: Option<Connection>,
    /// The number of the next apply.
    next: i64,
    /// Whether the apply with that number may be under way.
    in_doubt: bool,
}

/// An apply, as the statement takes it.
struct Batch<'a> {
    guards: (Vec<&'a [u8]>, Vec<Option<&'a [u8]>>),
    removed: Vec<&'a [u8]>,
    put: (Vec<&'a [u8]>, Vec<&'a [u8]>),
}

impl<'a> Batch<'a> {
    fn new(guards: &[Guard<&'a [u8]>], mutations: &[Mutation<&'a [u8]>]) -> Self {
        // The last change of a key wins.
        let last: BTreeMap<&[u8], Option<&[u8]>> =
            mutations.iter().map(|mutation| (mutation.key(), mutation.value())).collect();
        Self {
            guards: guards.iter().map(|guard| (guard.key, guard.expected)).unzip(),
            removed: last.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| *key).collect(),
            put: last.iter().filter_map(|(key, value)| Some((*key, (*value)?))).unzip(),
        }
    }

    fn is_empty(&self) -> bool {
        self.guards.0.is_empty() && self.removed.is_empty() && self.put.0.is_empty()
    }
}

/// What a transaction came to.
enum Outcome {
    Made,
    Conflict,
    /// The session's row is not where it should be.
    OutOfTurn,
    /// Made, and not known to be durable.
    NotFlushed,
}

impl Writer {
    pub(crate) fn new(connection: Connection) -> Self {
        let state = State { closed: false, connection: Some(connection), next: 1, in_doubt: false };
        Self { state: Mutex::new(state), unsettled: AtomicBool::new(false) }
    }

    /// Waits until no apply can take effect any more whose caller does not wait for it.
    pub(crate) async fn settled(&self, server: &Server) -> Result<(), StoreError> {
        if !self.unsettled.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        state.settle(server).await?;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    /// Makes everything durable and ends the session.
    pub(crate) async fn close(&self, server: &Server) -> Result<(), StoreError> {
        self.settled(server).await?;
        let mut state = self.state.lock().await;
        if state.closed {
            return Ok(());
        }
        state.barrier(server).await?;
        if let Some(connection) = state.connection.take() {
            // Without it, the row stays for some weeks and harms nobody.
            let ending = server.session.end(&connection, &server.sql);
            if !matches!(timeout(server.config.patience, ending).await, Ok(Ok(()))) {
                tracing::debug!("a session at {} was not ended", server.config.place());
            }
        }
        state.closed = true;
        Ok(())
    }

    /// Applies mutations under guards.
    pub(crate) async fn apply(
        &self,
        server: &Server,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let batch = Batch::new(guards, mutations);
        let durable = level == Durability::Durable;
        let mut state = self.state.lock().await;
        // If the caller goes away, nobody else waits for what is under way.
        let gone = SetWhenGone(&self.unsettled);
        if self.unsettled.load(Ordering::Acquire) {
            state.settle(server).await?;
        }
        let outcome = match batch.is_empty() {
            true if durable => state.barrier(server).await,
            true => Ok(()),
            false => state.make(server, &batch, durable).await,
        };
        std::mem::forget(gone);
        self.unsettled.store(state.in_doubt, Ordering::Release);
        outcome
    }
}

/// Sets a flag when it is dropped.
struct SetWhenGone<'a>(&'a AtomicBool);

impl Drop for SetWhenGone<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl State {
    async fn connection(&mut self, server: &Server) -> Result<&Connection, Failure> {
        let usable = self.connection.take().filter(|connection| !connection.client.is_closed());
        let connection = match usable {
            Some(connection) => connection,
            None => server.connect(&server.session.writer()).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Makes an apply, once.
    async fn make(&mut self, server: &Server, batch: &Batch<'_>, durable: bool) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut pause = Backoff::new();
        loop {
            let number = self.next;
            let failure = match self.connection(server).await {
                Ok(_) => {
                    self.in_doubt = true;
                    match self.attempt(server, batch, number, durable).await {
                        Ok(Outcome::Made) => {
                            self.acknowledge(server);
                            return Ok(());
                        }
                        Ok(Outcome::Conflict) => {
                            self.in_doubt = false;
                            return Err(StoreError::Conflict);
                        }
                        Ok(Outcome::OutOfTurn) => {
                            self.in_doubt = false;
                            return Err(forgotten());
                        }
                        Ok(Outcome::NotFlushed) => {
                            self.acknowledge(server);
                            return Err(StoreError::UnknownOutcome);
                        }
                        Err(Failure::Refused(error)) => {
                            self.in_doubt = false;
                            return Err(error);
                        }
                        Err(lost) => lost,
                    }
                }
                Err(failure) => failure,
            };
            let why = match failure {
                Failure::Refused(error) => return Err(error),
                Failure::Forgotten => return Err(forgotten()),
                Failure::Lost(why) => why,
            };
            self.connection = None;
            if self.in_doubt {
                match self.fate(server).await {
                    Ok(Fate::Made) if durable => return self.barrier(server).await,
                    Ok(Fate::Made) => return Ok(()),
                    // It is sent again, with another number.
                    Ok(Fate::Burned) => {}
                    Ok(Fate::Forgotten) => return Err(forgotten()),
                    Err(error) => {
                        tracing::warn!("an apply's outcome is not known: {error}");
                        return Err(StoreError::UnknownOutcome);
                    }
                }
            }
            if begun.elapsed() >= server.config.patience {
                return Err(server.unreachable(&why));
            }
            pause.wait().await;
        }
    }

    /// Takes note that the apply with the next number was made.
    fn acknowledge(&mut self, server: &Server) {
        self.in_doubt = false;
        server.acknowledged.store(self.next, Ordering::Release);
        self.next += 1;
    }

    /// Sends one transaction, all of it at once.
    async fn attempt(
        &mut self,
        server: &Server,
        batch: &Batch<'_>,
        number: i64,
        durable: bool,
    ) -> Result<Outcome, Failure> {
        let Some(connection) = &self.connection else { return server.silent() };
        let client = &connection.client;
        let id = server.session.id();
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&batch.guards.0, &batch.guards.1, &batch.removed, &batch.put.0, &id, &number, &batch.put.1];
        // The first poll of each sends its messages, in this order.
        let sent = join5(
            client.batch_execute(BEGIN),
            client.execute(&connection.lock, &[]),
            client.query_one(&connection.apply, &parameters),
            client.batch_execute("COMMIT"),
            match durable {
                true => Either::Left(client.execute(&connection.flush, &[])),
                false => Either::Right(ready(Ok(0))),
            },
        );
        // The lock may be waited for too. What is left of the patience is for another attempt.
        let patience = server.config.patience * 2 / 3;
        let Ok((begun, locked, applied, committed, flushed)) = timeout(patience, sent).await else {
            return server.silent();
        };
        begun?;
        locked?;
        let row = applied?;
        let (held, marked): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
        if !held {
            return Ok(Outcome::Conflict);
        }
        if !marked {
            return Ok(Outcome::OutOfTurn);
        }
        committed?;
        match flushed.map_err(Failure::from) {
            Ok(_) => Ok(Outcome::Made),
            Err(Failure::Refused(error)) => {
                tracing::warn!("an apply was made and could not be flushed: {error}");
                Ok(Outcome::NotFlushed)
            }
            Err(lost) => Err(lost),
        }
    }

    /// Finds out what became of the apply that is in doubt, and takes note of it.
    async fn fate(&mut self, server: &Server) -> Result<Fate, StoreError> {
        let number = self.next;
        let mut attempts = Attempts::new(server);
        loop {
            let failure = match self.connection(server).await {
                Ok(connection) => {
                    let settling = server.session.settle(connection, number);
                    match timeout(server.config.patience, settling).await {
                        Ok(Ok(fate)) => {
                            self.note(server, fate);
                            return Ok(fate);
                        }
                        Ok(Err(failure)) => failure,
                        Err(_) => Failure::Lost("no answer".to_owned()),
                    }
                }
                // The log is in order: what came after is lost with what was acknowledged.
                Err(Failure::Forgotten) => {
                    self.note(server, Fate::Forgotten);
                    return Ok(Fate::Forgotten);
                }
                Err(failure) => failure,
            };
            self.connection = None;
            attempts.after(failure.passing()).await?;
        }
    }

    fn note(&mut self, server: &Server, fate: Fate) {
        match fate {
            Fate::Made => self.acknowledge(server),
            Fate::Burned => {
                self.in_doubt = false;
                self.next += 1;
            }
            Fate::Forgotten => self.in_doubt = false,
        }
    }

    /// Settles the apply that is in doubt, if one is.
    async fn settle(&mut self, server: &Server) -> Result<(), StoreError> {
        if !self.in_doubt {
            return Ok(());
        }
        self.connection = None;
        match self.fate(server).await? {
            Fate::Made | Fate::Burned => Ok(()),
            Fate::Forgotten => Err(forgotten()),
        }
    }

    /// Makes durable what was acknowledged. Repeated on a new connection, which is one to a server
    /// that knows all of that.
    async fn barrier(&mut self, server: &Server) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(server);
        loop {
            let failure = match self.connection(server).await {
                Ok(connection) => {
                    let flushing = connection.client.execute(&connection.flush, &[]);
                    match timeout(server.config.patience, flushing).await {
                        Ok(Ok(_)) => return Ok(()),
                        Ok(Err(error)) => error.into(),
                        Err(_) => Failure::Lost("no answer".to_owned()),
                    }
                }
                Err(failure) => failure,
            };
            if matches!(failure, Failure::Lost(_)) {
                self.connection = None;
            }
            attempts.after(failure).await?;
        }
    }
}
