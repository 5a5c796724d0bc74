//! A store inside a component.

use kvfs_contract::{Durability, KvStore, Limits, StoreError};

/// A key with its value, as `scan` returns it.
pub type Entry = kvfs_contract::Entry<Vec<u8>>;

/// A condition of an `apply`, as it comes in.
pub type Guard = kvfs_contract::Guard<Vec<u8>>;

/// One change of one key, as it comes in.
pub type Mutation = kvfs_contract::Mutation<Vec<u8>>;

/// A store inside a component. Each function has the contract of its namesake in [`KvStore`], and
/// every `KvStore` is a provider.
///
/// Arguments are owned, so a provider that implements this itself can keep a value without a copy.
pub trait Provider {
    /// Returns the store's limits. Always the same answer.
    fn limits(&mut self) -> Result<Limits, StoreError>;

    /// Returns the values of keys, in their order.
    fn get(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Returns a page of the entries with `start <= key < end`; an empty `end` is the end of the
    /// store.
    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Applies all mutations if all guards hold, or changes nothing.
    fn apply(
        &mut self,
        guards: Vec<Guard>,
        mutations: Vec<Mutation>,
        level: Durability,
    ) -> Result<(), StoreError>;
}

impl<S: KvStore> Provider for S {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        KvStore::limits(self)
    }

    fn get(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        KvStore::get(self, &keys)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        KvStore::scan(self, start, end, max_entries, max_bytes)
    }

    fn apply(
        &mut self,
        guards: Vec<Guard>,
        mutations: Vec<Mutation>,
        level: Durability,
    ) -> Result<(), StoreError> {
        let guards: Vec<_> = guards.iter().map(Guard::borrowed).collect();
        let mutations: Vec<_> = mutations.iter().map(Mutation::borrowed).collect();
        KvStore::apply(self, &guards, &mutations, level)
    }
}
