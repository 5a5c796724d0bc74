//! Reads: one script each.

use kvfs_contract::{Entry, MAX_ANSWER_BYTES, MAX_SCAN_BYTES, MAX_SCAN_ENTRIES, ScanBudget, StoreError};
use kvfs_store_sessions::{Failure, Question};
use redis::{Cmd, FromRedisValue, cmd};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::error::failed;
use crate::server::Server;

/// The values of different keys.
pub(crate) struct Values<'a>(pub(crate) &'a [&'a [u8]]);

impl Question<Server> for Values<'_> {
    type Answer = Vec<Option<Vec<u8>>>;

    async fn ask(&self, server: &Server, connection: &Connection) -> Result<Self::Answer, Failure> {
        let mut get = cmd("EVALSHA");
        get.arg(&connection.scripts.get).arg(1).arg(&server.names.values).arg(MAX_ANSWER_BYTES);
        for key in self.0 {
            get.arg(*key);
        }
        call(server, connection, &get).await
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
        let (entries, bytes) = (entries.min(MAX_SCAN_ENTRIES), bytes.min(MAX_SCAN_BYTES));
        (entries > 0 && (end.is_empty() || start < end)).then_some(Self { start, end, entries, bytes })
    }
}

impl Question<Server> for Page<'_> {
    type Answer = Vec<Entry<Vec<u8>>>;

    async fn ask(&self, server: &Server, connection: &Connection) -> Result<Self::Answer, Failure> {
        let mut scan = cmd("EVALSHA");
        scan.arg(&connection.scripts.scan).arg(2).arg(&server.names.keys).arg(&server.names.values);
        scan.arg(self.start).arg(self.end).arg(self.entries).arg(self.bytes);
        let found: Vec<Vec<u8>> = call(server, connection, &scan).await?;
        let mut budget = ScanBudget::new(self.entries, self.bytes);
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
}

/// Sends a command, and waits for a part of the patience.
async fn call<T: FromRedisValue>(
    server: &Server,
    connection: &Connection,
    command: &Cmd,
) -> Result<T, Failure> {
    let patience = server.config.patience / 3;
    match timeout(patience, connection.call(command)).await {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(Failure::Lost(format!("no answer within {} s", patience.as_secs_f32()))),
    }
}
