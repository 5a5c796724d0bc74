//! What a kind of server brings.

use std::future::Future;
use std::time::Duration;

use crate::{Batch, Failure};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads. They follow each other without waiting for answers.
    Reader,
    /// Applies, one after the other.
    Writer,
}

/// What became of an apply that the server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made, as durably as was asked for.
    Made,
    /// A guard did not hold, and nothing changed.
    Conflict,
    /// The session's last number was not the one before, and nothing changed.
    OutOfTurn,
    /// It was made, and is not known to be durable.
    NotFlushed,
}

/// What became of an apply without an answer, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was made.
    Made,
    /// It was not, and never will be.
    Burned,
    /// The server does not know applies before it, which it had acknowledged.
    Forgotten,
}

impl Fate {
    /// Returns the fate of the apply with this number from the session's last number, and the last
    /// one that was burned.
    pub fn of(number: i64, last: i64, last_burned: i64) -> Self {
        match last {
            _ if last == number && last_burned != number => Self::Made,
            // Burned now, or by an earlier try whose answer was lost.
            _ if last == number || last == number - 1 => Self::Burned,
            _ => Self::Forgotten,
        }
    }
}

/// A server, and one session at it.
pub trait Server: Send + Sync {
    /// A connection.
    type Connection: Send + Sync;

    /// Returns hosts and ports, for messages.
    fn place(&self) -> String;

    /// Returns the longest wait for a server that cannot be reached, or does not go on with an
    /// answer.
    fn patience(&self) -> Duration;

    /// Returns false for a session that only reads, of which the server knows nothing.
    fn writes(&self) -> bool;

    /// Connects.
    fn connect(&self, role: Role) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;

    /// Returns whether a connection is known to be gone.
    fn is_closed(&self, connection: &Self::Connection) -> bool;

    /// Returns the number of the session's last apply; `None` if the server does not know the
    /// session.
    fn last(
        &self,
        connection: &Self::Connection,
    ) -> impl Future<Output = Result<Option<i64>, Failure>> + Send;

    /// Makes an apply if the session's last number is the one before.
    fn apply(
        &self,
        connection: &Self::Connection,
        batch: &Batch<'_>,
        number: i64,
        durable: bool,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;

    /// Finds out what became of the apply with this number. If it was not made, burns the number.
    fn settle(
        &self,
        connection: &Self::Connection,
        number: i64,
    ) -> impl Future<Output = Result<Fate, Failure>> + Send;

    /// Makes durable what was acknowledged, on any connection.
    fn flush(&self, connection: &Self::Connection) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Ends the session.
    fn end(&self, connection: &Self::Connection) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A read, which may be asked more than once.
pub trait Question<S: Server>: Send + Sync {
    /// The answer.
    type Answer: Send;

    /// Asks.
    fn ask(
        &self,
        server: &S,
        connection: &S::Connection,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}
