//! What a call of the store is answered.

use kvfs_host::{AnyStore, Entry, StoreError, SyncStore};
use kvfs_http_wire::{Call, entries, limits, nothing, refusal, values};

/// Makes a call of the store, and returns the body of the answer.
pub(super) fn answer(store: &AnyStore, call: Call<'_>) -> Vec<u8> {
    let answer = match call {
        Call::Limits => store.limits().map(|found| limits::encode(&found)),
        Call::Get { keys } => store.get(&keys).map(|found| values::encode(&found)),
        Call::Scan { start, end, max_entries, max_bytes } => {
            let page: Result<Vec<Entry>, StoreError> = store.scan(start, end, max_entries, max_bytes);
            page.map(|page| entries::encode(&page))
        }
        Call::Apply { guards, mutations, level } => {
            store.apply(&guards, &mutations, level).map(|()| nothing::encode())
        }
    };
    answer.unwrap_or_else(|error| {
        if let StoreError::Fault(why) | StoreError::Corrupt(why) = &error {
            tracing::error!("{}", crate::terminal::one_line(why));
        }
        refusal(&error)
    })
}
