//! Collection in steps: with each apply, a little of what counts in some segments is appended again,
//! until nothing in them counts any more.
//!
//! A copy is a record like any other, which puts what the key has already. So a reader of the
//! segments in their order comes to the same state wherever the copying stops. The segments stay in
//! all lists until the next segment begins, and keep their names until that is durable.

use crate::chain::Older;
use crate::copy::{COPY_WINDOW_BYTES, hides_older, live_changes};
use crate::directory::Directory;
use crate::log::Log;
use crate::moving::Moving;
use crate::record::Builder;
use crate::records::Records;
use crate::segment::damaged;
use kvfs_contract::StoreError;

/// Bytes that a step copies at least, so that a collection ends though little is written.
const MIN_STEP_BYTES: u64 = 128 << 10;

/// A step passes over so many times what it copies, at most, and a record.
const PASSED_PER_COPIED: u64 = 4;

/// A step copies so many times what was written, so that garbage does not grow faster.
const STEP_PER_WRITTEN: u64 = 4;

/// Most bytes of a record of copies, unless one record that is copied has more.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// Goes on with the collection under way, after so many bytes were written. Returns whether it
/// ended.
///
/// # Errors
///
/// Those of an apply; the store is as after one that failed, and the collection ended. A segment
/// that is damaged, or cannot be read, stays then.
pub(crate) fn step<D: Directory>(log: &mut Log<D>, written_bytes: u64) -> Result<bool, StoreError> {
    let Some(mut moving) = log.moving.take() else { return Ok(true) };
    let budget = written_bytes.saturating_mul(STEP_PER_WRITTEN).max(MIN_STEP_BYTES);
    let (mut copied, mut passed) = (0, 0);
    while copied < budget && passed < PASSED_PER_COPIED * budget {
        let Some(&epoch) = moving.left.front() else { break };
        let at_most = (budget - copied).min(MAX_RECORD_BYTES);
        let is_done = match gather(log, &mut moving, epoch, at_most) {
            Ok((bytes, is_done)) => {
                passed += bytes;
                is_done
            }
            Err(error) => {
                if let StoreError::Corrupt(_) | StoreError::Unavailable(_) = error
                    && !log.index.is_damaged()
                {
                    log.stays.push(epoch);
                }
                end(log, &moving);
                return Err(error);
            }
        };
        match append(log, &mut moving, epoch) {
            Ok(bytes) => copied += bytes,
            Err(error) => {
                end(log, &moving);
                return Err(error);
            }
        }
        // Only now is nothing of it missing elsewhere.
        if is_done {
            moving.left.pop_front();
            moving.offset = 0;
            moving.window.clear();
        }
    }
    if moving.left.is_empty() {
        end(log, &moving);
        return Ok(true);
    }
    log.moving = Some(moving);
    Ok(false)
}

/// Ends a collection. The segments that are done are empty, whatever became of the others.
fn end<D: Directory>(log: &mut Log<D>, moving: &Moving) {
    let done = moving.victims.iter().filter(|victim| !moving.left.contains(victim));
    log.emptied.extend(done);
}

/// Gathers the next changes of a segment that count, up to so many bytes and to the end of a record.
/// Returns how many bytes of the segment it passed over, and whether that was the rest.
fn gather<D: Directory>(
    log: &Log<D>,
    moving: &mut Moving,
    epoch: u64,
    at_most: u64,
) -> Result<(u64, bool), StoreError> {
    let Some(older) = log.older.iter().find(|older| older.epoch == epoch) else {
        return Ok((0, true));
    };
    let &Older { ref file, accepted_bytes, salt, .. } = older;
    let keeps_removals = hides_older(log, epoch, &moving.victims);
    let (part, window) = (moving.offset..accepted_bytes, std::mem::take(&mut moving.window));
    let mut records = Records::with_window(file, epoch, part, Some(salt), window, COPY_WINDOW_BYTES);
    let builder = &mut moving.builder;
    let mut is_done = false;
    let passed = |at: u64| at - moving.offset;
    // An empty record has bytes too: where only a few are left, one record is passed all the same.
    let is_full = |builder: &Builder| !builder.is_empty() && builder.size_bytes() as u64 >= at_most;
    while !is_full(builder) && passed(records.offset()) < PASSED_PER_COPIED * at_most {
        let Some(record) = records.next()? else {
            if records.offset() != accepted_bytes {
                return Err(damaged(epoch, records.offset()));
            }
            is_done = true;
            break;
        };
        live_changes(log, &mut records, &record, keeps_removals, |key, value| {
            builder.push(key, value);
            Ok(())
        })?;
    }
    let passed_bytes = passed(records.offset());
    moving.offset = records.offset();
    moving.window = records.into_window();
    Ok((passed_bytes, is_done))
}

/// Appends what was gathered of a segment. Returns how many bytes that were.
fn append<D: Directory>(log: &mut Log<D>, moving: &mut Moving, from: u64) -> Result<u64, StoreError> {
    let builder = &mut moving.builder;
    if builder.is_empty() {
        return Ok(0);
    }
    let at = log.own.end;
    let appended = log.append_record(builder, || false);
    let bytes = builder.record().len() as u64;
    if appended.is_ok() {
        log.index.take_copies(builder, at, log.own.lease.epoch, from);
    }
    builder.clear();
    appended.map(|()| bytes)
}
