//! Encryption at rest around a store.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kvfs_sealed_store::{Cost, OpenError, Random, Seal, SealedStore, UserKey};

use crate::below::Below;
use crate::{Durability, Entry, Guard, Limits, Mutation, Store, StoreError, StoreFuture};

/// A store that is encrypted at rest: the store within sees sealed values, and tags in the place of
/// file names.
///
/// A changed value, and one that was moved to another key, is [`StoreError::Corrupt`]; an older
/// value put back under its own key is not noticed. Sizes, counts, times of change, the names of
/// volumes and which records belong together stay visible. The README of `kvfs-sealed-store` says
/// it all, byte by byte.
///
/// Names are hidden in keys of the file system's form alone, so seal within a [`Namespaced`]:
/// `Sealed::open(Namespaced::named(store, "alice")?, &key)`. The other way round, contents are
/// sealed and **all names of files stay readable**, as the prefix hides from `Sealed` what is a
/// name.
///
/// [`Namespaced`]: crate::Namespaced
///
/// # Cost
/// As many calls as without it in nearly all cases; for each value 41 bytes, about 0.3 µs, and
/// 1 ns for each byte. The limits shrink by what sealing adds. A directory that does not fit a page is
/// read whole for the first page of its listing.
///
/// ```
/// use kvfs_host::{Durability, MemoryStore, Mutation, Sealed, Store, UserKey};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let below = MemoryStore::new();
/// let key = UserKey::from_key_file(vec![7; 32])?; // of random bytes, from a file that nobody else reads
/// let store = Sealed::open(below.clone(), &key).await?;
/// store.apply(&[], &[Mutation::Put { key: b"k", value: b"secret" }], Durability::Buffered).await?;
/// assert_eq!(store.get(&[b"k"]).await?, [Some("secret".into())]);
/// let seen = Store::scan(&below, b"", b"", 10, 1000).await?;
/// assert!(seen.iter().all(|entry| !entry.value.windows(6).any(|bytes| bytes == b"secret")));
/// # Ok(())
/// # })
/// # }
/// ```
pub struct Sealed<S>(Arc<SealedStore<Below<S>>>);

impl<S> Clone for Sealed<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<S: Store> Sealed<S> {
    /// Opens a sealed store. An empty one becomes a sealed one.
    ///
    /// A passphrase takes 64 MiB and a few tenths of a second; a key file takes neither.
    ///
    /// # Errors
    /// [`OpenError`]: another key, entries that are not sealed, a damaged header, and the store's.
    pub async fn open(inner: S, key: &UserKey) -> Result<Self, OpenError> {
        Self::with(inner, Seal { key, cost: Cost::DEFAULT, create: true }).await
    }

    /// Opens a store that is sealed already, and changes nothing in it.
    ///
    /// # Errors
    /// As [`Sealed::open`]; [`OpenError::Empty`] for an empty store.
    pub async fn open_existing(inner: S, key: &UserKey) -> Result<Self, OpenError> {
        Self::with(inner, Seal { key, cost: Cost::DEFAULT, create: false }).await
    }

    /// Opens a store that is sealed already for the check or the repair of a volume: values that do
    /// not open are handed out as empty ones, which the check reports as damaged records. See
    /// [`SealedStore::salvaging`]. Do not run a guest on it.
    ///
    /// # Errors
    /// As [`Sealed::open_existing`].
    pub async fn salvage(inner: S, key: &UserKey) -> Result<Self, OpenError> {
        let seal = Seal { key, cost: Cost::DEFAULT, create: false };
        let store = SealedStore::open(Below(inner), seal, SystemRandom).await?;
        Ok(Self(Arc::new(store.salvaging())))
    }

    /// Returns how many values did not open so far; 0 but for one opened by [`Sealed::salvage`].
    pub fn does_not_open(&self) -> usize {
        self.0.does_not_open()
    }

    /// Returns whether a store is sealed.
    ///
    /// # Errors
    /// [`OpenError::HeaderGone`] for a sealed store that has lost its header, and the store's.
    pub async fn is_sealed(inner: S) -> Result<bool, OpenError> {
        kvfs_sealed_store::is_sealed(&Below(inner)).await
    }

    async fn with(inner: S, seal: Seal<'_>) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(SealedStore::open(Below(inner), seal, SystemRandom).await?)))
    }

    /// Wraps the key of a sealed store anew, so that `to` opens it from now on and `from` does not.
    ///
    /// No entry is touched: see [`kvfs_sealed_store::rewrap`] for what that means after a leak.
    ///
    /// # Errors
    /// As [`Sealed::open_existing`].
    pub async fn rewrap(inner: S, from: &UserKey, to: &UserKey) -> Result<(), OpenError> {
        kvfs_sealed_store::rewrap(&Below(inner), from, to, Cost::DEFAULT, &mut SystemRandom).await
    }

    /// Returns the store within.
    pub fn inner(&self) -> &S {
        &self.0.below().0
    }
}

/// The system's random bytes.
struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        getrandom::fill(bytes)
            .map_err(|error| StoreError::Fault(format!("the system has no random bytes: {error}")))
    }
}

impl<S: Store> Store for Sealed<S> {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        StoreFuture::ready(Ok(self.0.limits()))
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        StoreFuture::later(async move {
            let values = self.0.get(keys).await?;
            Ok(values.into_iter().map(|value| value.map(Bytes::from)).collect())
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
            let entries = self.0.scan(start, end, max_entries, max_bytes).await?;
            Ok(entries.into_iter().map(|entry| entry.map(Bytes::from)).collect())
        })
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        StoreFuture::later(self.0.apply(guards, mutations, level))
    }

    fn needs_async(&self) -> bool {
        self.inner().needs_async()
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        self.inner().exclusively(work)
    }
}
