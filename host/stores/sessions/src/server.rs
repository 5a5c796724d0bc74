//! What a kind of server brings.

use std::future::Future;
use std::time::Duration;

use kvfs_contract::{Entry, Limits, MAX_SCAN_BYTES, MAX_SCAN_ENTRIES};

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

    /// Returns the store's limits.
    fn limits(&self) -> Limits;

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

    /// Returns the values of different keys, in their order. Looks at
    /// [`MAX_ANSWER_BYTES`](kvfs_contract::MAX_ANSWER_BYTES).
    fn values(
        &self,
        connection: &Self::Connection,
        keys: &[&[u8]],
    ) -> impl Future<Output = Result<Vec<Option<Vec<u8>>>, Failure>> + Send;

    /// Returns entries of a range.
    fn page(
        &self,
        connection: &Self::Connection,
        page: Page<'_>,
    ) -> impl Future<Output = Result<Vec<Entry<Vec<u8>>>, Failure>> + Send;

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

/// Part of a `scan`: a range that is not empty, and bounds that are not above the contract's.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The first key.
    pub start: &'a [u8],
    /// The key behind the last one; empty: the end of the store.
    pub end: &'a [u8],
    /// Most entries, at least one.
    pub entries: u32,
    /// Most bytes of keys and values; a first entry may be larger.
    pub bytes: u32,
}

impl<'a> Page<'a> {
    /// `None`: it would be empty.
    pub(crate) fn new(start: &'a [u8], end: &'a [u8], entries: u32, bytes: u32) -> Option<Self> {
        let (entries, bytes) = (entries.min(MAX_SCAN_ENTRIES), bytes.min(MAX_SCAN_BYTES));
        (entries > 0 && (end.is_empty() || start < end)).then_some(Self { start, end, entries, bytes })
    }
}
