//! The limits of the stores here and the one checker that keeps them. Guests are hostile: each of
//! these bounds memory that a guest could otherwise make the host hold.

use std::ops::Bound;

use bytes::Bytes;

use crate::{Guard, Limits, Mutation, StoreError};

/// Longest key of the stores here. The file system needs 520 bytes; the rest is for the prefixes of
/// namespaces.
pub const MAX_KEY_BYTES: u32 = 1024;

/// Longest value of the stores here: 32 extents of the default size.
pub const MAX_VALUE_BYTES: u32 = 1 << 20;

/// Most mutations in one `apply` and keys in one `get`, also for stores of others: the linker refuses
/// longer lists before it makes room for them.
pub const MAX_BATCH_ENTRIES: u32 = 16 * 1024;

/// Most bytes of mutations in one `apply` of the stores here. wasmtime itself takes at most 128 MiB in
/// one call unless the embedder says otherwise.
pub const MAX_BATCH_BYTES: u32 = 16 << 20;

/// Most guards in one `apply`. The contract does not count guards; this only keeps a guest from having
/// the host allocate for a list that no file system needs.
pub const MAX_GUARDS: u32 = 64 * 1024;

/// Most bytes of values in one answer of `get`. A guest can name one large key many times.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Most entries in one answer of `scan`, whatever was asked for.
pub const MAX_SCAN_ENTRIES: u32 = 16 * 1024;

/// Most bytes in one answer of `scan`, whatever was asked for (but always one entry).
pub const MAX_SCAN_BYTES: u32 = 16 << 20;

impl Limits {
    /// The limits of the stores here.
    pub(crate) const fn of_this_crate(durable: bool) -> Self {
        Limits {
            max_key_bytes: MAX_KEY_BYTES,
            max_value_bytes: MAX_VALUE_BYTES,
            max_batch_entries: MAX_BATCH_ENTRIES,
            max_batch_bytes: MAX_BATCH_BYTES,
            durable,
        }
    }

    /// Checks the keys of a `get`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: too many keys or too long a key.
    pub fn check_get(&self, keys: &[&[u8]]) -> Result<(), StoreError> {
        fits(keys.len(), self.max_batch_entries)?;
        keys.iter().try_for_each(|key| fits(key.len(), self.max_key_bytes))
    }

    /// Checks the guards and mutations of an `apply`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: too many mutations, too long a key or value, too many bytes.
    pub fn check_apply(&self, guards: &[Guard<'_>], mutations: &[Mutation<'_>]) -> Result<(), StoreError> {
        for guard in guards {
            fits(guard.key.len(), self.max_key_bytes)?;
        }
        fits(mutations.len(), self.max_batch_entries)?;
        let mut batch_bytes = 0;
        for mutation in mutations {
            fits(mutation.key().len(), self.max_key_bytes)?;
            fits(mutation.value().map_or(0, <[u8]>::len), self.max_value_bytes)?;
            batch_bytes += mutation.size_bytes();
            // Inside the loop: at no point can the sum pass what one more value adds.
            fits(batch_bytes, self.max_batch_bytes)?;
        }
        Ok(())
    }
}

fn fits(len: usize, max: u32) -> Result<(), StoreError> {
    if len <= max as usize { Ok(()) } else { Err(StoreError::TooLarge) }
}

/// Gathers what `find` says of each key of a `get`; too much to hold in memory is refused. A failure of `find` itself
/// comes first.
pub(crate) fn values<E>(
    keys: &[&[u8]],
    mut find: impl FnMut(&[u8]) -> Result<Option<Bytes>, E>,
) -> Result<Result<Vec<Option<Bytes>>, StoreError>, E> {
    let (mut values, mut bytes) = (Vec::with_capacity(keys.len()), 0_usize);
    for key in keys {
        let value = find(key)?;
        bytes = bytes.saturating_add(value.as_ref().map_or(0, Bytes::len));
        if bytes > MAX_ANSWER_BYTES {
            return Ok(Err(StoreError::TooLarge));
        }
        values.push(value);
    }
    Ok(Ok(values))
}

/// Decides which entries a `scan` may still return: the rule of paging, once for all stores.
pub(crate) struct ScanBudget {
    entries: u32,
    bytes: usize,
    first: bool,
}

impl ScanBudget {
    pub(crate) fn new(max_entries: u32, max_bytes: u32) -> Self {
        ScanBudget {
            entries: max_entries.min(MAX_SCAN_ENTRIES),
            bytes: max_bytes.min(MAX_SCAN_BYTES) as usize,
            first: true,
        }
    }

    /// Takes room for an entry; false when the page is full. The first entry always fits.
    pub(crate) fn take(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.take_bytes(key.len() + value.len())
    }

    /// Takes room for an entry of so many bytes.
    pub(crate) fn take_bytes(&mut self, size: usize) -> bool {
        if self.entries == 0 || (size > self.bytes && !self.first) {
            return false;
        }
        self.first = false;
        self.entries -= 1;
        self.bytes = self.bytes.saturating_sub(size);
        true
    }
}

/// A range of keys as ordered maps take it.
pub(crate) type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Returns the bounds of a scan, or `None` for an empty range, at which ordered maps panic.
pub(crate) fn key_range<'a>(start: &'a [u8], end: &'a [u8]) -> Option<KeyRange<'a>> {
    match end {
        [] => Some((Bound::Included(start), Bound::Unbounded)),
        end if start < end => Some((Bound::Included(start), Bound::Excluded(end))),
        _ => None,
    }
}
