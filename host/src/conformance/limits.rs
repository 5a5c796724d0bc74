//! Claims about limits: calls within them work, and a scan keeps to them by itself.

use super::claim::{Checked, Failure, claim, claims, delete, everything, put, value_of, write, write_all};
use crate::{Durability, Guard, Limits, Mutation, StoreError, SyncStore};

claims![
    the_limits_suffice_for_a_file_system,
    the_limits_do_not_change,
    keys_and_values_of_the_longest_length_work,
    a_batch_of_as_many_entries_as_allowed_works,
    a_batch_of_as_many_bytes_as_allowed_works,
    a_scan_of_too_many_entries_counts_as_one_of_as_many_as_allowed,
    a_scan_of_too_many_bytes_counts_as_one_of_as_many_as_allowed,
];

/// Most bytes that the suite puts into one call. A higher limit is not tried out.
pub(super) const TRIED_BYTES: u32 = 64 << 20;

/// Most entries that the suite puts into one call.
pub(super) const TRIED_ENTRIES: u32 = 1 << 17;

fn the_limits_suffice_for_a_file_system(store: &dyn SyncStore) -> Checked {
    let (least, stated) = (Limits::LEAST, store.limits()?);
    let limits = [
        ("max-key-bytes", least.max_key_bytes, stated.max_key_bytes),
        ("max-value-bytes", least.max_value_bytes, stated.max_value_bytes),
        ("max-batch-entries", least.max_batch_entries, stated.max_batch_entries),
        ("max-batch-bytes", least.max_batch_bytes, stated.max_batch_bytes),
    ];
    let unmet: Vec<_> = limits
        .into_iter()
        .filter(|(_, least, stated)| stated < least)
        .map(|(name, least, stated)| format!("{name} is {stated}, less than {least}"))
        .collect();
    claim!(unmet.is_empty(), "{}", unmet.join("; "));
    Ok(())
}

fn the_limits_do_not_change(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    write(store, &[put(b"a", b"1")])?;
    let later = store.limits()?;
    claim!(later == limits, "first they were {limits:?}, then {later:?}");
    Ok(())
}

/// Applies something large to an empty store. A store that is too small for it must stay empty.
fn fill(store: &dyn SyncStore, mutations: &[Mutation<'_>], level: Durability) -> Checked {
    let result = write_all(store, mutations, level);
    if let Err(StoreError::QuotaExceeded) = result
        && super::claim::batch_len(&store.limits()?, mutations) == mutations.len()
    {
        let found = everything(store)?.len();
        claim!(found == 0, "an apply was refused with quota-exceeded, but {found} entries are there");
    }
    Ok(result?)
}

/// Returns the longest value that the limits allow beside a key, as far as the suite goes.
fn value_bytes_max(limits: &Limits, key_bytes: u32) -> u32 {
    limits.max_value_bytes.min(limits.max_batch_bytes.saturating_sub(key_bytes)).min(TRIED_BYTES)
}

fn keys_and_values_of_the_longest_length_work(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    let key_bytes = limits.max_key_bytes.min(limits.max_batch_bytes).min(TRIED_BYTES);
    let key = vec![0xFF; key_bytes as usize];
    let value = vec![7; value_bytes_max(&limits, key_bytes) as usize];
    fill(store, &[put(&key, &value)], Durability::Buffered)?;
    claim!(value_of(store, &key)?.as_deref() == Some(&value[..]), "the value differs");
    let guard = Guard { key: &key, expected: Some(&value) };
    store.apply(&[guard], &[put(b"a", b"")], Durability::Durable)?;
    let found = everything(store)?;
    claim!(found.len() == 2 && found[1] == (key, value), "scan gave {} entries", found.len());
    // The longest value may have had to leave room for the key.
    write(store, &[delete(b"a")])?;
    write(store, &[delete(&found[1].0)])?;
    let value = vec![8; value_bytes_max(&limits, 1) as usize];
    fill(store, &[put(b"b", &value)], Durability::Durable)?;
    claim!(value_of(store, b"b")?.as_deref() == Some(&value[..]), "the value of a short key differs");
    Ok(())
}

/// Fails a claim about a limit that is too high to be tried out.
pub(super) fn beyond<T>(name: &str, limit: u32) -> Result<T, Failure> {
    Err(Failure::Beyond(format!("{name} is {limit}, more than the suite tries")))
}

/// Keys of 4 bytes, numbered.
pub(super) fn numbered(count: u32) -> Vec<[u8; 4]> {
    (0..count).map(u32::to_be_bytes).collect()
}

fn a_batch_of_as_many_entries_as_allowed_works(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    let keys = numbered(limits.max_batch_entries.min(limits.max_batch_bytes / 8).min(TRIED_ENTRIES));
    let puts: Vec<_> = keys.iter().map(|key| put(key, key)).collect();
    fill(store, &puts, Durability::Buffered)?;
    let found = everything(store)?;
    claim!(found.len() == keys.len(), "{} entries of {}", found.len(), keys.len());
    let asked: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    let values = store.get(&asked)?;
    let all = values.iter().zip(&keys).all(|(value, key)| value.as_deref() == Some(key));
    claim!(all, "get of as many keys as allowed gave other values");
    Ok(())
}

/// Returns keys and values that together have so many bytes, none longer than allowed.
pub(super) struct Large {
    keys: Vec<[u8; 4]>,
    value: Vec<u8>,
    last_bytes: usize,
}

impl Large {
    /// `None` if it takes more entries than allowed.
    pub(super) fn new(limits: &Limits, bytes: u64, entries_max: u32) -> Option<Self> {
        let longest = u64::from(value_bytes_max(limits, 4)) + 4;
        let count = u32::try_from(bytes.div_ceil(longest)).ok().filter(|count| *count <= entries_max)?;
        let last_bytes = bytes - u64::from(count - 1) * longest;
        // The last entry may be too short for a key; then there are one or two bytes more.
        let last_bytes = last_bytes.saturating_sub(4) as usize;
        Some(Self { keys: numbered(count), value: vec![3; longest as usize - 4], last_bytes })
    }

    pub(super) fn puts(&self) -> Vec<Mutation<'_>> {
        let last = self.keys.len() - 1;
        let value = |i| if i == last { &self.value[..self.last_bytes] } else { &self.value[..] };
        self.keys.iter().enumerate().map(|(i, key)| put(key, value(i))).collect()
    }
}

