//! Opening a store.

use std::time::{Duration, Instant};

use kvfs_contract::StoreError;

use crate::backoff::Backoff;
use crate::connect_error::OpenError;
use crate::connection::Connection;
use crate::create::create;
use crate::error::Failure;
use crate::session::Session;
use crate::sql::Sql;
use crate::url::Config;

/// Longest wait for a server that may be about to start.
const STARTING: Duration = Duration::from_secs(3);

/// A connection with a session that has begun, which is what a store starts from.
pub(crate) struct Opened {
    pub(crate) config: Config,
    pub(crate) sql: Sql,
    pub(crate) session: Session,
    pub(crate) writer: Connection,
}

/// Connects, makes the table if that is asked for, and begins a session. Waits for a server that is
/// about to start.
pub(crate) async fn open(config: Config) -> Result<Opened, OpenError> {
    let sql = Sql::new(&config.table);
    let begun = Instant::now();
    let mut pause = Backoff::new();
    loop {
        match attempt(&config, &sql).await {
            Ok((session, writer)) => return Ok(Opened { config, sql, session, writer }),
            Err(error) if error.may_pass() && begun.elapsed() < config.patience.min(STARTING) => {
                pause.wait().await
            }
            Err(error) => return Err(error),
        }
    }
}

async fn attempt(config: &Config, sql: &Sql) -> Result<(Session, Connection), OpenError> {
    let other = |why: String| OpenError::Other { place: config.place(), why };
    let session = Session::random().map_err(|error| other(error.to_string()))?;
    let name = session.writer();
    let writer = match Connection::open(config, sql, &name).await {
        Err(OpenError::NoTable { .. } | OpenError::NoDatabase { .. })
            if config.create && !config.read_only =>
        {
            create(config, sql).await?;
            Connection::open(config, sql, &name).await?
        }
        other => other?,
    };
    if config.read_only {
        return Ok((session, writer));
    }
    match session.begin(&writer).await {
        Ok(()) => Ok((session, writer)),
        Err(Failure::Lost(why)) => Err(OpenError::Unreachable { place: config.place(), why }),
        Err(Failure::Refused(error @ (StoreError::AccessDenied | StoreError::ReadOnly))) => {
            Err(OpenError::Denied { place: config.place(), why: error.to_string() })
        }
        Err(Failure::Refused(error)) => Err(other(error.to_string())),
        Err(Failure::Forgotten) => Err(other("a new session is gone at once".to_owned())),
    }
}
