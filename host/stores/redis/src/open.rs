//! Opening a store.

use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::error::refusal;
use crate::info::Keeps;
use crate::open_error::OpenError;
use crate::server::{Names, Server};
use crate::url::Config;

/// Longest wait for a server that may be about to start.
const STARTING: Duration = Duration::from_secs(3);

/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Connects and begins a session. Waits for a server that is about to start.
pub(crate) async fn open(config: Config) -> Result<(Server, Connection), OpenError> {
    let begun = Instant::now();
    loop {
        match attempt(&config).await {
            Ok((names, connection)) => {
                let durable = connection.keeps != Keeps::Nothing;
                return Ok((Server { config, names, durable }, connection));
            }
            Err(error) if error.may_pass() && begun.elapsed() < config.patience.min(STARTING) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn attempt(config: &Config) -> Result<(Names, Connection), OpenError> {
    let names = Names::new(config)
        .map_err(|error| OpenError::Other { place: config.place(), why: error.to_string() })?;
    let connection = Connection::open(config).await?;
    if !config.read_only {
        let begun: Result<(), _> = connection.call(&names.begin()).await;
        begun.map_err(|error| refusal(&error, config.place()))?;
    }
    Ok((names, connection))
}