fn a_batch_of_as_many_bytes_as_allowed_works(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    let longest = u64::from(value_bytes_max(&limits, 4)) + 4;
    let entries = limits.max_batch_entries.min(TRIED_ENTRIES);
    // Whole entries only, so the sum is never more than allowed.
    let count = (u64::from(limits.max_batch_bytes.min(TRIED_BYTES)) / longest).min(u64::from(entries));
    let Some(large) = Large::new(&limits, count.max(1) * longest, entries) else {
        return Err(Failure::Beyond("no entry fits into a batch".into()));
    };
    let puts = large.puts();
    fill(store, &puts, Durability::Durable)?;
    let found = everything(store)?;
    claim!(found.len() == puts.len(), "{} entries of {}", found.len(), puts.len());
    let same =
        found.iter().zip(&puts).all(|(entry, put)| put.key() == entry.0 && put.value() == Some(&entry.1));
    claim!(same, "entries of a large batch differ from what was put");
    Ok(())
}

/// Asks for more than allowed at once, and checks that no more comes than allowed and that nothing
/// is left out.
fn scan_is_cut(store: &dyn SyncStore, entries: usize) -> Checked {
    let limits = store.limits()?;
    let (mut start, mut seen) = (Vec::new(), 0);
    loop {
        let page = store.scan(&start, b"", u32::MAX, u32::MAX)?;
        let Some(last) = page.last() else { break };
        let bytes: usize = page.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
        claim!(
            page.len() <= limits.max_batch_entries as usize,
            "a page has {} entries, max-batch-entries is {}",
            page.len(),
            limits.max_batch_entries
        );
        claim!(
            bytes <= limits.max_batch_bytes as usize || page.len() == 1,
            "a page has {bytes} bytes, max-batch-bytes is {}",
            limits.max_batch_bytes
        );
        start = [&last.key, &b"\0"[..]].concat();
        seen += page.len();
        claim!(seen <= entries, "pages have {seen} entries, there are {entries}");
    }
    claim!(seen == entries, "pages have {seen} of {entries} entries");
    Ok(())
}

fn a_scan_of_too_many_entries_counts_as_one_of_as_many_as_allowed(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    if limits.max_batch_entries >= TRIED_ENTRIES {
        return beyond("max-batch-entries", limits.max_batch_entries);
    }
    let keys = numbered(limits.max_batch_entries + 1);
    let puts: Vec<_> = keys.iter().map(|key| put(key, b"")).collect();
    fill(store, &puts, Durability::Buffered)?;
    scan_is_cut(store, keys.len())
}

fn a_scan_of_too_many_bytes_counts_as_one_of_as_many_as_allowed(store: &dyn SyncStore) -> Checked {
    let limits = store.limits()?;
    if limits.max_batch_bytes >= TRIED_BYTES {
        return beyond("max-batch-bytes", limits.max_batch_bytes);
    }
    let bytes = u64::from(limits.max_batch_bytes) + 1;
    let Some(large) = Large::new(&limits, bytes.max(16), TRIED_ENTRIES) else {
        return Err(Failure::Beyond("it takes more entries than the suite tries".into()));
    };
    fill(store, &large.puts(), Durability::Buffered)?;
    scan_is_cut(store, large.keys.len())
}
