//! Opening a store.

use std::time::{Duration, Instant};

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

/// Connects, makes the table if that is asked for, and begins a session. Waits for a server that is
/// about to start.
pub(crate) async fn open(config: Config) -> Result<(Server, Connection), OpenError> {
    let sql = Sql::new(&config.table);
    let begun = Instant::now();
    loop {
        match attempt(&config, &sql).await {
            Ok((session, connection)) => return Ok((Server { config, sql, session }, connection)),
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
