//! Copying entries from one store to another.

use crate::{Durability, Entry, Limits, Mutation, StoreError, SyncStore};

/// Bounds of one page that is read. A batch that is written has no more.
const PAGE_ENTRIES: u32 = 4096;
const PAGE_BYTES: u32 = 4 << 20;

/// A count of entries, and of the bytes of their keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Amount {
    /// Entries.
    pub entries: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.bytes += (entry.key.len() + entry.value.len()) as u64;
    }
}

/// Reads a store from its first key to its last, page by page.
pub(crate) struct Pages<'s> {
    store: &'s dyn SyncStore,
    start: Vec<u8>,
}

impl<'s> Pages<'s> {
    pub(crate) fn new(store: &'s dyn SyncStore) -> Self {
        Self { store, start: Vec::new() }
    }

    /// Returns the next page; an empty one is the end.
    ///
    /// # Errors
    /// The store's, and [`StoreError::Corrupt`] if it does not go on in the order of keys.
    pub(crate) fn next(&mut self) -> Result<Vec<Entry>, StoreError> {
        let page = self.store.scan(&self.start, b"", PAGE_ENTRIES, PAGE_BYTES)?;
        if let (Some(first), Some(last)) = (page.first(), page.last()) {
            if first.key < self.start || !page.is_sorted_by(|a, b| a.key < b.key) {
                return Err(StoreError::Corrupt("a scan gave keys out of order".into()));
            }
            self.start = [&last.key[..], b"\0"].concat();
        }
        Ok(page)
    }
}

/// Changes that wait to be applied together.
#[derive(Default)]
pub(crate) struct Batch {
    /// `None` removes the key.
    changes: Vec<(bytes::Bytes, Option<bytes::Bytes>)>,
    bytes: usize,
}

impl Batch {
    /// Adds a change, and applies those before it if they are enough for a batch.
    pub(crate) fn push(
        &mut self,
        to: &dyn SyncStore,
        limits: &Limits,
        key: bytes::Bytes,
        value: Option<bytes::Bytes>,
    ) -> Result<(), StoreError> {
        let bytes = key.len() + value.as_ref().map_or(0, bytes::Bytes::len);
        let max_entries = limits.max_batch_entries.min(PAGE_ENTRIES) as usize;
        let max_bytes = limits.max_batch_bytes.min(PAGE_BYTES) as usize;
        if self.changes.len() >= max_entries || self.bytes + bytes > max_bytes {
            self.apply(to)?;
        }
        self.bytes += bytes;
        self.changes.push((key, value));
        Ok(())
    }

    /// Applies what waits.
    pub(crate) fn apply(&mut self, to: &dyn SyncStore) -> Result<(), StoreError> {
        let mutations: Vec<Mutation<'_>> = self
            .changes
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Mutation::Put { key, value },
                None => Mutation::Delete { key },
            })
            .collect();
        if !mutations.is_empty() {
            to.apply(&[], &mutations, Durability::Buffered)?;
        }
        *self = Self::default();
        Ok(())
    }
}

/// Copies all entries, and returns how many. They are not durable yet.
pub(crate) fn copy_all(
    from: &dyn SyncStore,
    to: &dyn SyncStore,
    progress: &mut dyn FnMut(Amount),
) -> Result<Amount, StoreError> {
    let limits = to.limits()?;
    let (mut pages, mut batch, mut amount) = (Pages::new(from), Batch::default(), Amount::default());
    loop {
        let page = pages.next()?;
        if page.is_empty() {
            batch.apply(to)?;
            return Ok(amount);
        }
        for entry in page {
            amount.add(&entry);
            batch.push(to, &limits, entry.key, Some(entry.value))?;
        }
        progress(amount);
    }
}
