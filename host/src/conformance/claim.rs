//! Claims, and the calls that they make.

use crate::{Durability, Limits, Mutation, StoreError, SyncStore};

/// Why a claim does not hold, or cannot be checked.
pub(super) enum Failure {
    /// The store broke the contract.
    Broken(String),
    /// A call failed that must not fail.
    Call(StoreError),
    /// The claim needs more than the suite uses.
    Beyond(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Call(error)
    }
}

pub(super) type Checked = Result<(), Failure>;
pub(super) type Claims = &'static [(&'static str, fn(&dyn SyncStore) -> Checked)];

/// Makes claims of functions.
macro_rules! claims {
    ($($claim:ident),* $(,)?) => {
        pub(super) const CLAIMS: $crate::conformance::claim::Claims = &[$((stringify!($claim), $claim)),*];
    };
}
pub(super) use claims;

/// Fails the claim unless the condition holds.
macro_rules! claim {
    ($condition:expr, $($why:tt)*) => {
        if !$condition {
            return Err($crate::conformance::claim::Failure::Broken(format!($($why)*)));
        }
    };
}
pub(super) use claim;

pub(super) fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Mutation<'a> {
    Mutation::Put { key, value }
}

pub(super) fn delete(key: &[u8]) -> Mutation<'_> {
    Mutation::Delete { key }
}

/// Applies without guards, buffered.
pub(super) fn write(store: &dyn SyncStore, mutations: &[Mutation<'_>]) -> Result<(), StoreError> {
    store.apply(&[], mutations, Durability::Buffered)
}

pub(super) fn value_of(store: &dyn SyncStore, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
    Ok(store.get(&[key])?.pop().flatten())
}

pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// Applies in as many calls as the limits require, without guards.
pub(super) fn write_all(
    store: &dyn SyncStore,
    mutations: &[Mutation<'_>],
    level: Durability,
) -> Result<(), StoreError> {
    let limits = store.limits()?;
    let mut rest = mutations;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_len(&limits, rest));
        store.apply(&[], batch, level)?;
        rest = later;
    }
    Ok(())
}

/// Returns how many of the first mutations fit into one batch: at least one, which may be over the
/// limits by itself.
pub(super) fn batch_len(limits: &Limits, mutations: &[Mutation<'_>]) -> usize {
    let mut bytes_left = limits.max_batch_bytes as usize;
    let fits = mutations.iter().take(limits.max_batch_entries as usize).take_while(|mutation| {
        let left = bytes_left.checked_sub(mutation.size_bytes());
        bytes_left = left.unwrap_or(0);
        left.is_some()
    });
    fits.count().max(1).min(mutations.len())
}

/// Returns everything in the store, page by page.
pub(super) fn everything(store: &dyn SyncStore) -> Result<Vec<Pair>, Failure> {
    pages(store, b"", b"", 1000, 1 << 20)
}

/// Far more entries than a store can hold after the suite's calls: a scan that returns more has no
/// end.
const MAX_ENTRIES: usize = 1 << 20;

pub(super) fn pages(
    store: &dyn SyncStore,
    start: &[u8],
    end: &[u8],
    max_entries: u32,
    max_bytes: u32,
) -> Result<Vec<Pair>, Failure> {
    let mut all = Vec::new();
    let mut start = start.to_vec();
    loop {
        let page = store.scan(&start, end, max_entries, max_bytes)?;
        let Some(last) = page.last() else { return Ok(all) };
        let next = [&last.key, &b"\0"[..]].concat();
        claim!(next > start, "a scan from {start:?} gave {:?} as its last key", last.key);
        start = next;
        all.extend(page.into_iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())));
        claim!(all.len() <= MAX_ENTRIES, "scans have given {} entries and find no end", all.len());
    }
}
