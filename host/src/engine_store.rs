//! A store of the host as a store of the engine.

use crate::SyncStore;
use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};

/// A store of the host as a store of the engine, for programs that open volumes without a guest.
///
/// `kvfs::Volume::open`, `kvfs::fsck` and the other functions of the crate `kvfs` take one. Values
/// are copied on the way.
#[derive(Clone, Debug)]
pub struct EngineStore<S>(pub S);

impl<S: SyncStore> KvStore for EngineStore<S> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.0.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        Ok(self.0.get(keys)?.into_iter().map(|value| value.map(Vec::from)).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let page = self.0.scan(start, end, max_entries, max_bytes)?;
        Ok(page.into_iter().map(|entry| entry.map(Vec::from)).collect())
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.0.apply(guards, mutations, level)
    }

    fn exclusively(&mut self, work: &mut dyn FnMut(&mut dyn KvStore)) -> bool {
        let store = &self.0;
        // Of one type, however often this is called within.
        let mut within = EngineStore(store as &dyn SyncStore);
        store.exclusively(&mut || work(&mut within))
    }
}
