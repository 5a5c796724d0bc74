//! Garbage collection, one segment at a time: which segment, and when.

use crate::chain::Older;
use crate::copy::copy;
use crate::directory::Directory;
use crate::log::Log;
use crate::moving::Moving;
use crate::reserve;
use crate::roll::{roll, segment_bytes};
use crate::step::step;
use kvfs_contract::StoreError;

/// Garbage that is put up with: one byte for so many live ones, and as much again up to a number of
/// bytes. Twice the room makes a random write cost half of what it costs otherwise.
const LIVE_PER_GARBAGE: u64 = 2;
const MAX_MORE_GARBAGE_BYTES: u64 = 256 << 20;

/// A segment is worth a copy if one byte of so many of it is garbage.
const BYTES_PER_GARBAGE: u64 = 8;

/// Most segments much shorter than others. Each opener leaves one, and each open file costs
/// something.
const MAX_SHORT_SEGMENTS: usize = 16;

/// As [`MAX_SHORT_SEGMENTS`], of openers that take turns: each turn leaves a segment. They are copied
/// at once, up to so many bytes: an opener's collection in steps ends with its turn.
const MAX_SHORT_SEGMENTS_IN_TURNS: usize = 8;
const MAX_SHORT_BYTES_AT_ONCE: u64 = 1 << 20;

/// As [`MAX_RETIRED`], of openers that take turns: a sync for every few of their applies would cost
/// more than the names.
const MAX_RETIRED_IN_TURNS: usize = 64;

/// A segment is much shorter than others with one byte for so many of theirs. A store that grows
/// leaves some behind, and copies one byte for so many that were written.
const SHORT: u64 = 16;

/// Segments beyond which those are much shorter that have half of the others' bytes.
const MAX_SEGMENTS: usize = 192;

/// Most files that count no more and still have their names.
const MAX_RETIRED: usize = 8;

/// So many looks at all segments, at most, while the garbage that is always put up with is made.
const LOOKS: u64 = 64;

/// An opening collects as much as a call that writes so many bytes.
const COLLECTED_AT_OPENING_BYTES: u64 = 1 << 20;

/// As [`LIVE_PER_GARBAGE`], of a store at rest; and the same of the garbage that is always put up
/// with.
const LIVE_PER_GARBAGE_AT_REST: u64 = 24;
const MIN_PER_GARBAGE_AT_REST: u64 = 8;

/// Most bytes copied at an orderly end, which nobody wants to wait for long, or so many segments.
const MAX_BYTES_AT_END: u64 = 256 << 20;
const MAX_SEGMENTS_AT_END: u64 = 8;

/// Most collections when growth finds no room, and the part of the live bytes at which they stop: a
/// few at once cost fewer syncs.
const MAX_COLLECTIONS_WHEN_FULL: usize = 16;
const LIVE_PER_ROOM: u64 = 32;

/// On a full disk, a segment is worth a copy if so many starts of segments are as long as its
/// garbage.
const START_PER_GARBAGE: u64 = 4;

/// On a full disk, collections that failed are tried again once so much less of the live bytes is
/// there: before the removals of small values have used the reserve up.
const LIVE_PER_TRY: u64 = 64;

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
    let all = older.chain([(log.own.lease.epoch, log.own.end)]);
    let all = all.filter(|(epoch, _)| !log.emptied.contains(epoch)).enumerate();
    let all = all.map(|(number, (epoch, bytes))| {
        let used = log.index.usage.of(epoch);
        let (live_bytes, removal_bytes) = (used.live_bytes, used.removal_bytes);
        Candidate { epoch, bytes, live_bytes, removal_bytes, is_oldest: number == 0 }
    });
    all.collect()
}

