//! Checkpoints in steps: with each apply, a little of the table is written, in proportion to what was
//! changed since it was begun.
//!
//! A segment begins when the changes for the table are set apart, so what comes later is in that
//! segment and those behind it. Once the table is whole another segment begins, whose list has it and
//! says to replay from the first one on. Until then all lists have the tables before, and a table that
//! no list has counts for nobody: a crash or another opener ends the making, and costs a longer
//! replay.

use crate::checkpoint::{
    checkpoint, covered, discard, give_up, most_entries, of_merge, open_built, publish, tables_to_merge,
};
use crate::directory::Directory;
use crate::log::Log;
use crate::making::Making;
use crate::names::table_name;
use crate::roll::{claim, roll};
use crate::table::{Built, TableBuilder};
use kvfs_contract::StoreError;

/// Most segments that the tables do not cover. Short-lived openers leave one each.
const MAX_RECENT_SEGMENTS: usize = 16;

/// How much more there must be to replay before a checkpoint that failed is tried again; after each
/// further failure, twice as much.
const RETRY_BYTES: u64 = 1 << 20;
const MAX_RETRY_BYTES: u64 = 64 << 20;

/// Entries of a step: fewer would not be worth finding the place in each table again. A store that
/// makes checkpoints after few changes makes smaller steps.
const STEP_ENTRIES: u64 = 1 << 10;
const STEPS: usize = 16;

/// A table is done after one part in so many of the changes that make the next one due.
const PACE: u128 = 2;

/// What a page of a filter costs, in entries.
const ENTRIES_PER_PAGE: u64 = 8;

/// Spent changes that a call frees.
const FREED_PER_CALL: usize = 256;

/// Makes a checkpoint if an opening would take long without, or goes on with the one under way.
///
/// A failure leaves the store as it was, or takes its right to write; the next call says so.
///
/// # Cost
///
/// Of a table with `n` entries, for each change about `2 n / max_recent_changes` of them are merged,
/// some hundred at a time.
pub(crate) fn if_due<D: Directory>(log: &mut Log<D>) {
    log.index.free_spent(FREED_PER_CALL);
    if log.full_until_live_bytes.is_some() {
        // Its room is needed.
        return give_up(log);
    }
    let done = match log.making {
        Some(_) => go_on(log),
        None if is_due(log) => begin(log),
        None => return,
    };
    after(log, done.map(|_| ()));
}

/// As [`if_due`], for an opening: all at once.
pub(crate) fn at_opening<D: Directory>(log: &mut Log<D>) {
    if is_due(log) && log.full_until_live_bytes.is_none() {
        let done = checkpoint(log);
        after(log, done);
    }
}

/// Finishes the checkpoint under way, if there is one.
pub(crate) fn finish<D: Directory>(log: &mut Log<D>) {
    if log.making.is_some() {
        let done = step(log, u64::MAX);
        after(log, done.map(|_| ()));
    }
}

fn after<D: Directory>(log: &mut Log<D>, done: Result<(), StoreError>) {
    match done {
        Ok(()) => (log.checkpoint_at_bytes, log.checkpoint_retry_bytes) = (0, 0),
        Err(_) => {
            // A merge writes most of the tables anew, perhaps to find that the disk is full.
            let retry = log.checkpoint_retry_bytes.saturating_mul(2).clamp(RETRY_BYTES, MAX_RETRY_BYTES);
            log.checkpoint_retry_bytes = retry;
            log.checkpoint_at_bytes = log.replay_bytes.saturating_add(retry);
        }
    }
}

fn is_due<D: Directory>(log: &Log<D>) -> bool {
    let changes = log.index.recent_changes();
    let segments = segments_from(log, log.covered.before);
    let due = changes >= log.options.max_recent_changes
        || log.replay_bytes >= log.options.max_replay_bytes
        || segments > MAX_RECENT_SEGMENTS && changes > 0;
    due && log.replay_bytes >= log.checkpoint_at_bytes
}

/// Returns how many older segments there are from this one on, or one more than is put up with.
fn segments_from<D: Directory>(log: &Log<D>, epoch: u64) -> usize {
    let recent = log.older.iter().rev().take_while(|older| older.epoch >= epoch);
    recent.take(MAX_RECENT_SEGMENTS + 1).count()
}

fn step_entries<D: Directory>(log: &Log<D>) -> u64 {
    STEP_ENTRIES.min((log.options.max_recent_changes / STEPS) as u64).max(1)
}

