//! A store at a distance, of whatever kind.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs_contract::AsyncKvStore;
use kvfs_remote::Remote;

use crate::ends::{self, Ends};
use crate::{Durability, Entry, Guard, Limits, Mutation, Store, StoreError, StoreFuture};

/// Longest wait for a store that is dropped without [`RemoteStore::close`].
const MAX_CLOSE_WAIT: Duration = Duration::from_secs(10);

/// A store on a server or in a bucket, of whatever kind. A clone is another handle on the same
/// store.
///
/// It brings the threads that its connections need ([`Remote`]). So it is a [`Store`] for either
/// linker, and [`BlockOn`](crate::BlockOn) makes a [`SyncStore`](crate::SyncStore) of it for any thread.
///
/// # Durability
/// A durable apply survives what the server says it does: see the page of each kind. Opened by
/// [`open_store`](crate::open_store), it writes behind: buffered applies wait in this process's memory,
/// at most a quarter of a second and 1 MiB while the server answers, and are sent as one. The end of
/// the process sends them, a kill loses them: a suffix after the last durable apply. With
/// [`StoreAccess::Together`](crate::StoreAccess::Together) the server has each of them when it returns.
///
/// There is no mark beside it ([`Marked`](crate::Marked)): the next host could not see one. So a server
/// that forgets what it had acknowledged, as after a failover to a replica that lagged behind, is not
/// noticed when the store is opened. `Marked::open` around it, with a file that this host keeps, notices
/// it on this host.
///
/// # Closing
/// [`RemoteStore::close`] makes everything durable. Without it the last handle does so when it is
/// dropped, and so does the process when it ends by returning from `main` or by
/// [`std::process::exit`]; each waits at most ten seconds, and a failure is one line on standard
/// error.
#[derive(Clone)]
pub struct RemoteStore {
    shared: Arc<Shared>,
}

struct Shared {
    /// The store for messages, without credentials.
    place: String,
    store: Arc<dyn Distant>,
    writes: bool,
    /// Nothing was applied since the store was closed or told that it cannot be.
    is_done: AtomicBool,
    _registered: Option<ends::Registered>,
}

/// What a store offers beside the four functions.
trait Distant: Store {
    /// Waits until the store is closed.
    fn close(&self) -> Result<(), StoreError>;
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteStore").field(&self.shared.place).finish()
    }
}

impl RemoteStore {
    /// Makes a store of the host of one that brings its runtime. `place` names it in messages, so it
    /// must hold no credentials.
    pub fn new<S>(store: Remote<S>, place: impl Into<String>) -> Self
    where
        S: AsyncKvStore<Bytes: Into<Bytes>> + 'static,
    {
        Self::with(store, place.into(), true)
    }

    /// Makes a store as [`RemoteStore::new`] does that is only read: changes are
    /// [`StoreError::ReadOnly`].
    pub fn read_only<S>(store: Remote<S>, place: impl Into<String>) -> Self
    where
        S: AsyncKvStore<Bytes: Into<Bytes>> + 'static,
    {
        Self::with(store, place.into(), false)
    }

    fn with<S>(store: Remote<S>, place: String, writes: bool) -> Self
    where
        S: AsyncKvStore<Bytes: Into<Bytes>> + 'static,
    {
        let store = Arc::new(OverRemote(store));
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| Shared {
            place,
            store,
            writes,
            is_done: AtomicBool::new(true),
            _registered: writes.then(|| ends::register(Weak::clone(shared))),
        });
        Self { shared }
    }

    /// Returns the name of the store for messages, without credentials.
    pub fn place(&self) -> &str {
        &self.shared.place
    }

    /// Makes everything durable and closes the store for all handles.
    ///
    /// # Errors
    /// As a durable `apply`. Closing may be tried again.
    pub fn close(&self) -> Result<(), StoreError> {
        let shared = &*self.shared;
        if !shared.writes {
            return Ok(());
        }
        let closed = shared.store.close();
        // Whoever calls is told.
        shared.is_done.store(true, Ordering::SeqCst);
        closed
    }
}

impl Shared {
    /// Closes the store on a thread of its own, since a call of the server may hang; and the calling
    /// thread may have lost what a runtime needs, as at the end of the process.
    fn close_until(&self, until: Instant) -> Result<(), String> {
        if self.is_done.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let lament = |why: &str| ends::lament(Path::new(&self.place), why);
        let (done, closing) = mpsc::channel();
        let store = self.store.clone();
        let close = move || {
            let closed = store.close();
            // The last handle goes before the answer, so that the runtime ends with it.
            drop(store);
            let _ = done.send(closed);
        };
        thread::Builder::new().spawn(close).map_err(|error| lament(&error.to_string()))?;
        match closing.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(closed) => closed.map_err(|error| lament(&error.to_string())),
            Err(_) => Err(lament("the store does not answer")),
        }
    }
}

impl Ends for Shared {
    fn end(&self, until: Instant) -> Result<(), String> {
        self.close_until(until)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Err(lament) = self.close_until(Instant::now() + MAX_CLOSE_WAIT) {
            ends::tell(lament);
        }
    }
}

impl Store for RemoteStore {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        self.shared.store.limits()
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        self.shared.store.get(keys)
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        self.shared.store.scan(start, end, max_entries, max_bytes)
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        if !self.shared.writes {
            return StoreFuture::ready(Err(StoreError::ReadOnly));
        }
        if !mutations.is_empty() {
            self.shared.is_done.store(false, Ordering::SeqCst);
        }
        self.shared.store.apply(guards, mutations, level)
    }

    fn needs_async(&self) -> bool {
        self.shared.store.needs_async()
    }
}

struct OverRemote<S>(Remote<S>);

impl<S: AsyncKvStore<Bytes: Into<Bytes>>> Distant for OverRemote<S> {
    fn close(&self) -> Result<(), StoreError> {
        self.0.close()
    }
}

impl<S: AsyncKvStore<Bytes: Into<Bytes>>> Store for OverRemote<S> {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        StoreFuture::later(AsyncKvStore::limits(&self.0))
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        StoreFuture::later(async move {
            let values = AsyncKvStore::get(&self.0, keys).await?;
            Ok(values.into_iter().map(|value| value.map(Into::into)).collect())
        })
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        StoreFuture::later(async move {
            let page = AsyncKvStore::scan(&self.0, start, end, max_entries, max_bytes).await?;
            Ok(page.into_iter().map(|entry| entry.map(Into::into)).collect())
        })
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        StoreFuture::later(AsyncKvStore::apply(&self.0, guards, mutations, level))
    }

    /// It has threads of its own.
    fn needs_async(&self) -> bool {
        false
    }
}
