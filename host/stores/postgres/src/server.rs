//! A session at a server: the row by which an apply is made once.

use futures_util::future::{Either, join5, ready};
use kvfs_store_sessions::{Batch, Failure, Fate, Outcome, Role};
use tokio_postgres::types::ToSql;

use crate::connection::Connection;
use crate::error::failed;
use crate::session::Session;
use crate::sql::Sql;
use crate::url::Config;

/// The transaction of every apply. Each statement sees all that was committed before it began, so
/// the guards see all that was committed before the lock was taken. It commits without waiting for
/// the disk: a durable apply is followed by a flush, when the lock is free again.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off";

/// Where the server is, and the session.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) sql: Sql,
    pub(crate) session: Session,
}

impl kvfs_store_sessions::Server for Server {
    type Connection = Connection;

    fn place(&self) -> String {
        self.config.place()
    }

    fn patience(&self) -> std::time::Duration {
        self.config.patience
    }

    fn writes(&self) -> bool {
        !self.config.read_only
    }

    async fn connect(&self, role: Role) -> Result<Connection, Failure> {
        let name = match role {
            Role::Reader => self.session.reader(),
            Role::Writer => self.session.writer(),
        };
        let connection = Connection::open(&self.config, &self.sql, &name).await;
        connection.map_err(|error| match error.may_pass() {
            true => Failure::Lost(error.why()),
            false => Failure::Refused(error.into()),
        })
    }

    fn is_closed(&self, connection: &Connection) -> bool {
        connection.client.is_closed()
    }

    async fn last(&self, connection: &Connection) -> Result<Option<i64>, Failure> {
        let row = connection.client.query_opt(&connection.look_at_session, &[&self.session.id()]).await;
        row.map_err(failed)?.map(|row| row.try_get(0)).transpose().map_err(failed)
    }

    /// Sends one transaction, all of it at once.
    async fn apply(
        &self,
        connection: &Connection,
        batch: &Batch<'_>,
        number: i64,
        durable: bool,
    ) -> Result<Outcome, Failure> {
        let client = &connection.client;
        let id = self.session.id();
        let (guarded, expected): (Vec<_>, Vec<_>) = batch.guards.iter().copied().unzip();
        let (put, values): (Vec<_>, Vec<_>) = batch.put.iter().copied().unzip();
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&guarded, &expected, &batch.removed, &put, &id, &number, &values];
        // The first poll of each sends its messages, in this order.
        let (begun, locked, applied, committed, flushed) = join5(
            client.batch_execute(BEGIN),
            client.execute(&connection.lock, &[]),
            client.query_one(&connection.apply, &parameters),
            client.batch_execute("COMMIT"),
            match durable {
                true => Either::Left(client.execute(&connection.flush, &[])),
                false => Either::Right(ready(Ok(0))),
            },
        )
        .await;
        begun.map_err(failed)?;
        locked.map_err(failed)?;
        let row = applied.map_err(failed)?;
        let held = row.try_get(0).map_err(failed)?;
        let marked = row.try_get(1).map_err(failed)?;
        match (held, marked) {
            (false, _) => return Ok(Outcome::Conflict),
            (true, false) => return Ok(Outcome::OutOfTurn),
            (true, true) => committed.map_err(failed)?,
        }
        match flushed.map_err(failed) {
            Ok(_) => Ok(Outcome::Made),
            Err(Failure::Refused(error)) => {
                tracing::warn!("an apply was made and could not be flushed: {error}");
                Ok(Outcome::NotFlushed)
            }
            Err(lost) => Err(lost),
        }
    }

    async fn settle(&self, connection: &Connection, number: i64) -> Result<Fate, Failure> {
        let client = &connection.client;
        // One that waits for the rest of its bytes would hold the lock.
        client.query(&connection.end_others, &[&self.session.writer()]).await.map_err(failed)?;
        let id = self.session.id();
        let ask: [&(dyn ToSql + Sync); 1] = [&id];
        let burn: [&(dyn ToSql + Sync); 2] = [&id, &number];
        let (begun, locked, row, burned, committed) = join5(
            client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
            client.execute(&connection.lock, &[]),
            client.query_opt(&connection.look_at_session, &ask),
            client.execute(&connection.burn, &burn),
            client.batch_execute("COMMIT"),
        )
        .await;
        begun.map_err(failed)?;
        locked.map_err(failed)?;
        let row = row.map_err(failed)?;
        burned.map_err(failed)?;
        committed.map_err(failed)?;
        let Some(row) = row else { return Ok(Fate::Forgotten) };
        let last: i64 = row.try_get(0).map_err(failed)?;
        let last_burned: i64 = row.try_get(1).map_err(failed)?;
        Ok(Fate::of(number, last, last_burned))
    }

    async fn flush(&self, connection: &Connection) -> Result<(), Failure> {
        connection.client.execute(&connection.flush, &[]).await.map(drop).map_err(failed)
    }

    async fn end(&self, connection: &Connection) -> Result<(), Failure> {
        connection
            .client
            .execute(&self.sql.end_session, &[&self.session.id()])
            .await
            .map(drop)
            .map_err(failed)
    }
}
