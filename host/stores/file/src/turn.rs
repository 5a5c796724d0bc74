//! Takes the store back from another opener: the lease is a token, and whoever has something to
//! write takes it.

use crate::directory::{Directory, File};
use crate::log::{Doubtful, Log, State};
use crate::open::take;
use crate::record::HEADER_BYTES;
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
/// as far as files that were open go.
pub(crate) fn take_back<D: Directory + Clone>(log: &mut Log<D>) -> Result<Option<Fate>, StoreError> {
    let State::Fenced(doubtful) = log.state else { return Ok(None) };
    let taken = take(&log.directory, log.options)?;
    let left = std::mem::replace(log, taken);
    log.rebuilt += left.rebuilt;
    Ok(doubtful.map(|doubtful| {
        let fate = fate(log, doubtful);
        if fate == Fate::Void {
            // So that it does not count after all if a crash loses everything behind it.
            let _ = left.own.file.write(left.own.end, &[0; HEADER_BYTES]);
        }
        fate
    }))
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
