//! Garbage collection, one segment at a time: which segment, and when.

use crate::copy::copy;
use crate::directory::Directory;
use crate::log::Log;
use crate::reserve;
use crate::roll::segment_bytes;
use kvfs_contract::StoreError;

/// Garbage that is put up with: one byte for so many live ones.
const LIVE_PER_GARBAGE: u64 = 2;

/// A segment is worth a copy if one byte of so many of it is garbage.
const BYTES_PER_GARBAGE: u64 = 8;

/// Most segments much shorter than others. Each opener leaves one, and each open file costs
/// something.
const MAX_SHORT_SEGMENTS: usize = 16;

/// A segment is much shorter than others with one byte for so many of theirs.
const SHORT: u64 = 4;

/// Most files that count no more and still have their names.
const MAX_RETIRED: usize = 8;

/// So many looks at all segments, at most, while the garbage that is always put up with is made.
const LOOKS: u64 = 64;

/// As [`LIVE_PER_GARBAGE`], of a store at rest.
const LIVE_PER_GARBAGE_AT_REST: u64 = 10;

/// Most collections at an orderly end, which nobody wants to wait for long.
const MAX_COLLECTIONS_AT_END: usize = 8;

/// A segment that may be collected.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    epoch: u64,
    bytes: u64,
    live_bytes: u64,
    removal_bytes: u64,
    is_oldest: bool,
}

impl Candidate {
    /// Returns the bytes that a collection frees. Removals in the oldest segment hide nothing.
    fn garbage_bytes(&self) -> u64 {
        let removals = if self.is_oldest { 0 } else { self.removal_bytes };
        self.bytes.saturating_sub(self.live_bytes + removals)
    }

    /// Returns the part of its bytes that is garbage, in 65,536ths.
    fn garbage_share(&self) -> u128 {
        (u128::from(self.garbage_bytes()) << 16) / u128::from(self.bytes.max(1))
    }
}

fn candidates<D: Directory>(log: &Log<D>) -> Vec<Candidate> {
    let older = log.older.iter().map(|older| (older.epoch, older.accepted_bytes));
    let all = older.chain([(log.own.lease.epoch, log.own.end)]).enumerate();
    let all = all.map(|(number, (epoch, bytes))| {
        let used = log.index.usage.of(epoch);
        let (live_bytes, removal_bytes) = (used.live_bytes, used.removal_bytes);
        Candidate { epoch, bytes, live_bytes, removal_bytes, is_oldest: number == 0 }
    });
    all.collect()
}

/// Collects a segment if there is too much garbage or there are too many segments.
///
/// A failure leaves the store as it was, or takes its right to write; the next call says so.
pub(crate) fn if_due<D: Directory>(log: &mut Log<D>) {
    if log.full_until_live_bytes.is_some() {
        return if_due_when_full(log);
    }
    if log.activity_bytes() < log.collect_at_activity {
        return;
    }
    if log.collect_at_bytes > 0 && log.size_bytes() < log.collect_at_bytes {
        return;
    }
    let spare = log.index.usage.live_bytes() / LIVE_PER_GARBAGE + log.options.min_garbage_bytes;
    let victims = match due(log, spare) {
        Due::Now(victims) => victims,
        Due::NotBefore(bytes) => {
            log.collect_at_activity = log.activity_bytes().saturating_add(bytes);
            return;
        }
    };
    if collect(log, &victims).is_err() {
        log.collect_at_bytes = log.size_bytes() + log.options.min_garbage_bytes;
    }
}

/// Collects more than while the store is in use, for a while.
pub(crate) fn at_end<D: Directory>(log: &mut Log<D>) {
    let spare = log.index.usage.live_bytes() / LIVE_PER_GARBAGE_AT_REST + log.options.min_garbage_bytes;
    for _ in 0..MAX_COLLECTIONS_AT_END {
        let Due::Now(victims) = due(log, spare) else { return };
        // A failure leaves the garbage.
        if !log.is_writable() || collect(log, &victims).is_err() {
            return;
        }
    }
}

/// The segments to collect, or when to look again.
enum Due {
    /// These segments.
    Now(Vec<u64>),
    /// Nothing, until so many more bytes were written or became garbage, or a segment begins.
    NotBefore(u64),
}

