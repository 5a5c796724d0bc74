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
//! Check an asynchronous store through [`BlockOn`](crate::BlockOn). Whether a durable apply
//! survives a crash is beyond this suite: kill a process and look.

mod claim;
mod report;

mod batches;
mod limits;
mod model;
mod overruns;
mod reading;
mod watched;

mod session;

mod reopening;

pub use report::{Outcome, Progress, Report, Verdict};
pub use session::Open;

use crate::{StoreError, SyncStore};
use session::{Borrowed, Session};

/// Checks every claim of the contract that one instance can show, on a store that must be empty and
/// is left empty.
///
/// A store that holds anything is left alone, and the report says so. To check a store that is in
/// use, give the suite a [`Namespaced`](crate::Namespaced) part of it. The suite keeps within the
/// limits that the store states, writes at most 64 MiB at once, and does not blame a store that is
/// too small for a claim: see [`Verdict::NotChecked`].
pub fn check(store: &dyn SyncStore) -> Report {
    let mut open = || -> Result<Box<dyn SyncStore + '_>, StoreError> { Ok(Box::new(Borrowed(store))) };
    let mut watch = |_: Progress<'_>| {};
    let mut session = Session::new(&mut open, &mut watch);
    if session.start() {
        one_instance(&mut session);
    }
    session.report()
}

/// Checks that a store keeps its entries from one opening to the next. It must be empty and is left
/// empty.
///
/// The effects of a crash of the machine are beyond this.
pub fn check_reopening(open: &mut Open<'_>) -> Report {
    let mut watch = |_: Progress<'_>| {};
    let mut session = Session::new(open, &mut watch);
    if session.start() {
        reopening::check(&mut session);
    }
    session.report()
}

/// Checks everything: as [`check`], and as [`check_reopening`] if the store says that it is
/// durable.
///
/// After a [`StoreError::Fault`] (a trap of a component, a panic) the store is opened anew, so that
/// the following claims are still checked. `watch` is told of each claim before and after.
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
