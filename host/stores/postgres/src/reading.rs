//! Reads: one statement each.

use std::time::Duration;

use futures_util::StreamExt;
use kvfs_contract::{Entry, MAX_ANSWER_BYTES, MAX_KEY_BYTES, ScanBudget, StoreError};
use kvfs_store_sessions::{Failure, Page};
use tokio::time::timeout;
use tokio_postgres::RowStream;
use tokio_postgres::types::ToSql;

use crate::connection::Connection;
use crate::error::failed;
use crate::url::Config;

/// An end of a range that is behind every key.
const BEHIND_ALL: [u8; MAX_KEY_BYTES as usize + 1] = [0xff; MAX_KEY_BYTES as usize + 1];

/// Asks for the values of different keys.
pub(crate) async fn values(
    config: &Config,
    connection: &Connection,
    keys: &[&[u8]],
) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let mut values: Vec<Option<Vec<u8>>> = vec![None; keys.len()];
    let mut left_bytes = MAX_ANSWER_BYTES;
    let mut rows = Rows::ask(config, connection, &connection.get, &[&keys]).await?;
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

/// Asks for entries of a range.
pub(crate) async fn page(
    config: &Config,
    connection: &Connection,
    asked: Page<'_>,
) -> Result<Vec<Entry<Vec<u8>>>, Failure> {
    let end = if asked.end.is_empty() { &BEHIND_ALL[..] } else { asked.end };
    let mut budget = ScanBudget::new(asked.entries, asked.bytes);
    let mut page = Vec::new();
    let (entries, bytes) = (i64::from(asked.entries), i64::from(asked.bytes));
    let parameters: [&(dyn ToSql + Sync); 4] = [&asked.start, &end, &entries, &bytes];
    let mut rows = Rows::ask(config, connection, &connection.scan, &parameters).await?;
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
        config: &Config,
        connection: &Connection,
        statement: &tokio_postgres::Statement,
        asked: &[&(dyn ToSql + Sync)],
    ) -> Result<Self, Failure> {
        let patience = config.part_patience();
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
