//! Claims about calls over the limits: they are refused, and change nothing.

use super::claim::{Checked, Failure, claim, claims, delete, everything, put};
use super::limits::{Large, TRIED_BYTES, TRIED_ENTRIES, beyond, numbered};
use crate::{Durability, Guard, Mutation, StoreError, SyncStore};

claims![
    longer_keys_are_refused,
    longer_values_are_refused,
    a_batch_of_too_many_entries_is_refused_whole,
    a_batch_of_too_many_bytes_is_refused_whole,
    a_get_of_too_many_keys_is_refused,
];

fn refused(store: &dyn SyncStore, what: &str, mutations: &[Mutation<'_>]) -> Checked {
    for level in [Durability::Buffered, Durability::Durable] {
        match store.apply(&[], mutations, level) {
            Err(StoreError::TooLarge) => {}
            // The store is too small to reach its own limits.
            Err(error @ StoreError::QuotaExceeded) => return Err(error.into()),
            result => claim!(false, "{what} gave {result:?}"),
        }
    }
    let found = everything(store)?;
    claim!(found.is_empty(), "{what} was refused, but {} entries are there", found.len());
    Ok(())
}

fn longer_keys_are_refused(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    if limits.max_key_bytes > TRIED_BYTES {
        return beyond("max-key-bytes", limits.max_key_bytes);
    }
    let key = vec![0; limits.max_key_bytes as usize + 1];
    refused(store, "too long a key", &[put(b"a", b"1"), put(&key, b"")])?;
    refused(store, "too long a key to delete", &[put(b"a", b"1"), delete(&key)])?;
    let result = store.get(&[&key]);
    claim!(matches!(result, Err(StoreError::TooLarge)), "get of too long a key gave {result:?}");
    let result = store.apply(&[Guard { key: &key, expected: None }], &[], Durability::Buffered);
    claim!(matches!(result, Err(StoreError::TooLarge)), "a guard on too long a key gave {result:?}");
    // A scan may start and end anywhere.
    store.scan(&key, b"", 1, 1)?;
    Ok(())
}

fn longer_values_are_refused(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    if limits.max_value_bytes > TRIED_BYTES {
        return beyond("max-value-bytes", limits.max_value_bytes);
    }
    let value = vec![0; limits.max_value_bytes as usize + 1];
    refused(store, "too long a value", &[put(b"a", b"1"), put(b"b", &value)])
}

fn a_batch_of_too_many_entries_is_refused_whole(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    if limits.max_batch_entries >= TRIED_ENTRIES {
        return beyond("max-batch-entries", limits.max_batch_entries);
    }
    let keys = numbered(limits.max_batch_entries + 1);
    let puts: Vec<_> = keys.iter().map(|key| put(key, b"")).collect();
    refused(store, "a batch of one mutation too many", &puts)
}

fn a_batch_of_too_many_bytes_is_refused_whole(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    if limits.max_batch_bytes >= TRIED_BYTES {
        return beyond("max-batch-bytes", limits.max_batch_bytes);
    }
    // As little too much as possible, in more than one entry: otherwise the entry itself would be
    // refused.
    let bytes = u64::from(limits.max_batch_bytes) + 1;
    match Large::new(&limits, bytes.max(16), limits.max_batch_entries) {
        Some(large) => refused(store, "a batch of too many bytes", &large.puts()),
        None => {
            let why = format!("batches of {} entries cannot have so many bytes", limits.max_batch_entries);
            Err(Failure::Beyond(why))
        }
    }
}

fn a_get_of_too_many_keys_is_refused(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    if limits.max_batch_entries >= TRIED_ENTRIES {
        return beyond("max-batch-entries", limits.max_batch_entries);
    }
    let keys: Vec<&[u8]> = vec![b"a"; limits.max_batch_entries as usize + 1];
    let result = store.get(&keys);
    claim!(matches!(result, Err(StoreError::TooLarge)), "too many keys gave {result:?}");
    Ok(())
}
