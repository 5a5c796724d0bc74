//! Reads: one statement each.

use std::time::Duration;

use futures_util::StreamExt;
use kvfs_contract::{
    Entry, MAX_ANSWER_BYTES, MAX_KEY_BYTES, MAX_SCAN_BYTES, MAX_SCAN_ENTRIES, ScanBudget, StoreError,
};
use kvfs_store_sessions::{Failure, Question};
use tokio::time::timeout;
use tokio_postgres::RowStream;
use tokio_postgres::types::ToSql;

use crate::connection::Connection;
use crate::error::failed;
use crate::server::Server;

/// An end of a range that is behind every key.
const BEHIND_ALL: [u8; MAX_KEY_BYTES as usize + 1] = [0xff; MAX_KEY_BYTES as usize + 1];

/// The values of different keys.
pub(crate) struct Values<'a>(pub(crate) &'a [&'a [u8]]);

impl Question<Server> for Values<'_> {
    type Answer = Vec<Option<Vec<u8>>>;

    async fn ask(&self, server: &Server, connection: &Connection) -> Result<Self::Answer, Failure> {
        let mut values: Vec<Option<Vec<u8>>> = vec![None; self.0.len()];
        let mut left_bytes = MAX_ANSWER_BYTES;
        let mut rows = Rows::ask(server, connection, &connection.get, &[&self.0]).await?;
        while let Some(row) = rows.next().await? {
            let value: &[u8] = row.try_get(1).map_err(failed)?;
            let number = usize::try_from(row.try_get::<_, i64>(0).map_err(failed)?).unwrap_or_default();
            let place = number.checked_sub(1).and_then(|number| values.get_mut(number));
            let place = place.ok_or_else(|| odd("a key that was not asked for"))?;
            let left = left_bytes.checked_sub(value.len());
            left_bytes = left.ok_or(Failure::Refused(StoreError::TooLarge))?;
            *place = Some(value.to_vec());
        }
        Ok(values)
    }
}

/// Entries of a range.
pub(crate) struct Page<'a> {
    start: &'a [u8],
    end: &'a [u8],
    entries: u32,
    bytes: u32,
}

impl<'a> Page<'a> {
    /// `None`: it would be empty.
    pub(crate) fn new(start: &'a [u8], end: &'a [u8], entries: u32, bytes: u32) -> Option<Self> {
        let end = if end.is_empty() { &BEHIND_ALL[..] } else { end };
        let (entries, bytes) = (entries.min(MAX_SCAN_ENTRIES), bytes.min(MAX_SCAN_BYTES));
        (entries > 0 && start < end).then_some(Self { start, end, entries, bytes })
    }
}

impl Question<Server> for Page<'_> {
    type Answer = Vec<Entry<Vec<u8>>>;

    async fn ask(&self, server: &Server, connection: &Connection) -> Result<Self::Answer, Failure> {
        let mut budget = ScanBudget::new(self.entries, self.bytes);
        let mut page = Vec::new();
        let (entries, bytes) = (i64::from(self.entries), i64::from(self.bytes));
        let asked: [&(dyn ToSql + Sync); 4] = [&self.start, &self.end, &entries, &bytes];
        let mut rows = Rows::ask(server, connection, &connection.scan, &asked).await?;
        while let Some(row) = rows.next().await? {
            let key: &[u8] = row.try_get(0).map_err(failed)?;
            let value: &[u8] = row.try_get(1).map_err(failed)?;
            if !budget.take(key.len() + value.len()) {
                return Err(odd("more than was asked for"));
            }
            page.push(Entry { key: key.to_vec(), value: value.to_vec() });
        }
        Ok(page)
    }
}

fn odd(what: &str) -> Failure {
    Failure::Refused(StoreError::Other(format!("the server answers with {what}")))
}

/// Rows of an answer, each of which must come in time.
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
        match timeout(patience, asking).await {
            Ok(rows) => Ok(Self { rows: Box::pin(rows.map_err(failed)?), patience }),
            Err(_) => Err(Failure::Lost(format!("no answer within {} s", patience.as_secs_f32()))),
        }
    }

    async fn next(&mut self) -> Result<Option<tokio_postgres::Row>, Failure> {
        match timeout(self.patience, self.rows.next()).await {
            Ok(row) => row.transpose().map_err(failed),
            Err(_) => Err(Failure::Lost("an answer stopped".to_owned())),
        }
    }
}
