//! The store that composition or the host gives us, as the engine's store.

use crate::bindings::kvfs::store::kv_store as wit;
use crate::bindings::kvfs::store::kv_store::Error;
use crate::heap::ask_ahead;
use kvfs::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_contract::convert_error;

/// The imported `kvfs:store/kv-store`.
pub(crate) struct ImportedStore;

impl KvStore for ImportedStore {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        let limits = wit::get_limits().map_err(to_error)?;
        Ok(Limits {
            max_key_bytes: limits.max_key_bytes,
            max_value_bytes: limits.max_value_bytes,
            max_batch_entries: limits.max_batch_entries,
            max_batch_bytes: limits.max_batch_bytes,
            durable: limits.durable,
        })
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = wit::get(keys).map_err(to_error)?;
        if values.len() == keys.len() {
            Ok(values)
        } else {
            Err(StoreError::Corrupt("the store did not return one value for each key".to_owned()))
        }
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let entries = wit::scan(start, end, max_entries, max_bytes).map_err(to_error)?;
        Ok(entries.into_iter().map(|entry| Entry { key: entry.key, value: entry.value }).collect())
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        ask_ahead();
        let guards: Vec<wit::GuardParam<'_>> =
            guards.iter().map(|guard| wit::GuardParam { key: guard.key, expected: guard.expected }).collect();
        let mutations: Vec<wit::MutationParam<'_>> = mutations
            .iter()
            .map(|mutation| match *mutation {
                Mutation::Put { key, value } => wit::MutationParam::Put(wit::EntryParam { key, value }),
                Mutation::Delete { key } => wit::MutationParam::Delete(key),
            })
            .collect();
        let level = match level {
            Durability::Buffered => wit::Durability::Buffered,
            Durability::Durable => wit::Durability::Durable,
        };
        wit::apply(&guards, &mutations, level).map_err(to_error)
    }
}

fn to_error(error: Error) -> StoreError {
    convert_error!(error, Error => StoreError)
}
