//! A store below that answers at once.

use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// A [`KvStore`], which answers at once, as an [`AsyncKvStore`].
#[derive(Debug)]
pub struct Blocking<S>(Mutex<S>);

impl<S> Blocking<S> {
    /// Wraps a store.
    pub fn new(store: S) -> Self {
        Self(Mutex::new(store))
    }

    fn lock(&self) -> Result<MutexGuard<'_, S>, StoreError> {
        self.0.lock().map_err(|_| StoreError::Fault("a thread panicked in the store below".into()))
    }
}

impl<S: KvStore + Send> AsyncKvStore for Blocking<S> {
    type Bytes = Vec<u8>;

    async fn limits(&self) -> Result<Limits, StoreError> {
        self.lock()?.limits()
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.lock()?.get(keys)
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.lock()?.scan(start, end, max_entries, max_bytes)
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.lock()?.apply(guards, mutations, level)
    }
}

/// Returns the answer of a call to a store that answers at once, as [`Blocking`] does.
///
/// # Panics
/// If the store below does not answer at once.
pub fn now<T>(call: impl Future<Output = T>) -> T {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the store below does not answer at once"),
    }
}
