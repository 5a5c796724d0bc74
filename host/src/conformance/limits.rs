//! Claims about limits: what is within them works, what is over them changes nothing.

use super::{Checked, claim, claims, everything, put, value_of, write};
use crate::{Durability, Guard, Mutation, StoreError, SyncStore};

claims![
    the_limits_suffice_for_a_file_system,
    keys_and_values_of_the_longest_length_work,
    longer_keys_and_values_are_refused,
    a_batch_at_the_limits_works,
    a_batch_over_the_limits_is_refused_whole,
    a_get_of_too_many_keys_is_refused,
];

/// The longest key of the file system: a volume's name of 255 bytes and a directory entry of as many.
const LONGEST_KEY_BYTES: u32 = 520;

fn the_limits_suffice_for_a_file_system(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    claim!(limits.max_key_bytes >= LONGEST_KEY_BYTES, "keys of {} bytes", limits.max_key_bytes);
    claim!(limits.max_batch_entries >= 16, "batches of {} entries", limits.max_batch_entries);
    let largest = u64::from(limits.max_key_bytes) + u64::from(limits.max_value_bytes);
    claim!(u64::from(limits.max_batch_bytes) >= largest, "a batch cannot carry one entry: {limits:?}");
    claim!(store.limits()? == limits, "the limits change");
    Ok(())
}

fn keys_and_values_of_the_longest_length_work(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    let key = vec![0xFF; limits.max_key_bytes as usize];
    let value = vec![7; limits.max_value_bytes as usize];
    write(store, &[put(&key, &value)])?;
    claim!(value_of(store, &key)?.as_deref() == Some(&value[..]), "the value differs");
    let guard = Guard { key: &key, expected: Some(&value) };
    store.apply(&[guard], &[put(b"a", b"")], Durability::Durable)?;
    let found = everything(store)?;
    claim!(found.len() == 2 && found[1] == (key, value), "scan gave {} entries", found.len());
    Ok(())
}

fn refused(store: &dyn SyncStore, what: &str, mutations: &[Mutation<'_>]) -> Checked {
    for level in [Durability::Buffered, Durability::Durable] {
        let result = store.apply(&[], mutations, level);
        claim!(matches!(result, Err(StoreError::TooLarge)), "{what} gave {result:?}");
    }
    let found = everything(store)?;
    claim!(found.is_empty(), "{what} was refused, but {} entries are there", found.len());
    Ok(())
}

fn longer_keys_and_values_are_refused(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    let key = vec![0; limits.max_key_bytes as usize + 1];
    let value = vec![0; limits.max_value_bytes as usize + 1];
    refused(store, "too long a key", &[put(b"a", b"1"), put(&key, b"")])?;
    refused(store, "too long a key to delete", &[put(b"a", b"1"), Mutation::Delete { key: &key }])?;
    refused(store, "too long a value", &[put(b"a", b"1"), put(b"b", &value)])?;
    let result = store.get(&[&key]);
    claim!(matches!(result, Err(StoreError::TooLarge)), "get of too long a key gave {result:?}");
    let result = store.apply(&[Guard { key: &key, expected: None }], &[], Durability::Buffered);
    claim!(matches!(result, Err(StoreError::TooLarge)), "a guard on too long a key gave {result:?}");
    // A scan may start and end anywhere.
    store.scan(&key, b"", 1, 1)?;
    Ok(())
}

/// As many entries as a batch may have, numbered.
fn numbered(count: u32) -> Vec<[u8; 4]> {
    (0..count).map(u32::to_be_bytes).collect()
}

fn a_batch_at_the_limits_works(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    let keys = numbered(limits.max_batch_entries.min(limits.max_batch_bytes / 8));
    let puts: Vec<_> = keys.iter().map(|key| put(key, key)).collect();
    write(store, &puts)?;
    let found = everything(store)?;
    claim!(found.len() == keys.len(), "{} entries of {}", found.len(), keys.len());
    let asked: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    let values = store.get(&asked)?;
    let all = values.iter().zip(&keys).all(|(value, key)| value.as_deref() == Some(key));
    claim!(all, "get of as many keys as allowed gave other values");

    let value = vec![3; limits.max_value_bytes as usize];
    let whole = (limits.max_batch_bytes / (limits.max_value_bytes + 4)).min(limits.max_batch_entries);
    let large: Vec<_> = keys.iter().take(whole as usize).map(|key| put(key, &value)).collect();
    store.apply(&[], &large, Durability::Durable)?;
    let last = &keys[large.len() - 1];
    claim!(value_of(store, last)?.as_deref() == Some(&value[..]), "the last of a large batch differs");
    Ok(())
}

fn a_batch_over_the_limits_is_refused_whole(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    if limits.max_batch_entries < 1 << 20 {
        let keys = numbered(limits.max_batch_entries + 1);
        let puts: Vec<_> = keys.iter().map(|key| put(key, b"")).collect();
        refused(store, "too many mutations", &puts)?;
    }
    let value = vec![3; limits.max_value_bytes as usize];
    let count = limits.max_batch_bytes / limits.max_value_bytes.max(1) + 1;
    if count <= limits.max_batch_entries {
        let keys = numbered(count);
        let puts: Vec<_> = keys.iter().map(|key| put(key, &value)).collect();
        refused(store, "too many bytes", &puts)?;
    }
    Ok(())
}

fn a_get_of_too_many_keys_is_refused(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    if limits.max_batch_entries < 1 << 20 {
        let keys: Vec<&[u8]> = vec![b"a"; limits.max_batch_entries as usize + 1];
        let result = store.get(&keys);
        claim!(matches!(result, Err(StoreError::TooLarge)), "too many keys gave {result:?}");
    }
    Ok(())
}
