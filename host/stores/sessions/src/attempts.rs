//! When to stop trying.

use std::time::Instant;

use kvfs_contract::StoreError;

use crate::backoff::Backoff;
use crate::{Failure, Server};

/// The error of a server that has lost what it had acknowledged. No call can be answered any more:
/// what the caller read before may not be there.
pub(crate) fn forgotten() -> StoreError {
    StoreError::Other(
        "the server lost changes that it had acknowledged: it crashed, or an older copy of it took \
         over; open the store again to go on from what it has"
            .to_owned(),
    )
}

/// The error of a server that cannot be reached for too long.
pub(crate) fn unreachable(server: &impl Server, why: &str) -> StoreError {
    StoreError::Unavailable(format!(
        "{}, for {} s: {why}; check that the server runs and can be reached",
        server.place(),
        server.patience().as_secs_f32()
    ))
}

/// Attempts of one call, as long as the server's patience lasts.
pub(crate) struct Attempts<'a, S> {
    server: &'a S,
    begun: Instant,
    pause: Backoff,
}

impl<'a, S: Server> Attempts<'a, S> {
    pub(crate) fn new(server: &'a S) -> Self {
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
            Failure::Lost(why) if self.begun.elapsed() >= self.server.patience() => {
                Err(unreachable(self.server, &why))
            }
            Failure::Lost(_) => {
                self.pause.wait().await;
                Ok(())
            }
        }
    }
}
