//! Sessions: the row by which an apply is made once, and its lost answer found out.
//!
//! Each apply has a number, and its transaction moves the session's row from the number before to
//! this one. Whoever looks at the row knows whether the apply was made. If it was not, the row is
//! moved on (the number is burned), so that an apply that is still under way to the server changes
//! nothing.

use futures_util::future::join5;

use crate::connection::Connection;
use crate::error::Failure;
use crate::sql::Sql;

/// Bytes of a session's name.
const ID_BYTES: usize = 16;

/// A store's session at the server.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    id: [u8; ID_BYTES],
}

/// What became of an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was made.
    Made,
    /// It was not, and never will be.
    Burned,
    /// The server does not know applies before it, which it had acknowledged.
    Forgotten,
}

impl Session {
    /// Makes a name that no other session has.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut id)?;
        Ok(Self { id })
    }

    pub(crate) fn id(&self) -> &[u8] {
        &self.id
    }

    /// Returns the name under which the server lists connections that change the store.
    pub(crate) fn writer(&self) -> String {
        format!("kvfs {:032x} writer", u128::from_be_bytes(self.id))
    }

    /// Returns the name under which the server lists connections that read.
    pub(crate) fn reader(&self) -> String {
        format!("kvfs {:032x} reader", u128::from_be_bytes(self.id))
    }

    /// Begins the session at the server.
    pub(crate) async fn begin(&self, connection: &Connection) -> Result<(), Failure> {
        connection.client.execute(&connection.begin_session, &[&self.id()]).await?;
        Ok(())
    }

    /// Ends the session at the server.
    pub(crate) async fn end(&self, connection: &Connection, sql: &Sql) -> Result<(), Failure> {
        connection.client.execute(&sql.end_session, &[&self.id()]).await?;
        Ok(())
    }

    /// Returns the number of the last apply that the server knows; `None` without a session.
    pub(crate) async fn last(&self, connection: &Connection) -> Result<Option<i64>, Failure> {
        let row = connection.client.query_opt(&connection.look_at_session, &[&self.id()]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Finds out what became of the apply with this number, for good.
    pub(crate) async fn settle(&self, connection: &Connection, number: i64) -> Result<Fate, Failure> {
        let client = &connection.client;
        // One that waits for the rest of its bytes would hold the lock.
        client.query(&connection.end_others, &[&self.writer()]).await?;
        let id = self.id();
        let ask: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&id];
        let burn: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&id, &number];
        let (begun, locked, row, burned, committed) = join5(
            client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
            client.execute(&connection.lock, &[]),
            client.query_opt(&connection.look_at_session, &ask),
            client.execute(&connection.burn, &burn),
            client.batch_execute("COMMIT"),
        )
        .await;
        begun?;
        locked?;
        let row = row?;
        burned?;
        committed?;
        let Some(row) = row else { return Ok(Fate::Forgotten) };
        let (applies, last_burned): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(if applies == number && last_burned != number {
            Fate::Made
        } else if applies == number || applies == number - 1 {
            Fate::Burned
        } else {
            Fate::Forgotten
        })
    }
}
