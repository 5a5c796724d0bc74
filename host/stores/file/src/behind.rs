//! Reads behind another writer: what it appended is taken in before an answer, without taking the
//! store from it.
//!
//! The writer's lease says when that works. While it is held, nobody has begun to read the writer's
//! segment in order to go on from there, so all that is whole in it will count. And the writer itself
//! is in that segment still. Otherwise there is a newer writer, or none.

use crate::chain::{Read, read_chain};
use crate::checkpoint::give_up;
use crate::directory::{Directory, File};
use crate::lease::{Lease, names};
use crate::log::{Log, State};
use crate::mark::{check, read_marks};
use crate::names::{Name, segment_name};
use crate::record::HEADER_BYTES;
use crate::records::{Records, replay_bytes_of};
use crate::segment::whole_to_with_values;
use crate::small::Small;
use crate::table::Cache;
use crate::turn::take_back;
use kvfs_contract::StoreError;

/// How often the files are read while writers take turns. Then this opener takes one.
const MAX_ATTEMPTS: u32 = 6;

/// Takes in what other openers did before this call.
///
/// # Errors
///
/// As [`take_back`]: the store is taken if nobody has it, because its writer was killed while another
/// took it, or if others take it from each other all the time.
///
/// # Cost
///
/// While this opener has the store, one look at its lease. Behind another, two looks, and what it
/// appended. After a change of the writer, or a new segment of it, about a turn.
pub(crate) fn catch_up<D: Directory + Clone>(log: &mut Log<D>) -> Result<(), StoreError> {
    match log.state {
        State::Writable if log.own.lease.is_held()? => return Ok(()),
        State::Writable => log.state = State::Fenced(None),
        State::Fenced(_) => {}
        // It answers with what it has; no change of its own is acknowledged any more.
        State::Broken(_) => return Ok(()),
    }
    give_up(log);
    if read_on(log)? {
        return Ok(());
    }
    for number in 0..MAX_ATTEMPTS {
        // An error may be of files that go meanwhile. A turn finds out.
        if join(log).unwrap_or(false) {
            return Ok(());
        }
        log.directory.pause(number);
    }
    take_back(log).map(drop)
}

/// Takes in what the writer appended since. Returns whether it still is the writer.
fn read_on<D: Directory>(log: &mut Log<D>) -> Result<bool, StoreError> {
    let (Some(lease), Some(last)) = (&log.behind, log.older.last_mut()) else { return Ok(false) };
    let size = last.file.status().map_err(|error| error.at(&segment_name(last.epoch)))?.size_bytes;
    // A record with a change is longer than a note.
    if size <= last.accepted_bytes + HEADER_BYTES as u64 {
        return lease.is_held();
    }
    let from = last.accepted_bytes;
    let whole_to = whole_to_with_values(&last.file, last.epoch, from, size, last.salt)?;
    // Only now: what was whole before this look will count.
    if !lease.is_held()? {
        return Ok(false);
    }
    last.accepted_bytes = whole_to;
    let mut records = Records::new(&last.file, last.epoch, from, whole_to, Some(last.salt));
    while let Some(record) = records.next()? {
        log.replay_bytes += replay_bytes_of(record.header.record_bytes(), record.index.len());
        // If a table is damaged, the index is made anew before anybody asks it.
        if record.has_changes() && log.index.take_in(&record).is_err() {
            break;
        }
    }
    Ok(true)
}

/// Reads what there is, and goes on behind the writer. Returns false if there was none all the time.
fn join<D: Directory>(log: &mut Log<D>) -> Result<bool, StoreError> {
    let listed = names(&log.directory)?;
    let marks = read_marks(&log.directory, &listed)?;
    let mut segments: Vec<u64> = listed.into_iter().filter_map(Name::segment).collect();
    segments.sort_unstable();
    let cache = Cache::new(log.options.max_cache_bytes);
    let read = read_chain(&log.directory, &segments, &marks, &cache, log.known().as_ref())?;
    check(&marks, &read.accepted())?;
    let Some(newest) = read.older.last().map(|last| last.epoch) else { return Ok(false) };
    let Some(lease) = Lease::of(&log.directory, newest)? else { return Ok(false) };
    // A program that was held up may have made another lease of this name, but only if there is a
    // greater number.
    let is_newest = names(&log.directory)?.iter().all(|name| name.epoch() <= newest);
    if !is_newest || !lease.is_held()? {
        return Ok(false);
    }
    let Read { older, index, covered, replay_bytes, collected, rebuilt, tails } = read;
    if tails.is_empty() {
        let [seed, _] = log.own.salt.to_numbers();
        (log.index, log.replay_bytes) = (index, replay_bytes);
        log.index.small = Small::seeded(seed);
    } else {
        tails.iter().for_each(|tail| tail.take_into(&mut log.index));
        log.replay_bytes += replay_bytes;
    }
    (log.older, log.covered, log.collected) = (older, covered, collected);
    log.rebuilt += u64::from(rebuilt);
    log.behind = Some(lease);
    log.new_names = true;
    Ok(true)
}
