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
mod overruns;
mod reading;
mod reopening;
mod report;
mod session;
mod watched;

pub use report::{Outcome, Progress, Report, Verdict};

use crate::{Durability, Limits, Mutation, StoreError, SyncStore};
use session::{Borrowed, Session};

/// Opens the store once more. What had it open before is gone, without having been told anything.
pub type Open<'a> = dyn FnMut() -> Result<Box<dyn SyncStore + 'a>, StoreError> + 'a;

/// Checks every claim of the contract that one instance shows, on a store that must be empty and is left empty.
///
/// A store that holds anything is left alone, and the report says so. To check one that is in use, give
/// it a [`Namespaced`](crate::Namespaced) of its own. The suite keeps within the limits that the store states, writes
/// at most 64 MiB at once, and does not blame a store that is too small for a claim: see [`Verdict::NotChecked`].
pub fn check(store: &dyn SyncStore) -> Report {
    let mut open = || -> Result<Box<dyn SyncStore + '_>, StoreError> { Ok(Box::new(Borrowed(store))) };
    let mut watch = |_: Progress<'_>| {};
    let mut session = Session::new(&mut open, &mut watch);
    if session.start() {
        one_instance(&mut session);
    }
    session.report()
}

/// Checks what a store keeps from one opening to the next. It must be empty and is left empty.
///
/// What only a crash of the machine shows is beyond this.
pub fn check_reopening(open: &mut Open<'_>) -> Report {
    let mut watch = |_: Progress<'_>| {};
    let mut session = Session::new(open, &mut watch);
    if session.start() {
        reopening::check(&mut session);
    }
    session.report()
}

/// Checks everything: as [`check`], and as [`check_reopening`] if the store says that it is durable.
///
/// After a [`StoreError::Fault`] (a trap of a component, a panic) the store is opened anew, so that the claims that
/// follow are checked all the same. `watch` is told of each claim before and after.
pub fn check_all(open: &mut Open<'_>, watch: &mut dyn FnMut(Progress<'_>)) -> Report {
    let mut session = Session::new(open, watch);
    if session.start() {
        one_instance(&mut session);
        if session.store().is_ok_and(|store| store.limits.durable) {
            reopening::check(&mut session);
        }
    }
    session.report()
}

fn one_instance(session: &mut Session<'_, '_>) {
    for claims in [reading::CLAIMS, batches::CLAIMS, model::CLAIMS, limits::CLAIMS] {
        session.claims(claims, false);
    }
    session.claims(overruns::CLAIMS, true);
}

/// Why a claim does not hold, or cannot be checked.
enum Failure {
    /// The store did something else than the contract says.
    Broken(String),
    /// A call failed that should not.
    Call(StoreError),
    /// It takes more than the suite does.
    Beyond(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Call(error)
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
            return Err($crate::conformance::Failure::Broken(format!($($why)*)));
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

/// Applies in as many calls as the limits make of it, without guards.
fn write_all(store: &dyn SyncStore, mutations: &[Mutation<'_>], level: Durability) -> Result<(), StoreError> {
    let limits = store.limits()?;
    let mut rest = mutations;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_len(&limits, rest));
        store.apply(&[], batch, level)?;
        rest = later;
    }
    Ok(())
}

/// How many of the first mutations fit into one batch; at least one, which may be over the limits by itself.
fn batch_len(limits: &Limits, mutations: &[Mutation<'_>]) -> usize {
    let mut bytes_left = limits.max_batch_bytes as usize;
    let fits = mutations.iter().take(limits.max_batch_entries as usize).take_while(|mutation| {
        let left = bytes_left.checked_sub(mutation.size_bytes());
        bytes_left = left.unwrap_or(0);
        left.is_some()
    });
    fits.count().max(1).min(mutations.len())
}

/// Returns everything in the store, page by page.
fn everything(store: &dyn SyncStore) -> Result<Vec<Pair>, Failure> {
    pages(store, b"", b"", 1000, 1 << 20)
}

/// Most entries that a store can hold after what the suite puts into it, and far more: a scan that gives more has no end.
const ENTRIES_MAX: usize = 1 << 20;

fn pages(
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
        claim!(all.len() <= ENTRIES_MAX, "scans have given {} entries and find no end", all.len());
    }
}

fn clear(store: &dyn SyncStore, level: Durability) -> Checked {
    let all = everything(store)?;
    let deletes: Vec<_> = all.iter().map(|(key, _)| delete(key)).collect();
    write_all(store, &deletes, level)?;
    reading::an_empty_store_holds_nothing(store)
}
