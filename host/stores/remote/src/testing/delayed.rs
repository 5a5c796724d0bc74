//! A store at a chosen distance.

use std::thread;
use std::time::Duration;

use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, StoreError};
use tokio::task::spawn_blocking;

/// A store each call of which takes a round trip longer: as the store within, behind a network.
///
/// Calls at the same time wait at the same time. Limits are known without a call, as those of a
/// server are once it is connected.
#[derive(Clone, Debug)]
pub struct Delayed<S> {
    inner: S,
    delay: Duration,
}

impl<S> Delayed<S> {
    /// Puts a store at a distance of a round trip that takes `delay`.
    pub fn new(inner: S, delay: Duration) -> Self {
        Self { inner, delay }
    }

    /// Returns the store within.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    async fn travel(&self) -> Result<(), StoreError> {
        if self.delay.is_zero() {
            return Ok(());
        }
        // Timers of tokio count in milliseconds, and add up to one.
        let delay = self.delay;
        spawn_blocking(move || thread::sleep(delay))
            .await
            .map_err(|error| StoreError::Fault(error.to_string()))
    }
}

impl<S: AsyncKvStore> AsyncKvStore for Delayed<S> {
    type Bytes = S::Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        self.inner.limits().await
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Self::Bytes>>, StoreError> {
        self.travel().await?;
        self.inner.get(keys).await
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Self::Bytes>>, StoreError> {
        self.travel().await?;
        self.inner.scan(start, end, max_entries, max_bytes).await
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.travel().await?;
        self.inner.apply(guards, mutations, level).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
