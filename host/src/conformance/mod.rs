//! The suite that every store has to pass: the contract of [`SyncStore`], claim by claim.
//!
//! For those who write a store of their own (feature `conformance`):
//!
//! ```
//! use kvfs_host::{MemoryStore, conformance};
//!
//! let report = conformance::check(&MemoryStore::new());
//! assert!(report.passed(), "{report}");
//! ```
//!
//! An asynchronous store is checked through [`BlockOn`](crate::BlockOn). What only a restart shows
//! (that a durable apply survives a crash) is beyond this suite: kill a process and look.

mod batches;
mod limits;
mod model;
mod reading;
mod reopening;

pub use reopening::{Open, check_reopening};

use std::fmt;

use crate::{Durability, Mutation, StoreError, SyncStore};

/// What came of each claim.
#[derive(Clone, Debug)]
pub struct Report {
    /// The claims in the order in which they were checked.
    pub outcomes: Vec<Outcome>,
}

/// What came of one claim.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The claim, such as `keys_are_ordered_as_unsigned_bytes`.
    pub claim: &'static str,
    /// Why it does not hold, if so.
    pub failure: Option<String>,
}

impl Report {
    /// Returns whether every claim holds.
    pub fn passed(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.failure.is_none())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Outcome { claim, failure } in &self.outcomes {
            match failure {
                None => writeln!(f, "ok      {claim}")?,
                Some(why) => writeln!(f, "FAILED  {claim}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Checks every claim of the contract on a store, which must be empty and is left empty.
///
/// A store that holds anything is left alone, and the report says so. To check one that is in use, give
/// it a [`Namespaced`](crate::Namespaced) of its own.
pub fn check(store: &dyn SyncStore) -> Report {
    let mut outcomes = Vec::new();
    let empty = reading::an_empty_store_holds_nothing(store);
    let usable = empty.is_ok();
    outcomes.push(Outcome { claim: "the_store_is_empty_at_the_start", failure: empty.err().map(|e| e.0) });
    if usable {
        for claims in [reading::CLAIMS, batches::CLAIMS, limits::CLAIMS, model::CLAIMS] {
            for (claim, check) in claims {
                let failure = check(store).and_then(|()| clear(store)).err().map(|failure| failure.0);
                outcomes.push(Outcome { claim, failure });
            }
        }
    }
    Report { outcomes }
}

/// Why a claim does not hold.
struct Failure(String);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure(format!("a call failed: {error}"))
    }
}

type Checked = Result<(), Failure>;
type Claims = &'static [(&'static str, fn(&dyn SyncStore) -> Checked)];

/// Names functions as claims.
macro_rules! claims {
    ($($claim:ident),* $(,)?) => {
        pub(super) const CLAIMS: super::Claims = &[$((stringify!($claim), $claim)),*];
    };
}
use claims;

/// Fails the claim unless the condition holds.
macro_rules! claim {
    ($condition:expr, $($why:tt)*) => {
        if !$condition {
            return Err(super::Failure(format!($($why)*)));
        }
    };
}
use claim;

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Mutation<'a> {
    Mutation::Put { key, value }
}

fn delete(key: &[u8]) -> Mutation<'_> {
    Mutation::Delete { key }
}

/// Applies without guards, buffered.
fn write(store: &dyn SyncStore, mutations: &[Mutation<'_>]) -> Result<(), StoreError> {
    store.apply(&[], mutations, Durability::Buffered)
}

fn value_of(store: &dyn SyncStore, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
    Ok(store.get(&[key])?.pop().flatten())
}

type Pair = (Vec<u8>, Vec<u8>);

/// Returns everything in the store, page by page.
fn everything(store: &dyn SyncStore) -> Result<Vec<Pair>, StoreError> {
    pages(store, b"", b"", 1000, 1 << 20)
}

fn pages(
    store: &dyn SyncStore,
    start: &[u8],
    end: &[u8],
    max_entries: u32,
    max_bytes: u32,
) -> Result<Vec<Pair>, StoreError> {
    let mut all = Vec::new();
    let mut start = start.to_vec();
    loop {
        let page = store.scan(&start, end, max_entries, max_bytes)?;
        let Some(last) = page.last() else { return Ok(all) };
        let next = [&last.key, &b"\0"[..]].concat();
        if next <= start {
            return Err(StoreError::Corrupt("scan goes backwards".into()));
        }
        start = next;
        all.extend(page.into_iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())));
    }
}

fn clear(store: &dyn SyncStore) -> Checked {
    let batch = (store.limits()?.max_batch_entries as usize).min(256);
    for keys in everything(store)?.chunks(batch) {
        let deletes: Vec<_> = keys.iter().map(|(key, _)| delete(key)).collect();
        write(store, &deletes)?;
    }
    reading::an_empty_store_holds_nothing(store)
}