/// Sets the recent changes apart and begins their table. A short one is made at once, and so is that
/// of an opener whose turn may be over soon.
fn begin<D: Directory>(log: &mut Log<D>) -> Result<bool, StoreError> {
    let replaces = tables_to_merge(log);
    let most = most_entries(log, replaces);
    if log.in_turns || most <= 2 * step_entries(log) {
        return checkpoint(log).map(|()| true);
    }
    roll(log)?;
    let number = log.own.lease.epoch;
    let name = table_name(number);
    let file = log.directory.create(&name).map_err(|error| error.at(&name))?;
    log.index.settle();
    let builder = TableBuilder::new(file, number, most);
    let all = most.saturating_add(u64::from(builder.pages()) * ENTRIES_PER_PAGE);
    log.making = Some(Making {
        builder,
        number,
        replaces,
        next: Some(Vec::new()),
        most,
        all,
        done: 0,
        covered: covered(log, number),
        replayed_bytes: log.replay_bytes,
    });
    Ok(false)
}

/// Does what is due of the table in the making. Returns whether that was the rest.
fn go_on<D: Directory>(log: &mut Log<D>) -> Result<bool, StoreError> {
    let Some(making) = &log.making else { return Ok(true) };
    let changes = (log.index.recent_changes() as u64, log.options.max_recent_changes as u64);
    let replayed = log.replay_bytes.saturating_sub(making.replayed_bytes);
    let segments = segments_from(log, making.number) as u64;
    let parts = [changes, (replayed, log.options.max_replay_bytes), (segments, MAX_RECENT_SEGMENTS as u64)];
    let part = |(of, most): (u64, u64)| {
        u128::from(making.all).saturating_mul(PACE * u128::from(of)) / u128::from(most.max(1))
    };
    let target = parts.into_iter().map(part).max().unwrap_or_default();
    if target >= u128::from(making.all) {
        return step(log, u64::MAX);
    }
    // Less than all that is to do.
    let due = (target as u64).saturating_sub(making.done);
    if due < step_entries(log) { Ok(false) } else { step(log, due) }
}

/// Merges so many entries, or writes as much of the rest, and begins to use the table once it is whole.
/// Returns whether it is.
///
/// # Errors
///
/// The table is given up then.
fn step<D: Directory>(log: &mut Log<D>, entries: u64) -> Result<bool, StoreError> {
    let done = match fill(log, entries) {
        Ok(None) => return Ok(false),
        Ok(Some(built)) => use_table(log, built),
        Err(error) => Err(error),
    };
    if done.is_err() {
        give_up(log);
    }
    done.map(|()| true)
}

fn fill<D: Directory>(log: &mut Log<D>, entries: u64) -> Result<Option<Built>, StoreError> {
    // Nobody else asks for it meanwhile.
    let Some(mut making) = log.making.take() else { return Ok(None) };
    let filled = fill_with(log, &mut making, entries);
    log.making = Some(making);
    filled
}

fn fill_with<D: Directory>(
    log: &Log<D>,
    making: &mut Making<D::File>,
    mut left: u64,
) -> Result<Option<Built>, StoreError> {
    let number = making.number;
    let of_merge = |error| of_merge(log, number, error);
    if let Some(start) = making.next.take() {
        let mut merged = log.index.settled_from(&start, making.replaces)?;
        let mut last = None;
        while left > 0 {
            let Some(entry) = merged.next() else { break };
            let (key, place) = entry.map_err(of_merge)?;
            if let Some(place) = log.index.for_table(place, making.replaces) {
                making.builder.push(&key, place).map_err(of_merge)?;
            }
            last = Some(key);
            left -= 1;
            making.done += 1;
        }
        drop(merged);
        if left == 0 {
            let behind = |mut last: Vec<u8>| {
                last.push(0);
                last
            };
            making.next = Some(last.map_or(start, behind));
            return Ok(None);
        }
        // A key in several sources is one entry.
        making.done = making.most;
    }
    let pages = u32::try_from(left / ENTRIES_PER_PAGE).unwrap_or(u32::MAX).max(1);
    making.done = making.done.saturating_add(u64::from(pages) * ENTRIES_PER_PAGE);
    making.builder.end_some(pages).map_err(of_merge)
}

/// Lists the table that was made.
fn use_table<D: Directory>(log: &mut Log<D>, built: Built) -> Result<(), StoreError> {
    let Some(making) = log.making.take() else { return Ok(()) };
    let Making { builder, number, replaces, covered, replayed_bytes, .. } = making;
    let published = open_built(log, builder.into_file(), number, built).and_then(|table| {
        let lease = claim(log)?;
        publish(log, lease, table, replaces, covered)
    });
    match published {
        Ok(()) => log.replay_bytes = log.replay_bytes.saturating_sub(replayed_bytes),
        Err(_) => discard(log, number),
    }
    published
}
