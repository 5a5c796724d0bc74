//! Takes the store back from another opener: the lease is a token, and whoever has something to
//! write takes it.

use crate::checkpoint::give_up;
use crate::directory::Directory;
use crate::log::{Doubtful, Log, State};
use crate::open::{Taken, take};
use crate::usage::Used;
use kvfs_contract::StoreError;

/// What became of a doubtful record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The openers after it have it.
    Counts,
    /// Nobody has it, and nobody will.
    Void,
    /// Its segment was collected, and many others since.
    Unknown,
}

/// Opens the store anew with the next epoch if another opener has it. Returns what became of the
/// record that was written too late, if there is one.
///
/// # Errors
///
/// As [`FileStore::open`](crate::FileStore::open). The store is as it was then: fenced, and readable
/// as far as files that were open go. [`StoreError::UnknownOutcome`] if the record may count after
/// a crash.
///
/// # Cost
///
/// Up to that of an opening, and a sync if the record does not count.
pub(crate) fn take_back<D: Directory + Clone>(log: &mut Log<D>) -> Result<Option<Fate>, StoreError> {
    let State::Fenced(doubtful) = log.state else { return Ok(None) };
    give_up(log);
    let Taken { log: taken, tails } = take(&log.directory, log.options, log.known().as_ref())?;
    let left = std::mem::replace(log, taken);
    log.rebuilt += left.rebuilt;
    log.in_turns = true;
    if !tails.is_empty() {
        let epoch = log.own.lease.epoch;
        log.index = left.index;
        log.replay_bytes += left.replay_bytes;
        tails.iter().for_each(|tail| tail.take_into(&mut log.index));
        log.index.usage.enter(epoch, Used::default());
    }
    let Some(doubtful) = doubtful else { return Ok(None) };
    let fate = fate(log, doubtful);
    if fate == Fate::Void
        && let Err(error) = left.own.void()
    {
        let why = format!("a record that does not count could not be overwritten ({error})");
        log.state = State::Broken(format!("{why}; open the store anew"));
        return Err(StoreError::UnknownOutcome);
    }
    Ok(Some(fate))
}

fn fate<D: Directory>(log: &Log<D>, doubtful: Doubtful) -> Fate {
    let older = log.older.iter().map(|older| (older.epoch, older.accepted_bytes));
    let found = older.chain(log.collected.iter().copied()).find(|(epoch, _)| *epoch == doubtful.epoch);
    match found {
        Some((_, accepted_bytes)) if accepted_bytes >= doubtful.end => Fate::Counts,
        Some(_) => Fate::Void,
        None => Fate::Unknown,
    }
}
