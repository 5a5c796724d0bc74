//! Applies: each made once, and its fate found out when an answer is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use kvfs_contract::{Durability, Guard, Mutation, StoreError};
use tokio::sync::Mutex;

use crate::attempts::{Attempts, forgotten, unreachable};
use crate::backoff::Backoff;
use crate::batch::Batch;
use crate::connect::Reached;
use crate::{Failure, Fate, Outcome, Role, Server};

/// The connection that applies use, one after the other.
pub(crate) struct Writer<C> {
    state: Mutex<State<C>>,
    /// Whether the fate of an apply is not known whose caller was told so, or has gone.
    unsettled: AtomicBool,
}

struct State<C> {
    closed: bool,
    connection: Option<C>,
    /// The number of the next apply.
    next: i64,
    /// Whether the apply with that number may be under way.
    in_doubt: bool,
}

/// Sets a flag when it is dropped.
struct SetWhenGone<'a>(&'a AtomicBool);

impl Drop for SetWhenGone<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl<C: Send + Sync> Writer<C> {
    pub(crate) fn new() -> Self {
        let state = State { closed: false, connection: None, next: 1, in_doubt: false };
        Self { state: Mutex::new(state), unsettled: AtomicBool::new(false) }
    }

    /// Takes a connection that is there already.
    pub(crate) async fn take(&self, connection: C) {
        self.state.lock().await.connection = Some(connection);
    }

    /// Waits until no apply can take effect any more whose caller does not wait for it.
    pub(crate) async fn settled<S: Server<Connection = C>>(
        &self,
        reached: &Reached<S>,
    ) -> Result<(), StoreError> {
        if !self.unsettled.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        state.settle(reached).await?;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    /// Makes everything durable and ends the session.
    pub(crate) async fn close<S: Server<Connection = C>>(
        &self,
        reached: &Reached<S>,
    ) -> Result<(), StoreError> {
        self.settled(reached).await?;
        let mut state = self.state.lock().await;
        if state.closed {
            return Ok(());
        }
        state.barrier(reached).await?;
        if let Some(connection) = state.connection.take() {
            // Without it, the server forgets the session after some weeks.
            if let Err(failure) = reached.in_time(3, reached.server.end(&connection)).await {
                tracing::debug!("a session at {} was not ended: {failure:?}", reached.server.place());
            }
        }
        state.closed = true;
        Ok(())
    }

    /// Applies mutations under guards.
    pub(crate) async fn apply<S: Server<Connection = C>>(
        &self,
        reached: &Reached<S>,
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
            state.settle(reached).await?;
        }
        let outcome = match batch.is_empty() {
            true if durable => state.barrier(reached).await,
            true => Ok(()),
            false => state.make(reached, &batch, durable).await,
        };
        std::mem::forget(gone);
        self.unsettled.store(state.in_doubt, Ordering::Release);
        outcome
    }
}

impl<C: Send + Sync> State<C> {
    async fn connection<S: Server<Connection = C>>(&mut self, reached: &Reached<S>) -> Result<&C, Failure> {
        let usable = self.connection.take().filter(|connection| !reached.server.is_closed(connection));
        let connection = match usable {
            Some(connection) => connection,
            None => reached.connect(Role::Writer).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Makes an apply, once.
    async fn make<S: Server<Connection = C>>(
        &mut self,
        reached: &Reached<S>,
        batch: &Batch<'_>,
        durable: bool,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut pause = Backoff::new();
        loop {
            let failure = match self.attempt(reached, batch, durable).await {
                Ok(Outcome::Made) => {
                    self.acknowledge(reached);
                    return Ok(());
                }
                Ok(Outcome::NotFlushed) => {
                    self.acknowledge(reached);
                    return Err(StoreError::UnknownOutcome);
                }
                Ok(Outcome::Conflict) => {
                    self.in_doubt = false;
                    return Err(StoreError::Conflict);
                }
                Ok(Outcome::OutOfTurn) => {
                    self.in_doubt = false;
                    return Err(forgotten());
                }
                Err(failure) => failure,
            };
            let why = match failure {
                Failure::Refused(error) => {
                    self.in_doubt = false;
                    return Err(error);
                }
                Failure::Forgotten => return Err(forgotten()),
                Failure::Lost(why) => why,
            };
            self.connection = None;
            if self.in_doubt {
                match self.fate(reached).await {
                    Ok(Fate::Made) if durable => return self.barrier(reached).await,
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
            if begun.elapsed() >= reached.server.patience() {
                return Err(unreachable(&reached.server, &why));
            }
            pause.wait().await;
        }
    }

    /// Sends an apply. What is left of the patience after it is for another attempt.
    async fn attempt<S: Server<Connection = C>>(
        &mut self,
        reached: &Reached<S>,
        batch: &Batch<'_>,
        durable: bool,
    ) -> Result<Outcome, Failure> {
        let number = self.next;
        self.connection(reached).await?;
        let Some(connection) = &self.connection else { return Err(Failure::Lost(String::new())) };
        self.in_doubt = true;
        reached.in_time(2, reached.server.apply(connection, batch, number, durable)).await
    }

    /// Takes note that the apply with the next number was made.
    fn acknowledge<S>(&mut self, reached: &Reached<S>) {
        self.in_doubt = false;
        reached.acknowledged.store(self.next, Ordering::Release);
        self.next += 1;
    }

    /// Finds out what became of the apply that is in doubt, and takes note of it.
    async fn fate<S: Server<Connection = C>>(&mut self, reached: &Reached<S>) -> Result<Fate, StoreError> {
        let number = self.next;
        let mut attempts = Attempts::new(&reached.server);
        loop {
            let failure = match self.connection(reached).await {
                Ok(connection) => match reached.in_time(2, reached.server.settle(connection, number)).await {
                    Ok(fate) => {
                        self.note(reached, fate);
                        return Ok(fate);
                    }
                    Err(failure) => failure,
                },
                // The log is in order: what came after is lost with what was acknowledged.
                Err(Failure::Forgotten) => {
                    self.note(reached, Fate::Forgotten);
                    return Ok(Fate::Forgotten);
                }
                Err(failure) => failure,
            };
            self.connection = None;
            attempts.after(failure.passing()).await?;
        }
    }

    fn note<S>(&mut self, reached: &Reached<S>, fate: Fate) {
        match fate {
            Fate::Made => self.acknowledge(reached),
            Fate::Burned => {
                self.in_doubt = false;
                self.next += 1;
            }
            Fate::Forgotten => self.in_doubt = false,
        }
    }

    /// Settles the apply that is in doubt, if one is.
    async fn settle<S: Server<Connection = C>>(&mut self, reached: &Reached<S>) -> Result<(), StoreError> {
        if !self.in_doubt {
            return Ok(());
        }
        self.connection = None;
        match self.fate(reached).await? {
            Fate::Made | Fate::Burned => Ok(()),
            Fate::Forgotten => Err(forgotten()),
        }
    }

    /// Makes durable what was acknowledged. Repeated on a new connection, which is one to a server
    /// that knows all of that.
    async fn barrier<S: Server<Connection = C>>(&mut self, reached: &Reached<S>) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&reached.server);
        loop {
            let failure = match self.connection(reached).await {
                Ok(connection) => match reached.in_time(2, reached.server.flush(connection)).await {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            if matches!(failure, Failure::Lost(_)) {
                self.connection = None;
            }
            attempts.after(failure).await?;
        }
    }
}
