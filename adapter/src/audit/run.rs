//! The id of this run.

use crate::clock::WallClock;
use kvfs::Clock;
use kvfs_audit::{RunId, first_free};

/// How often an id that was found free may turn out to be taken by another run that begins now.
pub(super) const MAX_RACES: u32 = 64;

/// Returns the id of a run that begins now.
pub(super) fn begin_run() -> RunId {
    RunId::new(now_nanoseconds(), 0)
}

/// Returns another one, if that is taken. A clock may stand still for many runs, even for all.
///
/// # Errors
/// Those of `is_taken`.
pub(super) fn begin_other_run<E>(mut is_taken: impl FnMut(RunId) -> Result<bool, E>) -> Result<RunId, E> {
    let now = now_nanoseconds();
    Ok(RunId::new(now, first_free(|number| is_taken(RunId::new(now, number)))?))
}

fn now_nanoseconds() -> u64 {
    let now = WallClock.now();
    let seconds = u64::try_from(now.seconds).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(now.nanoseconds))
}
