//! The four functions, each of which is a request.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, StoreError};
use kvfs_http_wire::{Call, entries, nothing, values};

use crate::client::{Failure, Server};

/// The first pause before a request is repeated; each is twice the last one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A store that a server keeps. Any number may be open on one server.
///
/// # Durability
/// As the server's store: a call returns when that one has answered.
///
/// # Cost
/// Each call is one request; `limits` takes none.
#[derive(Debug)]
pub struct HttpStore {
    pub(crate) server: Server,
    pub(crate) limits: Limits,
    pub(crate) read_only: bool,
    pub(crate) patience: Duration,
    /// Host and port, for messages.
    pub(crate) place: String,
}

impl HttpStore {
    /// Sends a call until it is answered, as long as patience lasts. One that changes something is
    /// sent again only if it was not done.
    async fn ask(&self, call: &Call<'_>) -> Result<Bytes, StoreError> {
        let body = Bytes::from(call.encode());
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let failure = match self.server.ask(call, body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match &failure {
                Failure::Unknown(_) if call.changes() => return Err(StoreError::UnknownOutcome),
                Failure::NotDone(_) | Failure::Unknown(_) if begun.elapsed() < self.patience => {}
                _ => return Err(failure.error(&self.place)),
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }
}

impl AsyncKvStore for HttpStore {
    type Bytes = Vec<u8>;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.limits)
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        values::decode(&self.ask(&Call::Get { keys: keys.to_vec() }).await?, keys.len())
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        entries::decode(&self.ask(&Call::Scan { start, end, max_entries, max_bytes }).await?)
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        if self.read_only {
            return match mutations.is_empty() && guards.is_empty() {
                true => Ok(()),
                false => Err(StoreError::ReadOnly),
            };
        }
        let call = Call::Apply { guards: guards.to_vec(), mutations: mutations.to_vec(), level };
        nothing::decode(&self.ask(&call).await?)
    }
}
