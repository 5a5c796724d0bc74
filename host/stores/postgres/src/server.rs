//! Where the server is, how to reach it, and when to stop trying.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use kvfs_contract::StoreError;
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::Failure;
use crate::session::Session;
use crate::sql::Sql;
use crate::url::Config;

/// Where the server is, and what a connection to it starts with.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) sql: Sql,
    pub(crate) session: Session,
    /// The number of the last apply that was acknowledged.
    pub(crate) acknowledged: AtomicI64,
}

impl Server {
    /// Connects. Checks that the server knows all that was acknowledged.
    pub(crate) async fn connect(&self, application: &str) -> Result<Connection, Failure> {
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let connecting = async {
            let connection = Connection::open(&self.config, &self.sql, application).await;
            let connection = connection.map_err(|error| match error.may_pass() {
                true => Failure::Lost(error.to_string()),
                false => Failure::Refused(error.into()),
            })?;
            let last = self.session.last(&connection).await?;
            Ok((connection, last))
        };
        let (connection, last) =
            timeout(self.config.patience, connecting).await.unwrap_or_else(|_| self.silent())?;
        if !self.config.read_only && last.is_none_or(|last| last < acknowledged) {
            return Err(Failure::Forgotten);
        }
        Ok(connection)
    }

    /// The failure of a call that gets no answer.
    pub(crate) fn silent<T>(&self) -> Result<T, Failure> {
        Err(Failure::Lost(format!("no answer within {} s", self.config.patience.as_secs_f32())))
    }

    /// The error of a server that cannot be reached for too long.
    pub(crate) fn unreachable(&self, why: &str) -> StoreError {
        let place = self.config.place();
        let why = why.strip_prefix(&format!("no PostgreSQL answers at {place}: ")).unwrap_or(why);
        StoreError::Unavailable(format!(
            "{place}, for {} s: {why}; check that the server runs and can be reached",
            self.config.patience.as_secs_f32()
        ))
    }
}

/// The error of a server that has lost what it had acknowledged. No call can be answered any more:
/// what the caller read before may not be there.
pub(crate) fn forgotten() -> StoreError {
    StoreError::Other(
        "the server lost changes that it had acknowledged: it crashed, or an older copy of it took \
         over; open the store again to go on from what it has"
            .to_owned(),
    )
}

/// Attempts of one call, as long as the server's patience lasts.
pub(crate) struct Attempts<'a> {
    server: &'a Server,
    begun: Instant,
    pause: Backoff,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(server: &'a Server) -> Self {
        Self { server, begun: Instant::now(), pause: Backoff::new() }
    }

    /// Waits for the next attempt after a failed one.
    ///
    /// # Errors
    /// That of a refusal, and [`StoreError::Unavailable`] at the end of the server's patience.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<(), StoreError> {
        match failure {
            Failure::Refused(error) => Err(error),
            Failure::Forgotten => Err(forgotten()),
            Failure::Lost(why) if self.begun.elapsed() >= self.server.config.patience => {
                Err(self.server.unreachable(&why))
            }
            Failure::Lost(_) => {
                self.pause.wait().await;
                Ok(())
            }
        }
    }
}
