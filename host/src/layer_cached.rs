//! A store whose frozen layers are kept on this host.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kvfs_contract::AsyncKvStore;
use kvfs_layer_cache::{Begun, LayerCache, LayerView};

use crate::below::Below;
use crate::{Durability, Entry, Guard, Limits, Mutation, Store, StoreFuture};

/// A store in front of another one, which answers from a [`LayerCache`] what frozen layers hold: see
/// [`LayerView`], which says what stays true, and what it costs.
///
/// Forks of one volume share layers that never change. So a second instance on this host starts without
/// asking for what the first one read. [`OpenOptions::layer_cache`](crate::OpenOptions::layer_cache)
/// puts it in front of a store that is opened by its URL.
///
/// A clone is another handle on the same view, whose volumes and instances may be any.
///
/// ```
/// use kvfs_host::{KvCtx, LayerCache, LayerCached, MemoryStore, Volumes};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = LayerCache::new(64 << 20); // one for all stores and guests
/// let store = LayerCached::new(MemoryStore::new(), &cache, "memory:");
/// let kv = KvCtx::new(store);
/// # let _ = kv;
/// println!("{:?}", cache.counts());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LayerCached<S>(Arc<LayerView<Below<S>>>);

impl<S> Clone for LayerCached<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Store> LayerCached<S> {
    /// Puts `cache` in front of `store`. `place` names the store: another name for each store that
    /// others can write to. For a [`Sealed`](crate::Sealed) store: [`LayerCached::in_memory_alone`].
    pub fn new(store: S, cache: &LayerCache, place: &str) -> Self {
        Self(Arc::new(LayerView::new(Below(store), cache.clone(), place)))
    }

    /// As [`LayerCached::new`], and puts nothing on disk. It is for a [`Sealed`](crate::Sealed) store,
    /// in front of which it lies: what it sees is in clear.
    pub fn in_memory_alone(store: S, cache: &LayerCache, place: &str) -> Self {
        Self(Arc::new(LayerView::new(Below(store), cache.clone(), place).in_memory_alone()))
    }

    /// As [`LayerCached::new`]; a superblock vouches for answers from the cache for so long: see
    /// [`MAX_UNCHECKED`](crate::MAX_UNCHECKED).
    pub fn rechecked_after(store: S, cache: &LayerCache, place: &str, recheck: Duration) -> Self {
        Self(Arc::new(LayerView::new(Below(store), cache.clone(), place).recheck_after(recheck)))
    }

    /// Returns the store within.
    pub fn inner(&self) -> &S {
        &self.0.inner().0
    }

    /// Returns the cache.
    pub fn cache(&self) -> &LayerCache {
        self.0.cache()
    }
}

impl<S: Store> Store for LayerCached<S> {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        StoreFuture::later(AsyncKvStore::limits(&*self.0))
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        match self.0.begin_get(keys) {
            Begun::Done(answer) => StoreFuture::ready(answer),
            Begun::Ask(asking) => StoreFuture::later(self.0.go_on(keys, asking)),
        }
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        match self.0.known_page(start, end, max_entries, max_bytes) {
            Some(page) => StoreFuture::ready(Ok(page)),
            None => StoreFuture::later(AsyncKvStore::scan(&*self.0, start, end, max_entries, max_bytes)),
        }
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        StoreFuture::later(AsyncKvStore::apply(&*self.0, guards, mutations, level))
    }

    fn needs_async(&self) -> bool {
        self.inner().needs_async()
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        self.inner().exclusively(work)
    }
}
