//! A store with a runtime of its own.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;

use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, StoreError, block_on};
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of a runtime: with two, a task that computes (a compaction, a handshake) does not keep
/// the other's answers waiting.
const THREADS: usize = 2;

/// A store together with the tokio runtime that drives its connections. A clone is another handle on
/// the same store.
///
/// Calls wait in either way:
///
/// - [`get`](Self::get), [`scan`](Self::scan), [`apply`](Self::apply) and the others put the calling
///   thread to sleep until the answer is there. Any thread may call them, those of other runtimes
///   too.
/// - The functions of [`AsyncKvStore`] return futures, which any executor may poll.
///
/// A call is polled where it is made, so that its arguments are borrowed and nothing is copied on
/// the way; only connections, timers and background tasks run on the runtime's threads.
///
/// The runtime ends with the last handle, without waiting for its tasks. Call [`close`](Self::close)
/// before, or lose what the store has not sent yet.
#[derive(Debug)]
pub struct Remote<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for Remote<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

#[derive(Debug)]
struct Shared<S> {
    store: S,
    runtime: Running,
}

/// A runtime that may be dropped anywhere. A runtime itself panics if it is dropped on a thread of
/// another.
#[derive(Debug)]
struct Running(Option<Runtime>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl<S: AsyncKvStore> Remote<S> {
    /// Opens a store on a new runtime, and waits for it. `name` is that of the runtime's threads.
    ///
    /// # Errors
    /// Those of `open`, and the system's if it has no thread to give.
    pub fn open<E: From<io::Error>>(name: &str, open: impl Future<Output = Result<S, E>>) -> Result<Self, E> {
        let runtime =
            Builder::new_multi_thread().worker_threads(THREADS).thread_name(name).enable_all().build()?;
        let runtime = Running(Some(runtime));
        let store = match &runtime.0 {
            Some(running) => block_on(within(running.handle(), open))?,
            None => return Err(io::Error::other("the runtime is gone").into()),
        };
        Ok(Self { shared: Arc::new(Shared { store, runtime }) })
    }

    /// Returns the store itself. Its futures need the runtime: [`Remote::wait`].
    pub fn store(&self) -> &S {
        &self.shared.store
    }

    /// Waits for a future of the store on this thread, which sleeps meanwhile.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        block_on(self.within(future))
    }

    /// Returns the store's limits.
    ///
    /// # Errors
    /// The store's, for this function and the next ones.
    pub fn limits(&self) -> Result<Limits, StoreError> {
        self.wait(self.store().limits())
    }

    /// Returns the values of `keys`.
    pub fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<S::Bytes>>, StoreError> {
        self.wait(self.store().get(keys))
    }

    /// Returns entries of a range.
    pub fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<S::Bytes>>, StoreError> {
        self.wait(self.store().scan(start, end, max_entries, max_bytes))
    }

    /// Applies mutations under guards.
    pub fn apply(
        &self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.wait(self.store().apply(guards, mutations, level))
    }

    /// Closes the store: see [`AsyncKvStore::close`].
    pub fn close(&self) -> Result<(), StoreError> {
        self.wait(self.store().close())
    }

    async fn within<F: Future>(&self, future: F) -> F::Output {
        match &self.shared.runtime.0 {
            Some(runtime) => within(runtime.handle(), future).await,
            // Only while it is dropped.
            None => future.await,
        }
    }
}

impl<S: AsyncKvStore> AsyncKvStore for Remote<S> {
    type Bytes = S::Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        self.within(self.store().limits()).await
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Self::Bytes>>, StoreError> {
        self.within(self.store().get(keys)).await
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Self::Bytes>>, StoreError> {
        self.within(self.store().scan(start, end, max_entries, max_bytes)).await
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.within(self.store().apply(guards, mutations, level)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.within(self.store().close()).await
    }
}

/// Polls a future with a runtime as the current one, on whatever thread that happens.
async fn within<F: Future>(runtime: &Handle, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _entered = runtime.enter();
        future.as_mut().poll(cx)
    })
    .await
}
