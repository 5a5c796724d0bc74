//! The contract as traits: [`Store`], which may answer later, and [`SyncStore`], which answers at
//! once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use kvfs_contract::block_on;

use crate::{Durability, Entry, Guard, Limits, Mutation, StoreError};

/// A store whose calls return when they are done. Implement it for memory, a file, or anything else
/// that needs no executor.
///
/// Every `SyncStore` is a [`Store`]. Its calls run on the guest's thread, even under
/// [`add_to_linker_async`](crate::add_to_linker_async). A store that waits long (for a network)
/// should implement [`Store`] instead.
///
/// # Contract
///
/// Keys and values are any bytes, even none. Keys are ordered as sequences of unsigned bytes, a
/// prefix before what it is a prefix of. Calls may come from several threads at once. Each call is
/// atomic, and every later call sees its changes (read-your-writes), whatever the durability level.
/// The module `conformance` (feature of the same name) checks all of this.
pub trait SyncStore: Send + Sync {
    /// Returns the store's limits. Always the same answer.
    fn limits(&self) -> Result<Limits, StoreError>;

    /// Returns the values of `keys`, in their order; `None` where a key is absent.
    ///
    /// A key may be named more than once; no keys is a valid question. All values are of one
    /// moment.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: more than [`Limits::max_batch_entries`] keys, a key over
    /// [`Limits::max_key_bytes`], or an answer too large to hold in memory.
    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError>;

    /// Returns the entries with `start <= key < end`, ascending; an empty `end` is the end of the
    /// store.
    ///
    /// At most `max_entries` entries and `max_bytes` bytes of keys and values, but at least one
    /// entry if the range has one and `max_entries` is not 0. Fewer than asked for is allowed, so
    /// only an empty answer says that the range is done; after any other the caller goes on from
    /// the last key followed by a zero byte. `start` and `end` may be longer than the longest key.
    /// An `end` before `start` is an empty range.
    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Applies all mutations if all guards hold, or changes nothing.
    ///
    /// Guards are checked against the state before the call. Mutations take effect in their order,
    /// so the last one on a key wins.
    ///
    /// # Durability
    /// At [`Durability::Durable`] this and every earlier `apply` survive a crash of the host when
    /// the call returns. Without mutations it is a barrier. A store in memory treats both levels
    /// alike and says so in [`Limits::durable`]. A buffered apply may wait in the store's memory as
    /// long as nobody else changes the same keys: see [`Durability::Buffered`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: a guard did not hold. [`StoreError::TooLarge`]: over the limits.
    /// After any error but [`StoreError::UnknownOutcome`] nothing has changed.
    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError>;

    /// Calls `work` once, while the applies of other threads wait, and returns true. Returns false
    /// without a call if the store cannot let them wait.
    ///
    /// `Volumes` changes a volume so whose guest is faster than it: a guest in a loop on a
    /// [`MemoryStore`](crate::MemoryStore) commits each few microseconds. Applies that are under way when
    /// it is called, and those of other processes, may still come between, so nothing may rest on this.
    ///
    /// A store forwards or offers it only if `work`'s own calls run on the calling thread. It takes
    /// `work`'s calls as ever, and holds no lock meanwhile that they need.
    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        let _ = work;
        false
    }
}

/// A store: the four functions a guest calls, each of which may answer later.
///
/// Each function has the contract of the [`SyncStore`] function with its name. A future that is
/// dropped before it is done may have applied its call or not, but never a part of it.
///
/// ```
/// # use kvfs_host::*;
/// # async fn fetch(_: &[&[u8]]) -> Result<Vec<Option<bytes::Bytes>>, StoreError> { Ok(vec![]) }
/// # struct Remote;
/// # impl Remote {
/// fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<bytes::Bytes>>> {
///     StoreFuture::later(async move { fetch(keys).await })
/// }
/// # }
/// ```
pub trait Store: Send + Sync {
    /// Returns the store's limits: [`SyncStore::limits`].
    fn limits(&self) -> StoreFuture<'_, Limits>;