/// Returns the segments to collect if there is more garbage than is put up with.
fn due<D: Directory>(log: &Log<D>, spare: u64) -> Due {
    let all = candidates(log);
    let oldest = all.first().map(|oldest| oldest.epoch);
    let garbage: u64 = all.iter().map(Candidate::garbage_bytes).sum();
    // Removals count for something until they are in the oldest segment.
    let removals: u64 = all.iter().skip(1).map(|candidate| candidate.removal_bytes).sum();
    let segment_bytes = segment_bytes(log);
    let is_short = |candidate: &Candidate| candidate.bytes < segment_bytes / SHORT;
    // The own segment still grows.
    let short = all.iter().rev().skip(1).filter(|candidate| is_short(candidate)).count();
    // A byte that becomes garbage adds to it and takes half a byte from what is put up with.
    let slack = spare.saturating_sub(garbage.max(removals));
    let not_before = Due::NotBefore((slack / 2).max(log.options.min_garbage_bytes / LOOKS));
    if garbage <= spare && removals <= spare && short <= MAX_SHORT_SEGMENTS {
        return not_before;
    }

    let mut movable: Vec<_> = all.into_iter().filter(|it| !log.stays.contains(&it.epoch)).collect();
    movable.sort_by_key(|candidate| std::cmp::Reverse(candidate.garbage_share()));
    let worth = movable.first().is_some_and(|first| first.garbage_bytes() >= first.bytes / BYTES_PER_GARBAGE);
    let mut victims = Vec::new();
    if garbage <= spare && removals > spare {
        victims
            .extend(movable.iter().map(|candidate| candidate.epoch).filter(|&epoch| Some(epoch) == oldest));
    } else if (garbage <= spare || !worth) && short <= MAX_SHORT_SEGMENTS {
        return not_before;
    }
    // The copy begins a segment, so it takes in what fits into one.
    let mut left = segment_bytes;
    for candidate in &movable {
        let fits = candidate.live_bytes + candidate.removal_bytes <= left || victims.is_empty();
        let worth = candidate.garbage_bytes() >= candidate.bytes / BYTES_PER_GARBAGE || is_short(candidate);
        if fits && worth && !victims.contains(&candidate.epoch) {
            left = left.saturating_sub(candidate.live_bytes + candidate.removal_bytes);
            victims.push(candidate.epoch);
        }
    }
    if victims.is_empty() { not_before } else { Due::Now(victims) }
}

fn collect<D: Directory>(log: &mut Log<D>, victims: &[u64]) -> Result<(), StoreError> {
    copy(log, victims)?;
    drop_retired_if_due(log)
}

/// Makes everything durable, so that files that count no more can go, if they are many or large.
pub(crate) fn drop_retired_if_due<D: Directory>(log: &mut Log<D>) -> Result<(), StoreError> {
    if log.retired.is_empty() || !log.is_writable() {
        return Ok(());
    }
    let retired: u64 = log.retired.iter().map(|retired| retired.bytes).sum();
    let spare = log.index.usage.live_bytes() / BYTES_PER_GARBAGE / 2 + log.options.min_garbage_bytes;
    if retired > spare || log.retired.len() > MAX_RETIRED { log.sync() } else { Ok(()) }
}

/// Collects because a record found no room. Returns whether there is some now.
pub(crate) fn made_room<D: Directory>(log: &mut Log<D>) -> bool {
    if log.is_writable() {
        if_due_when_full(log);
    }
    log.is_writable() && log.full_until_live_bytes.is_none()
}

/// As [`if_due`] on a full disk, where any garbage is in the way. Tries again each time half of the
/// live bytes is gone.
fn if_due_when_full<D: Directory>(log: &mut Log<D>) {
    let live = log.index.usage.live_bytes();
    if log.full_until_live_bytes.is_none_or(|at_most| live > at_most) {
        return;
    }
    let movable = candidates(log).into_iter().filter(|candidate| !log.stays.contains(&candidate.epoch));
    let victim = movable.max_by_key(Candidate::garbage_bytes);
    let Some(victim) = victim.filter(|victim| victim.garbage_bytes() >= victim.bytes / 2) else { return };
    reserve::give_up(&log.directory);
    let collected = copy(log, &[victim.epoch]).and_then(|()| log.sync());
    reserve::keep(&log.directory, log.options.reserve_bytes);
    log.full_until_live_bytes = collected.is_err().then_some(live / 2);
}