/// Goes on with a collection, after so many bytes were written, or begins one if there is too much
/// garbage or there are too many segments.
///
/// A failure leaves the store as it was, or takes its right to write; the next call says so.
pub(crate) fn if_due<D: Directory>(log: &mut Log<D>, written_bytes: u64) {
    if log.full_until_live_bytes.is_some() {
        return if_due_when_full(log, 0);
    }
    if log.in_turns {
        join_short(log);
    }
    if !log.is_writable() {
        return;
    }
    if log.moving.is_some() {
        return go_on(log, written_bytes);
    }
    if log.activity_bytes() < log.collect_at_activity {
        return;
    }
    if log.collect_at_bytes > 0 && log.size_bytes() < log.collect_at_bytes {
        return;
    }
    let live = log.index.usage.live_bytes();
    let spare = live / LIVE_PER_GARBAGE + (live / LIVE_PER_GARBAGE).min(MAX_MORE_GARBAGE_BYTES);
    match due(log, spare + log.options.min_garbage_bytes, Own::Stays) {
        Due::Now(victims) => {
            log.moving = Some(Moving::new(victims));
            go_on(log, written_bytes);
        }
        Due::NotBefore(bytes) => {
            log.collect_at_activity = log.activity_bytes().saturating_add(bytes);
        }
    }
}

/// As [`if_due`], for openers that write little: does more at once, and begins a segment without those
/// that are empty.
pub(crate) fn at_opening<D: Directory>(log: &mut Log<D>) {
    if_due(log, COLLECTED_AT_OPENING_BYTES);
    if !log.emptied.is_empty() && log.is_writable() {
        // Without it they go with the next segment.
        let _ = roll(log);
    }
}

/// Copies the short segments that turns leave into one, if there are many.
fn join_short<D: Directory>(log: &mut Log<D>) {
    if log.collect_at_bytes > 0 && log.size_bytes() < log.collect_at_bytes {
        return;
    }
    let short_bytes = segment_bytes(log) / SHORT;
    let is_short = |older: &&Older<D::File>| {
        older.accepted_bytes < short_bytes
            && !log.stays.contains(&older.epoch)
            && !log.emptied.contains(&older.epoch)
    };
    let mut left = MAX_SHORT_BYTES_AT_ONCE;
    let short = log.older.iter().rev().filter(is_short).take_while(|older| {
        left = left.saturating_sub(older.accepted_bytes);
        left > 0
    });
    let victims: Vec<u64> = short.map(|older| older.epoch).collect();
    if victims.len() > MAX_SHORT_SEGMENTS_IN_TURNS && collect(log, &victims).is_err() {
        log.collect_at_bytes = log.size_bytes() + log.options.min_garbage_bytes;
    }
}

fn go_on<D: Directory>(log: &mut Log<D>, written_bytes: u64) {
    match step(log, written_bytes) {
        Ok(false) => {}
        Ok(true) => {
            log.collect_at_activity = 0;
            // Copies filled most of the own segment, so a new one, without the old, begins soon.
            let is_filled = log.own.end - log.own.start_bytes >= segment_bytes(log) / 2;
            if is_filled && log.is_writable() {
                // Without it the old ones go with the next.
                let _ = roll(log);
            }
        }
        Err(_) => log.collect_at_bytes = log.size_bytes() + log.options.min_garbage_bytes,
    }
}

/// Collects more than while the store is in use, for a while.
pub(crate) fn at_end<D: Directory>(log: &mut Log<D>) {
    if log.full_until_live_bytes.is_some() {
        if_due_when_full(log, 0);
    }
    if !log.is_writable() || log.full_until_live_bytes.is_some() {
        return;
    }
    log.moving = None;
    let at_most = MAX_BYTES_AT_END.max(segment_bytes(log) * MAX_SEGMENTS_AT_END);
    let min_garbage_bytes = log.options.min_garbage_bytes / MIN_PER_GARBAGE_AT_REST;
    let spare = log.index.usage.live_bytes() / LIVE_PER_GARBAGE_AT_REST + min_garbage_bytes;
    let mut copied = 0;
    while copied < at_most {
        let Due::Now(victims) = due(log, spare, Own::May) else { break };
        copied += victims.iter().map(|&victim| log.index.usage.of(victim).live_bytes).sum::<u64>();
        let before = log.size_bytes();
        match collect(log, &victims) {
            Ok(()) => {}
            Err(StoreError::QuotaExceeded) if log.is_writable() && with_reserve(log, at_most) > 0 => {}
            // The garbage stays.
            Err(_) => return,
        }
        if !log.is_writable() {
            return;
        }
        // The starts of small segments are garbage that comes back.
        if log.size_bytes() >= before {
            break;
        }
    }
    if !log.emptied.is_empty() && log.is_writable() {
        // Without it the next opening finds them empty.
        let _ = roll(log);
    }
}

