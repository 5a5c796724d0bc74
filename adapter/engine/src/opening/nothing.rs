//! Stand-ins for an image that is opened alone: an empty store, and a stopped clock.

use crate::limits::MIN_STORE_KEY_BYTES;
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::types::{Clock, Timestamp};

/// The store of an image, which has none.
pub(super) struct NoStore;

impl KvStore for NoStore {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(Limits {
            max_key_bytes: MIN_STORE_KEY_BYTES,
            max_value_bytes: u32::MAX,
            max_batch_entries: u32::MAX,
            max_batch_bytes: u32::MAX,
            durable: false,
        })
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        Ok(vec![None; keys.len()])
    }

    fn scan(&mut self, _: &[u8], _: &[u8], _: u32, _: u32) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    fn apply(&mut self, _: &[Guard<'_>], _: &[Mutation<'_>], _: Durability) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

/// The clock of an image, which never changes.
pub(super) struct Midnight;

impl Clock for Midnight {
    fn now(&mut self) -> Timestamp {
        Timestamp::default()
    }
}
