//! The component's exports: converts between the types of the bindings and those of the contract.

use crate::bindings::exports::kvfs::store::kv_store as wit;
use crate::{Durability, Entry, Guard, Mutation, Provider, StoreError};
use kvfs_contract::convert_error;
use wit::Error;

/// Holds the one provider of a component.
pub trait Singleton {
    /// The provider.
    type Store: Provider;

    /// Calls `ask` with the provider; the first call makes or opens it.
    fn with<T>(ask: impl FnOnce(&mut Self::Store) -> Result<T, StoreError>) -> Result<T, StoreError>;
}

impl<S: Singleton> wit::Guest for S {
    fn get_limits() -> Result<wit::Limits, Error> {
        let limits = S::with(Provider::limits).map_err(error_out)?;
        Ok(wit::Limits {
            max_key_bytes: limits.max_key_bytes,
            max_value_bytes: limits.max_value_bytes,
            max_batch_entries: limits.max_batch_entries,
            max_batch_bytes: limits.max_batch_bytes,
            durable: limits.durable,
        })
    }

    fn get(keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        S::with(|store| store.get(&keys)).map_err(error_out)
    }

    fn scan(
        start: Vec<u8>,
        end: Vec<u8>,
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<wit::Entry>, Error> {
        let page = S::with(|store| store.scan(&start, &end, max_entries, max_bytes)).map_err(error_out)?;
        Ok(page.into_iter().map(|Entry { key, value }| wit::Entry { key, value }).collect())
    }

    fn apply(
        guards: Vec<wit::Guard>,
        mutations: Vec<wit::Mutation>,
        level: wit::Durability,
    ) -> Result<(), Error> {
        let guards = guards.into_iter().map(|wit::Guard { key, expected }| Guard { key, expected }).collect();
        let mutations = mutations
            .into_iter()
            .map(|mutation| match mutation {
                wit::Mutation::Put(wit::Entry { key, value }) => Mutation::Put { key, value },
                wit::Mutation::Delete(key) => Mutation::Delete { key },
            })
            .collect();
        let level = match level {
            wit::Durability::Buffered => Durability::Buffered,
            wit::Durability::Durable => Durability::Durable,
        };
        S::with(|store| store.apply(guards, mutations, level)).map_err(error_out)
    }
}

fn error_out(error: StoreError) -> Error {
    // Bindings have no case for a broken component.
    convert_error!(error, StoreError => Error, StoreError::Fault(why) => Error::Other(why))
}
