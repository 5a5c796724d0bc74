//! Frees layers that nobody stands on.

use super::change::{Change, attempt};
use super::stored::{garbage_record, let_go, put_header};
use crate::error::{Error, Result};
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::store::{Durability, Guard, KvStore, Mutation, StoreError};
use crate::stored::key::{range_of, tag};
use crate::stored::layer_name::{LayerName, garbage_prefix};
use crate::stored::record::layer::{LayerHeader, LayerState};

/// What was freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Records that were deleted.
    pub records: u64,
    /// Layers that are gone.
    pub layers: u64,
    /// Nothing is left to be freed.
    pub done: bool,
}

/// Frees what removed volumes have left: up to about `max_records` records.
///
/// It goes in small applies, each of which leaves a sound store: after a kill, calling it again goes on.
/// It can run beside guests and other tools.
///
/// # Durability
/// None of its own: buffered.
///
/// # Errors
/// The store's, and [`Error::Damaged`] for a layer that cannot be read. What was freed stays freed.
///
/// # Cost
/// One `scan` if there is nothing to free. Otherwise one `scan` and one `apply` for each 1,024 records,
/// and three more calls for each layer.
pub fn collect_garbage(store: &mut dyn KvStore, max_records: u64) -> Result<Collected> {
    let mut collected = Collected::default();
    loop {
        let (start, end) = range_of(&garbage_prefix());
        let found = store.scan(&start, &end, 1, READDIR_PAGE_BYTES)?;
        let Some(entry) = found.first() else { return Ok(Collected { done: true, ..collected }) };
        let layer = LayerName::of_garbage(&entry.key).filter(|layer| entry.value == garbage_record(layer));
        let layer = layer.ok_or(Error::damaged("list of garbage", 0, "an entry that names no layer"))?;
        if collected.records >= max_records {
            return Ok(collected);
        }
        free(store, &layer, max_records, &mut collected)?;
    }
}

/// Frees a layer, or some of its records.
fn free(
    store: &mut dyn KvStore,
    layer: &LayerName,
    max_records: u64,
    collected: &mut Collected,
) -> Result<()> {
    let Some(value) = seize(store, layer)? else { return Ok(()) };
    let limits = store.limits()?;
    let prefix = layer.prefix();
    let (_, end) = range_of(&prefix);
    let start = [prefix.as_slice(), &[tag::GARBAGE]].concat();
    let most = READDIR_PAGE_ENTRIES.min(limits.max_batch_entries);
    let key = layer.header();
    while collected.records < max_records {
        let page = store.scan(&start, &end, most, READDIR_PAGE_BYTES.min(limits.max_batch_bytes))?;
        if page.is_empty() {
            return finish(store, layer, collected);
        }
        let mutations: Vec<Mutation<'_>> =
            page.iter().map(|entry| Mutation::Delete { key: &entry.key }).collect();
        let guard = Guard { key: &key, expected: Some(&value) };
        match store.apply(&[guard], &mutations, Durability::Buffered) {
            Ok(()) => collected.records += page.len() as u64,
            // Another collector was faster.
            Err(StoreError::Conflict | StoreError::UnknownOutcome) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Marks a layer as one that is being freed, and so ends who builds it. Returns its header's value;
/// `None` if it is gone.
fn seize(store: &mut dyn KvStore, layer: &LayerName) -> Result<Option<Vec<u8>>> {
    let key = layer.header();
    attempt(store, Durability::Buffered, |store, _| {
        let mut change = Change::default();
        let Some(value) = store.get(&[&key])?.into_iter().next().flatten() else {
            let record = store.get(&[&layer.garbage()])?.into_iter().next().flatten();
            change.replace(layer.garbage(), record, None);
            return Ok(Some((change, None)));
        };
        let mut header = LayerHeader::decode(&key, &value)?;
        if matches!(header.state, LayerState::Top | LayerState::Frozen) {
            return Err(Error::damaged("list of garbage", 0, "it names a layer that is in use"));
        }
        header.state = LayerState::Freeing;
        let freeing = header.encode(&key);
        put_header(&mut change, layer, Some(value), &header);
        Ok(Some((change, Some(freeing))))
    })
}

/// Removes the header of a layer without records, and what says that it is garbage.
fn finish(store: &mut dyn KvStore, layer: &LayerName, collected: &mut Collected) -> Result<()> {
    let key = layer.header();
    let gone = attempt(store, Durability::Buffered, |store, _| {
        let mut change = Change::default();
        let Some(value) = store.get(&[&key])?.into_iter().next().flatten() else {
            return Ok(Some((change, false)));
        };
        let header = LayerHeader::decode(&key, &value)?;
        let stands_on = header.below.first().filter(|_| header.users == 0);
        change.replace(key.clone(), Some(value), None);
        change.replace(layer.garbage(), Some(garbage_record(layer)), None);
        if let Some(parent) = stands_on {
            let_go(store, &mut change, parent)?;
        }
        Ok(Some((change, true)))
    })?;
    collected.layers += u64::from(gone);
    Ok(())
}
