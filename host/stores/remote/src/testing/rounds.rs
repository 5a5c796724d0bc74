//! A store that counts dependent rounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, StoreError};

/// A store that counts how many of its calls came one after another: what a round trip's time is to
/// be multiplied with. A call that begins after another one has ended counts one more than that one;
/// calls at the same time count once. A clone counts together with the original.
#[derive(Clone, Debug)]
pub struct Rounds<S> {
    inner: S,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    /// The longest chain of calls that have ended.
    rounds: AtomicU64,
}

impl<S> Rounds<S> {
    /// Counts the calls of `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner, counts: Arc::default() }
    }

    /// Returns the store within.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Returns the length of the longest chain of calls one after another since the last
    /// [`reset`](Self::reset).
    pub fn rounds(&self) -> u64 {
        self.counts.rounds.load(Ordering::SeqCst)
    }

    /// Returns how many calls have begun since the last [`reset`](Self::reset).
    pub fn calls(&self) -> u64 {
        self.counts.calls.load(Ordering::SeqCst)
    }

    /// Counts from zero again. No call may be under way.
    pub fn reset(&self) {
        self.counts.calls.store(0, Ordering::SeqCst);
        self.counts.rounds.store(0, Ordering::SeqCst);
    }

    async fn count<T>(&self, call: impl Future<Output = T>) -> T {
        self.counts.calls.fetch_add(1, Ordering::SeqCst);
        let round = self.rounds() + 1;
        let answer = call.await;
        self.counts.rounds.fetch_max(round, Ordering::SeqCst);
        answer
    }
}

impl<S: AsyncKvStore> AsyncKvStore for Rounds<S> {
    type Bytes = S::Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        self.inner.limits().await
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Self::Bytes>>, StoreError> {
        self.count(self.inner.get(keys)).await
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Self::Bytes>>, StoreError> {
        self.count(self.inner.scan(start, end, max_entries, max_bytes)).await
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.count(self.inner.apply(guards, mutations, level)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
