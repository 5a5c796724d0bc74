//! A view of a server, as the engine takes a store.

use std::sync::Arc;
use std::time::Duration;

use kvfs_contract::{
    AsyncKvStore, Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError, block_on,
};
use kvfs_layer_cache::{LayerCache, LayerView};

use crate::server::Server;

/// Long enough for any test: what a view is allowed to believe, it believes.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(1 << 20);

/// A view of a server. A clone is another handle on it.
#[derive(Clone)]
pub(crate) struct Viewed(pub(crate) Arc<LayerView<Server>>);

impl Viewed {
    pub(crate) fn new(server: &Server, cache: &LayerCache) -> Self {
        Self::checked_after(server, cache, FOR_EVER)
    }

    pub(crate) fn checked_after(server: &Server, cache: &LayerCache, recheck: Duration) -> Self {
        let view = LayerView::new(server.clone(), cache.clone(), "server").recheck_after(recheck);
        Self(Arc::new(view))
    }
}

impl KvStore for Viewed {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        block_on(AsyncKvStore::limits(&*self.0))
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = block_on(AsyncKvStore::get(&*self.0, keys))?;
        Ok(values.into_iter().map(|value| value.map(Vec::from)).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let page = block_on(AsyncKvStore::scan(&*self.0, start, end, max_entries, max_bytes))?;
        Ok(page.into_iter().map(|entry| entry.map(Vec::from)).collect())
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        block_on(AsyncKvStore::apply(&*self.0, guards, mutations, level))
    }
}