/// The segments to collect, or when to look again.
enum Due {
    /// These segments.
    Now(Vec<u64>),
    /// Nothing, until so many more bytes were written or became garbage, or a segment begins.
    NotBefore(u64),
}

/// Whether the own segment may be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    May,
    Stays,
}

/// Returns the segments to collect if there is more garbage than is put up with.
fn due<D: Directory>(log: &Log<D>, spare: u64, own: Own) -> Due {
    let all = candidates(log);
    let oldest = all.first().map(|oldest| oldest.epoch);
    let garbage: u64 = all.iter().map(Candidate::garbage_bytes).sum();
    // Removals count for something until they are in the oldest segment.
    let removals: u64 = all.iter().skip(1).map(|candidate| candidate.removal_bytes).sum();
    let segment_bytes = segment_bytes(log);
    let short_bytes = if all.len() > MAX_SEGMENTS { segment_bytes / 2 } else { segment_bytes / SHORT };
    let is_short = |candidate: &Candidate| candidate.bytes < short_bytes;
    // The own segment still grows.
    let short = all.iter().rev().skip(1).filter(|candidate| is_short(candidate)).count();
    // A byte that becomes garbage adds to it and takes half a byte from what is put up with.
    let slack = spare.saturating_sub(garbage.max(removals));
    let not_before = Due::NotBefore((slack / 2).max(log.options.min_garbage_bytes / LOOKS));
    if garbage <= spare && removals <= spare && short <= MAX_SHORT_SEGMENTS {
        return not_before;
    }

    let stays = |epoch| log.stays.contains(&epoch) || own == Own::Stays && epoch == log.own.lease.epoch;
    let mut movable: Vec<_> = all.into_iter().filter(|it| !stays(it.epoch)).collect();
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
    let max_retired = if log.in_turns { MAX_RETIRED_IN_TURNS } else { MAX_RETIRED };
    if retired > spare || log.retired.len() > max_retired { log.sync() } else { Ok(()) }
}

/// Collects because changes of so many bytes found no room. Returns whether there is more now.
pub(crate) fn made_room<D: Directory>(log: &mut Log<D>, bytes: u64) -> bool {
    if log.is_writable() {
        if_due_when_full(log, bytes);
    }
    log.is_writable() && log.full_until_live_bytes.is_none()
}

/// As [`if_due`] on a full disk, where any garbage is in the way: collects segments whose live bytes
/// find room in the reserve and what is free, until `least` bytes are free at least. After a failure,
/// tries again once less is live.
fn if_due_when_full<D: Directory>(log: &mut Log<D>, least: u64) {
    let live = log.index.usage.live_bytes();
    if log.full_until_live_bytes.is_none_or(|at_most| live > at_most) {
        return;
    }
    log.moving = None;
    let freed = with_reserve(log, least.max(live / LIVE_PER_ROOM));
    log.full_until_live_bytes = (freed == 0).then_some(live - live / LIVE_PER_TRY);
}

/// As [`free_some`], with the room of the reserve.
fn with_reserve<D: Directory>(log: &mut Log<D>, enough: u64) -> u64 {
    reserve::give_up(&log.directory);
    let freed = free_some(log, enough);
    reserve::keep(&log.directory, log.reserve_bytes);
    freed
}

/// Collects the segments with most garbage, up to so many bytes of it. Returns how many that were.
fn free_some<D: Directory>(log: &mut Log<D>, enough: u64) -> u64 {
    // What counts no more and still has its name.
    let retired: u64 = log.retired.iter().map(|retired| retired.bytes).sum();
    if log.sync().is_err() {
        return 0;
    }
    let mut freed = retired;
    for _ in 0..MAX_COLLECTIONS_WHEN_FULL {
        // A copy begins a segment, whose start takes room.
        let least = START_PER_GARBAGE * log.own.start_bytes;
        let worth = |it: &Candidate| it.garbage_bytes() >= (it.bytes / BYTES_PER_GARBAGE).max(least);
        let movable = candidates(log).into_iter().filter(|it| worth(it) && !log.stays.contains(&it.epoch));
        let Some(victim) = movable.max_by_key(Candidate::garbage_share) else { break };
        if freed > enough {
            break;
        }
        if copy(log, &[victim.epoch]).and_then(|()| log.sync()).is_err() {
            break;
        }
        freed += victim.garbage_bytes();
    }
    freed
}
