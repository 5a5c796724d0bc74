//! The limits of the providers here and the checks that keep them, the same as those of the host crate's
//! stores: data moves between them in both directions.

use crate::{Entry, Error, Guard, Limits, Mutation};
use std::borrow::Cow;
use std::ops::Bound;

/// Longest key. The file system needs 520 bytes.
pub const MAX_KEY_BYTES: u32 = 1024;

/// Longest value: 32 extents of the default size.
pub const MAX_VALUE_BYTES: u32 = 1 << 20;

/// Most mutations in one `apply`, keys in one `get` and entries in one answer of `scan`.
pub const MAX_BATCH_ENTRIES: u32 = 16 * 1024;

/// Most bytes of mutations in one `apply` and of entries in one answer of `scan`.
pub const MAX_BATCH_BYTES: u32 = 16 << 20;

/// Most bytes of values in one answer of `get`: one large key can be named many times.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The limits as the contract states them.
pub const fn limits(durable: bool) -> Limits {
    Limits {
        max_key_bytes: MAX_KEY_BYTES,
        max_value_bytes: MAX_VALUE_BYTES,
        max_batch_entries: MAX_BATCH_ENTRIES,
        max_batch_bytes: MAX_BATCH_BYTES,
        durable,
    }
}

/// Answers a `get` with what `find` says of each key.
///
/// # Errors
///
/// [`Error::TooLarge`]: too many keys, too long a key, or values of more than [`MAX_ANSWER_BYTES`]; and those of `find`.
pub fn get<'v, V: Into<Cow<'v, [u8]>>>(
    keys: &[Vec<u8>],
    mut find: impl FnMut(&[u8]) -> Result<Option<V>, Error>,
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    fits(keys.len(), MAX_BATCH_ENTRIES)?;
    keys.iter().try_for_each(|key| fits(key.len(), MAX_KEY_BYTES))?;
    let (mut values, mut bytes) = (Vec::with_capacity(keys.len()), 0_usize);
    for key in keys {
        let value: Option<Cow<'_, [u8]>> = find(key)?.map(Into::into);
        bytes = bytes.saturating_add(value.as_deref().map_or(0, <[u8]>::len));
        if bytes > MAX_ANSWER_BYTES {
            return Err(Error::TooLarge);
        }
        values.push(value.map(Cow::into_owned));
    }
    Ok(values)
}

/// Answers a `scan` with the keys and values that `find` gives while it is told that there is room for them, by the sum
/// of their lengths.
///
/// # Errors
///
/// Those of `find`.
pub fn scan(
    max_entries: u32,
    max_bytes: u32,
    find: impl FnOnce(&mut dyn FnMut(usize) -> bool) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error>,
) -> Result<Vec<Entry>, Error> {
    let mut budget = ScanBudget::new(max_entries, max_bytes);
    let found = find(&mut |entry_bytes| budget.take(entry_bytes))?;
    Ok(found.into_iter().map(|(key, value)| Entry { key, value }).collect())
}

/// A key with the value that it has, is expected to have or gets; none if it has or gets none.
pub type Pair<'a> = (&'a [u8], Option<&'a [u8]>);

/// Checks an `apply`, and hands guards and mutations on as pairs.
///
/// # Errors
///
/// Those of [`check_apply`], and those of `apply`.
pub fn apply(
    guards: &[Guard],
    mutations: &[Mutation],
    apply: impl FnOnce(&[Pair<'_>], &[Pair<'_>]) -> Result<(), Error>,
) -> Result<(), Error> {
    check_apply(guards, mutations)?;
    let guards: Vec<Pair<'_>> =
        guards.iter().map(|guard| (&guard.key[..], guard.expected.as_deref())).collect();
    let mutations: Vec<Pair<'_>> = mutations.iter().map(parts).collect();
    apply(&guards, &mutations)
}

/// Checks the guards and mutations of an `apply` and returns the bytes of the mutations.
///
/// # Errors
///
/// [`Error::TooLarge`]: too many mutations, too long a key or value, too many bytes.
pub fn check_apply(guards: &[Guard], mutations: &[Mutation]) -> Result<usize, Error> {
    guards.iter().try_for_each(|guard| fits(guard.key.len(), MAX_KEY_BYTES))?;
    fits(mutations.len(), MAX_BATCH_ENTRIES)?;
    let mut batch_bytes = 0;
    for mutation in mutations {
        let (key, value) = parts(mutation);
        let value_bytes = value.map_or(0, <[u8]>::len);
        fits(key.len(), MAX_KEY_BYTES)?;
        fits(value_bytes, MAX_VALUE_BYTES)?;
        // At no point can the sum pass the limit by more than one value, so it does not overflow.
        batch_bytes += key.len() + value_bytes;
        fits(batch_bytes, MAX_BATCH_BYTES)?;
    }
    Ok(batch_bytes)
}

/// Returns a mutation's key and the value that the key has afterwards.
pub fn parts(mutation: &Mutation) -> (&[u8], Option<&[u8]>) {
    match mutation {
        Mutation::Put(Entry { key, value }) => (key, Some(value)),
        Mutation::Delete(key) => (key, None),
    }
}

fn fits(length: usize, most: u32) -> Result<(), Error> {
    if length <= most as usize { Ok(()) } else { Err(Error::TooLarge) }
}

/// Decides which entries a page of a `scan` may still hold.
#[derive(Debug)]
pub struct ScanBudget {
    entries: u32,
    bytes: usize,
    first: bool,
}

impl ScanBudget {
    /// Starts a page.
    pub fn new(max_entries: u32, max_bytes: u32) -> Self {
        Self {
            entries: max_entries.min(MAX_BATCH_ENTRIES),
            bytes: max_bytes.min(MAX_BATCH_BYTES) as usize,
            first: true,
        }
    }

    /// Takes room for an entry; false when the page is full. The first entry always fits.
    pub fn take(&mut self, entry_bytes: usize) -> bool {
        if self.entries == 0 || (entry_bytes > self.bytes && !self.first) {
            return false;
        }
        self.first = false;
        self.entries -= 1;
        self.bytes = self.bytes.saturating_sub(entry_bytes);
        true
    }
}

/// Returns the bounds of a scan, or `None` for an empty range, at which ordered maps panic.
pub fn key_range<K: Ord>(start: K, end: Option<K>) -> Option<(Bound<K>, Bound<K>)> {
    match end {
        None => Some((Bound::Included(start), Bound::Unbounded)),
        Some(end) if start < end => Some((Bound::Included(start), Bound::Excluded(end))),
        Some(_) => None,
    }
}
