//! Opening a store.

use std::time::{Duration, Instant};

use kvfs_store_sessions::Sessions;

use crate::connect_error::OpenError;
use crate::connection::{Connection, refusal};
use crate::create::create;
use crate::server::Server;
use crate::session::Session;
use crate::sql::Sql;
use crate::url::Config;

/// Longest wait for a server that may be about to start.
const STARTING: Duration = Duration::from_secs(3);

/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// A store in a table of PostgreSQL, over two connections: one for reads, one for applies.
///
/// Several may be open on one table, by any number of programs: applies with guards are atomic and
/// happen one after the other, and reads see all that was acknowledged before they began.
///
/// # Durability
/// What is acknowledged as durable is in the server's log on disk. A crash of the server may lose
/// what was acknowledged as buffered since: a suffix. The store then answers every further call with
/// an error, because what was read from it may be gone.
///
/// # Cost
/// Each call is one round to the server, whatever it carries.
pub type PostgresStore = Sessions<Server>;

/// Opens the store that a [`Config`] names. Must be called within a tokio runtime, which outlives the
/// store. Waits up to three seconds for a server that is about to start.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(config: Config) -> Result<PostgresStore, OpenError> {
    let sql = Sql::new(&config.table);
    let begun = Instant::now();
    loop {
        match attempt(&config, &sql).await {
            Ok((session, connection)) => {
                let durable = connection.durable;
                return Ok(Sessions::new(Server { config, sql, session, durable }, connection).await);
            }
            Err(error) if error.may_pass() && begun.elapsed() < config.patience.min(STARTING) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn attempt(config: &Config, sql: &Sql) -> Result<(Session, Connection), OpenError> {
    let session = Session::random()
        .map_err(|error| OpenError::Other { place: config.place(), why: error.to_string() })?;
    let name = session.writer();
    let connection = match Connection::open(config, sql, &name).await {
        Err(OpenError::NoTable { .. } | OpenError::NoDatabase { .. })
            if config.create && !config.read_only =>
        {
            create(config, sql).await?;
            Connection::open(config, sql, &name).await?
        }
        other => other?,
    };
    if !config.read_only {
        let begun = connection.client.execute(&connection.begin_session, &[&session.id()]).await;
        begun.map_err(|error| refusal(&error, config.place()))?;
    }
    Ok((session, connection))
}
