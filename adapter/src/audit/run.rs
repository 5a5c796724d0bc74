//! The id of this run.

use crate::clock::WallClock;
use kvfs::Clock;
use kvfs_audit::RunId;

/// Most other runs that began at the same nanosecond.
pub(super) const MAX_SAME_TIME: u64 = 64;

/// Makes an id for a run that begins now.
pub(super) fn begin_run(attempt: u64) -> RunId {
    let now = WallClock.now();
    let seconds = u64::try_from(now.seconds).unwrap_or(0);
    RunId::new(seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(now.nanoseconds)), attempt)
}
