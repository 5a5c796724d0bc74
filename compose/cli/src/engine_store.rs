//! A store of the host as the engine's store, for commands that look into volumes themselves.

use kvfs_host::{AnyStore, SyncStore};

pub(crate) struct EngineStore(pub(crate) AnyStore);

impl kvfs::KvStore for EngineStore {
    fn limits(&mut self) -> Result<kvfs::Limits, kvfs::StoreError> {
        let limits = SyncStore::limits(&self.0).map_err(to_error)?;
        Ok(kvfs::Limits {
            max_key_bytes: limits.max_key_bytes,
            max_value_bytes: limits.max_value_bytes,
            max_batch_entries: limits.max_batch_entries,
            max_batch_bytes: limits.max_batch_bytes,
            durable: limits.durable,
        })
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, kvfs::StoreError> {
        let values = SyncStore::get(&self.0, keys).map_err(to_error)?;
        Ok(values.into_iter().map(|value| value.map(Vec::from)).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<kvfs::Entry>, kvfs::StoreError> {
        let entries = SyncStore::scan(&self.0, start, end, max_entries, max_bytes).map_err(to_error)?;
        let owned =
            |entry: kvfs_host::Entry| kvfs::Entry { key: entry.key.into(), value: entry.value.into() };
        Ok(entries.into_iter().map(owned).collect())
    }

    fn apply(
        &mut self,
        guards: &[kvfs::Guard<'_>],
        mutations: &[kvfs::Mutation<'_>],
        level: kvfs::Durability,
    ) -> Result<(), kvfs::StoreError> {
        let guards: Vec<_> = guards
            .iter()
            .map(|guard| kvfs_host::Guard { key: guard.key, expected: guard.expected })
            .collect();
        let mutations: Vec<_> = mutations
            .iter()
            .map(|mutation| match *mutation {
                kvfs::Mutation::Put { key, value } => kvfs_host::Mutation::Put { key, value },
                kvfs::Mutation::Delete { key } => kvfs_host::Mutation::Delete { key },
            })
            .collect();
        let level = match level {
            kvfs::Durability::Buffered => kvfs_host::Durability::Buffered,
            kvfs::Durability::Durable => kvfs_host::Durability::Durable,
        };
        SyncStore::apply(&self.0, &guards, &mutations, level).map_err(to_error)
    }
}

fn to_error(error: kvfs_host::StoreError) -> kvfs::StoreError {
    use kvfs::StoreError as To;
    use kvfs_host::StoreError as From;
    match error {
        From::Conflict => To::Conflict,
        From::UnknownOutcome => To::UnknownOutcome,
        From::Unavailable(why) => To::Unavailable(why),
        From::TooLarge => To::TooLarge,
        From::QuotaExceeded => To::QuotaExceeded,
        From::ReadOnly => To::ReadOnly,
        From::AccessDenied => To::AccessDenied,
        From::Corrupt(why) => To::Corrupt(why),
        From::Other(why) | From::Fault(why) => To::Other(why),
        other => To::Other(other.to_string()),
    }
}