    /// Returns the values of `keys`: [`SyncStore::get`].
    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>>;

    /// Returns entries of a range: [`SyncStore::scan`].
    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>>;

    /// Applies mutations under guards: [`SyncStore::apply`].
    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()>;

    /// Calls `work` while the applies of other threads wait: [`SyncStore::exclusively`].
    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        let _ = work;
        false
    }

    /// Returns whether a call may wait for an executor. The synchronous linker refuses such a
    /// store, because it could wait for ever for the very thread that waits for it.
    fn needs_async(&self) -> bool {
        true
    }
}

/// The answer of a [`Store`], now or later.
///
/// A store that answers at once costs no allocation and no trip through an executor.
#[must_use = "a store's call does nothing until it is awaited"]
pub struct StoreFuture<'a, T>(Answer<'a, T>);

enum Answer<'a, T> {
    Ready(Result<T, StoreError>),
    Later(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>),
    Taken,
}

impl<'a, T> StoreFuture<'a, T> {
    /// Makes a future that is done.
    pub fn ready(result: Result<T, StoreError>) -> Self {
        StoreFuture(Answer::Ready(result))
    }

    /// Makes a future of an `async` block.
    pub fn later(future: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Self {
        StoreFuture(Answer::Later(Box::pin(future)))
    }

    /// Waits for the answer on this thread, which sleeps meanwhile.
    ///
    /// The store's own work must run on another thread.
    pub fn wait(self) -> Result<T, StoreError>
    where
        T: Unpin,
    {
        match self.0 {
            Answer::Ready(result) => result,
            other => block_on(StoreFuture(other)),
        }
    }
}

impl<T: Unpin> Future for StoreFuture<'_, T> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = &mut self.get_mut().0;
        match std::mem::replace(answer, Answer::Taken) {
            Answer::Ready(result) => Poll::Ready(result),
            Answer::Later(mut future) => match future.as_mut().poll(cx) {
                Poll::Pending => {
                    *answer = Answer::Later(future);
                    Poll::Pending
                }
                done => done,
            },
            Answer::Taken => {
                Poll::Ready(Err(StoreError::Fault("a store's future was polled after its end".into())))
            }
        }
    }
}

impl<S: SyncStore + ?Sized> Store for S {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        StoreFuture::ready(SyncStore::limits(self))
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        StoreFuture::ready(SyncStore::get(self, keys))
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        StoreFuture::ready(SyncStore::scan(self, start, end, max_entries, max_bytes))
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        StoreFuture::ready(SyncStore::apply(self, guards, mutations, level))
    }

    fn needs_async(&self) -> bool {
        false
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        SyncStore::exclusively(self, work)
    }
}

/// A shared store is a store, so many instances (and wrappers) can use one.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        (**self).limits()
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        (**self).get(keys)
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        (**self).scan(start, end, max_entries, max_bytes)
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        (**self).apply(guards, mutations, level)
    }

    fn needs_async(&self) -> bool {
        (**self).needs_async()
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        (**self).exclusively(work)
    }
}

/// Makes a [`SyncStore`] of any [`Store`] by waiting on the calling thread.
///
/// For tools, and for wrappers such as [`Namespaced`](crate::Namespaced) around a synchronous
/// store. Another thread must drive an asynchronous store, or the wait has no end.
#[derive(Clone, Debug)]
pub struct BlockOn<S>(pub S);

impl<S: Store> SyncStore for BlockOn<S> {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.0.limits().wait()
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.0.get(keys).wait()
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.scan(start, end, max_entries, max_bytes).wait()
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.0.apply(guards, mutations, level).wait()
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        self.0.exclusively(work)
    }
}

/// A borrowed store is a store.
impl<S: SyncStore + ?Sized> SyncStore for &S {
    fn limits(&self) -> Result<Limits, StoreError> {
        (**self).limits()
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        (**self).get(keys)
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        (**self).scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        (**self).apply(guards, mutations, level)
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        (**self).exclusively(work)
    }
}
