//! Reads: one script each.

use std::time::Duration;

use kvfs_contract::{Entry, MAX_ANSWER_BYTES, ScanBudget, StoreError};
use kvfs_store_sessions::{Failure, Page};
use redis::{Cmd, FromRedisValue, cmd};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::error::failed;
use crate::names::Names;

/// Asks for the values of different keys.
pub(crate) async fn values(
    names: &Names,
    patience: Duration,
    connection: &Connection,
    keys: &[&[u8]],
) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let mut get = cmd("EVALSHA");
    get.arg(&connection.scripts.get).arg(1).arg(&names.values).arg(MAX_ANSWER_BYTES);
    for key in keys {
        get.arg(*key);
    }
    call(patience, connection, &get).await
}

/// Asks for entries of a range.
pub(crate) async fn page(
    names: &Names,
    patience: Duration,
    connection: &Connection,
    asked: Page<'_>,
) -> Result<Vec<Entry<Vec<u8>>>, Failure> {
    let mut scan = cmd("EVALSHA");
    scan.arg(&connection.scripts.scan).arg(2).arg(&names.keys).arg(&names.values);
    scan.arg(asked.start).arg(asked.end).arg(asked.entries).arg(asked.bytes);
    let found: Vec<Vec<u8>> = call(patience, connection, &scan).await?;
    let mut budget = ScanBudget::new(asked.entries, asked.bytes);
    let mut page = Vec::with_capacity(found.len() / 2);
    let mut parts = found.into_iter();
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        if !budget.take(key.len() + value.len()) {
            let more = "the server answers with more than was asked for";
            return Err(Failure::Refused(StoreError::Other(more.to_owned())));
        }
        page.push(Entry { key, value });
    }
    Ok(page)
}

/// Sends a command, and waits for a part of the patience.
async fn call<T: FromRedisValue>(
    patience: Duration,
    connection: &Connection,
    command: &Cmd,
) -> Result<T, Failure> {
    match timeout(patience, connection.call(command)).await {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(Failure::Lost(format!("no answer within {} s", patience.as_secs_f32()))),
    }
}
