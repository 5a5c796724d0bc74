//! Opening a store.

use std::time::{Duration, Instant};

use kvfs_store_sessions::Sessions;

use redis::cmd;

use crate::connection::Connection;
use crate::error::refusal;
use crate::info::Keeps;
use crate::names::Names;
use crate::open_error::OpenError;
use crate::server::Server;
use crate::url::Config;

/// Longest wait for a server that may be about to start.
const STARTING: Duration = Duration::from_secs(3);

/// What the server's key `store` holds: the form of the others.
const FORM: &str = "kvfs 1";

/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// A store in Redis or Valkey, over two connections: one for reads, one for applies.
///
/// Several may be open on one prefix, by any number of programs: each call is one script, and a
/// server runs one at a time.
///
/// # Durability
/// It depends on the server's settings, and [`Limits::durable`](kvfs_contract::Limits::durable) says what they come to: with
/// `appendfsync always`, or `everysec` where `WAITAOF` waits for the disk, what is acknowledged as durable is in the
/// server's log on disk. Otherwise a crash of the server may lose anything. The store then answers
/// every further call with an error, because what was read from it may be gone.
///
/// # Cost
/// Each call is one round to the server, whatever it carries.
pub type RedisStore = Sessions<Server>;

/// Opens the store that a [`Config`] names. Must be called within a tokio runtime, which outlives the
/// store. Waits up to three seconds for a server that is about to start.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(config: Config) -> Result<RedisStore, OpenError> {
    let begun = Instant::now();
    loop {
        match attempt(&config).await {
            Ok((names, connection)) => {
                let durable = connection.keeps != Keeps::Nothing;
                return Ok(Sessions::new(Server { config, names, durable }, connection).await);
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
