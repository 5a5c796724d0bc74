//! Hands the audit log to the host instead of storing it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use kvfs_audit::{Found, Key, Reader, RunId};

use crate::{Durability, Entry, Guard, Limits, Mutation, Store, StoreError, StoreFuture};

/// A line of an audit log, as its host gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLine<'a> {
    /// The run: one instance of a component.
    pub run: RunId,
    /// A JSON object on one line, without its end. Everything in it that a terminal would act on is
    /// escaped. `adapter/AUDIT.md` describes it.
    pub line: &'a str,
}

type Callback = dyn Fn(AuditLine<'_>) -> Result<(), StoreError> + Send + Sync;

/// Most runs that are known; the oldest are forgotten.
const MAX_RUNS: usize = 4096;

/// The line in the place of one that cannot be read.
const UNREADABLE: &str = r#"{"unreadable":true}"#;

/// A store that hands the audit logs of its guests to a callback, and stores everything else.
///
/// The callback gets the lines in order within a run, when the file system would store them: before
/// a call that has changed the store returns, before a durable commit, when 64 KiB of lines wait,
/// and at the end. If it fails, the lines count as not stored: the file system keeps them, calls
/// again with the same lines, and counts what finds no room. So a callback that fails in the middle
/// of an `apply` gets the lines before again; otherwise it gets each line once.
///
/// One callback runs at a time for all guests of a wrapper: a slow one delays them all. It must not
/// write to a store that this wrapper, or a clone of it, audits: that waits for itself.
///
/// A guest logs only if it was composed with [`Compose::audit`]. Put this wrapper outside all
/// others that change keys: [`Namespaced`](crate::Namespaced) and [`Sealed`](crate::Sealed).
///
/// [`Compose::audit`]: https://docs.rs/kvfs-compose/latest/kvfs_compose/struct.Compose.html#method.audit
///
/// ```
/// use kvfs_host::{Audited, KvCtx, MemoryStore};
///
/// let store = Audited::new(MemoryStore::new(), |event| {
///     println!("{} {}", event.run, event.line);
///     Ok(())
/// });
/// let context = KvCtx::new(store);
/// # let _ = context;
/// ```
///
/// # Cost
/// An `apply` without lines costs one look at its first key.
pub struct Audited<S> {
    inner: S,
    callback: Arc<Callback>,
    /// The place of each run, and its unfinished line, on stores that take only short values.
    readers: Arc<Mutex<BTreeMap<RunId, Reader>>>,
}

impl<S: Clone> Clone for Audited<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), callback: self.callback.clone(), readers: self.readers.clone() }
    }
}

impl<S: fmt::Debug> fmt::Debug for Audited<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audited").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S: Store> Audited<S> {
    /// Wraps a store. The callback runs on the thread of the guest's call, which waits for it.
    pub fn new(
        inner: S,
        callback: impl Fn(AuditLine<'_>) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, callback: Arc::new(callback), readers: Arc::default() }
    }

    /// Returns the store within.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Hands over the lines of one record.
    fn tell(&self, key: Key, value: &[u8]) -> Result<(), StoreError> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = readers.get(&key.run);
        if key.seq == 0 && known.is_some_and(|reader| reader.next_seq() > 0) {
            // Another instance began at the same nanosecond: this one takes another id.
            return Err(StoreError::Conflict);
        }
        let mut reader = known.cloned().unwrap_or_else(|| Reader::starting_at(key));
        let mut outcome = Ok(());
        reader.record(key, value, &mut |found| {
            if outcome.is_err() {
                return;
            }
            outcome = match found {
                Found::Line(line) => (self.callback)(AuditLine { run: key.run, line }),
                Found::Damaged(_) => {
                    Err(StoreError::Other("a record of the audit log is not one of the file system's".into()))
                }
                _ => (self.callback)(AuditLine { run: key.run, line: UNREADABLE }),
            };
        });
        if outcome.is_ok() {
            readers.insert(key.run, reader);
            if readers.len() > MAX_RUNS {
                readers.pop_first();
            }
        }
        outcome
    }
}

impl<S: Store> Store for Audited<S> {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        self.inner.limits()
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        self.inner.get(keys)
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        self.inner.scan(start, end, max_entries, max_bytes)
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        // The file system puts one record at a time, and nothing with it.
        let [Mutation::Put { key, value }] = mutations else {
            return self.inner.apply(guards, mutations, level);
        };
        let Some(key) = Key::parse(key) else { return self.inner.apply(guards, mutations, level) };
        if level == Durability::Buffered {
            return StoreFuture::ready(self.tell(key, value));
        }
        // Earlier applies must be durable all the same. First, as a record that is told is
        // not told again.
        let barrier = self.inner.apply(&[], &[], level);
        if self.inner.needs_async() {
            StoreFuture::later(async move {
                barrier.await?;
                self.tell(key, value)
            })
        } else {
            StoreFuture::ready(barrier.wait().and_then(|()| self.tell(key, value)))
        }
    }

    fn needs_async(&self) -> bool {
        self.inner.needs_async()
    }
}
