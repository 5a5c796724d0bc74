//! Reads: repeated on a new connection when one is lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use kvfs_contract::{
    Answer, Entry, MAX_ANSWER_BYTES, MAX_KEY_BYTES, MAX_SCAN_BYTES, MAX_SCAN_ENTRIES, ScanBudget, StoreError,
};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::RowStream;
use tokio_postgres::types::ToSql;

use crate::connection::Connection;
use crate::error::Failure;
use crate::server::{Attempts, Server};

/// An end of a range that is behind every key.
const BEHIND_ALL: [u8; MAX_KEY_BYTES as usize + 1] = [0xff; MAX_KEY_BYTES as usize + 1];

/// The connection that reads use. They follow each other on it without waiting.
pub(crate) struct Reader(Mutex<Option<Arc<Connection>>>);

impl Reader {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    async fn connection(&self, server: &Server) -> Result<Arc<Connection>, Failure> {
        let mut current = self.0.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| !connection.client.is_closed()) {
            return Ok(connection.clone());
        }
        *current = None;
        let connection = Arc::new(server.connect(&server.session.reader()).await?);
        Ok(current.insert(connection).clone())
    }

    /// Gives a connection up that failed; after a refusal too, since the rest of a large answer may
    /// still come.
    async fn give_up(&self, lost: &Arc<Connection>, failure: Failure) -> Failure {
        let mut current = self.0.lock().await;
        if current.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, lost)) {
            *current = None;
        }
        failure
    }

    /// Returns the values of keys.
    pub(crate) async fn get(
        &self,
        server: &Server,
        keys: &[&[u8]],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut asked = keys.to_vec();
        asked.sort_unstable();
        asked.dedup();
        let mut attempts = Attempts::new(server);
        let mut found = loop {
            let failure = match self.connection(server).await {
                Ok(connection) => match values(server, &connection, &asked).await {
                    Ok(values) => break values,
                    Err(failure) => self.give_up(&connection, failure).await,
                },
                Err(failure) => failure,
            };
            attempts.after(failure).await?;
        };
        if asked == keys {
            return Ok(found);
        }
        let mut answer = Answer::new(keys.len());
        for (number, key) in keys.iter().enumerate() {
            let place = asked.binary_search(key).map_err(|_| StoreError::Fault("a key went".to_owned()))?;
            let again = keys[number + 1..].contains(key);
            answer.push(if again { found[place].clone() } else { found[place].take() })?;
        }
        Ok(answer.finish())
    }

    /// Returns entries of a range.
    pub(crate) async fn scan(
        &self,
        server: &Server,
        (start, end): (&[u8], &[u8]),
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let end = if end.is_empty() { &BEHIND_ALL[..] } else { end };
        if max_entries == 0 || start >= end {
            return Ok(Vec::new());
        }
        let max_entries = max_entries.min(MAX_SCAN_ENTRIES);
        let max_bytes = max_bytes.min(MAX_SCAN_BYTES);
        let mut attempts = Attempts::new(server);
        loop {
            let failure = match self.connection(server).await {
                Ok(connection) => {
                    match page(server, &connection, (start, end), max_entries, max_bytes).await {
                        Ok(page) => return Ok(page),
                        Err(failure) => self.give_up(&connection, failure).await,
                    }
                }
                Err(failure) => failure,
            };
            attempts.after(failure).await?;
        }
    }
}

/// Asks for the values of different keys.
async fn values(
    server: &Server,
    connection: &Connection,
    keys: &[&[u8]],
) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let mut values: Vec<Option<Vec<u8>>> = vec![None; keys.len()];
    let mut left_bytes = MAX_ANSWER_BYTES;
    let mut rows = Rows::ask(server, connection, &connection.get, &[&keys]).await?;
    while let Some(row) = rows.next().await? {
        let value: &[u8] = row.try_get(1)?;
        let number = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default();
        let place = number.checked_sub(1).and_then(|number| values.get_mut(number));
        let place = place.ok_or_else(|| odd("a key that was not asked for"))?;
        let left = left_bytes.checked_sub(value.len());
        left_bytes = left.ok_or(Failure::Refused(StoreError::TooLarge))?;
        *place = Some(value.to_vec());
    }
    Ok(values)
}

/// Asks for entries of a range.
async fn page(
    server: &Server,
    connection: &Connection,
    (start, end): (&[u8], &[u8]),
    max_entries: u32,
    max_bytes: u32,
) -> Result<Vec<Entry<Vec<u8>>>, Failure> {
    let mut budget = ScanBudget::new(max_entries, max_bytes);
    let mut page = Vec::new();
    let (entries, bytes) = (i64::from(max_entries), i64::from(max_bytes));
    let asked: [&(dyn ToSql + Sync); 4] = [&start, &end, &entries, &bytes];
    let mut rows = Rows::ask(server, connection, &connection.scan, &asked).await?;
    while let Some(row) = rows.next().await? {
        let (key, value): (&[u8], &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        if !budget.take(key.len() + value.len()) {
            return Err(odd("more than was asked for"));
        }
        page.push(Entry { key: key.to_vec(), value: value.to_vec() });
    }
    Ok(page)
}

fn odd(what: &str) -> Failure {
    Failure::Refused(StoreError::Other(format!("the server answers with {what}")))
}

/// Rows of an answer, each of which must come within the server's patience.
struct Rows {
    rows: std::pin::Pin<Box<RowStream>>,
    patience: Duration,
}

impl Rows {
    async fn ask(
        server: &Server,
        connection: &Connection,
        statement: &tokio_postgres::Statement,
        asked: &[&(dyn ToSql + Sync)],
    ) -> Result<Self, Failure> {
        let patience = server.config.part_patience();
        let asking = connection.client.query_raw(statement, asked.iter().copied());
        let rows = timeout(patience, asking).await.map(|rows| rows.map_err(Failure::from));
        Ok(Self { rows: Box::pin(rows.unwrap_or_else(|_| server.silent())?), patience })
    }

    async fn next(&mut self) -> Result<Option<tokio_postgres::Row>, Failure> {
        match timeout(self.patience, self.rows.next()).await {
            Ok(row) => Ok(row.transpose()?),
            Err(_) => Err(Failure::Lost("an answer stopped".to_owned())),
        }
    }
}
