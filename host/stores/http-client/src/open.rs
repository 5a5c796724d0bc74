//! Opening a store.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs_http_wire::{Call, limits};

use crate::client::{Failure, Server};
use crate::error::OpenError;
use crate::store::HttpStore;
use crate::url::Config;

/// Longest wait for a server that may be about to start.
const STARTING: Duration = Duration::from_secs(3);

/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens the store that a [`Config`] names. Must be called within a tokio runtime, which outlives the
/// store. Waits up to three seconds for a server that is about to start.
///
/// # Errors
/// See [`OpenError`].
///
/// # Cost
/// One request.
pub async fn open(config: Config) -> Result<HttpStore, OpenError> {
    let place = config.place();
    let server = Server::new(&config)?;
    let begun = Instant::now();
    let answer = loop {
        match server.ask(&Call::Limits, Bytes::new()).await {
            Ok(answer) => break answer,
            Err(Failure::Token) => return Err(OpenError::Credentials { place }),
            Err(Failure::Refused(why)) => return Err(OpenError::Other { place, why }),
            Err(Failure::NotDone(_) | Failure::Unknown(_))
                if begun.elapsed() < config.patience.min(STARTING) =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            Err(Failure::NotDone(why) | Failure::Unknown(why)) => {
                return Err(OpenError::Unreachable { place, why });
            }
        }
    };
    let limits =
        limits::decode(&answer).map_err(|source| OpenError::Store { place: place.clone(), source })?;
    let (read_only, patience) = (config.read_only, config.patience);
    Ok(HttpStore { server, limits, read_only, patience, place })
}
