//! Opening a store.

use std::time::{Duration, Instant};

use redis::cmd;

use crate::connection::Connection;
use crate::error::refusal;
use crate::info::Keeps;
use crate::open_error::OpenError;
use crate::server::{Names, Server};
use crate::url::Config;

/// Longest wait for a server that may be about to start.
const STARTING: Duration = Duration::from_secs(3);

/// What the server's key `store` holds: the form of the others.
const FORM: &str = "kvfs 1";

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
    let refused = |error| refusal(&error, config.place());
    let marker = config.name("store");
    if config.create && !config.read_only {
        // What is there stays.
        let made: Result<u8, _> = connection.call(cmd("SETNX").arg(&marker).arg(FORM)).await;
        made.map_err(refused)?;
    }
    let form: Option<String> = connection.call(cmd("GET").arg(&marker)).await.map_err(refused)?;
    match form.as_deref() {
        Some(FORM) => {}
        Some(_) => return Err(OpenError::Taken { name: marker, place: config.place() }),
        None => return Err(OpenError::NoStore { prefix: config.prefix.clone(), place: config.place() }),
    }
    if !config.read_only {
        let begun: Result<(), _> = connection.call(&names.begin()).await;
        begun.map_err(refused)?;
    }
    Ok((names, connection))
}
