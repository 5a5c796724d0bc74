//! Salvage: takes what can be read of a damaged store into a new one.

mod scan;

mod plan;

use crate::directory::{Directory, File};
use crate::lease::{Lease, names, next_epoch};
use crate::mark::read_marks;
use crate::names::{Name, segment_name};
use crate::record::changes;
use crate::records::Record;
use crate::store::FileStore;
use kvfs_contract::{Durability, Mutation, StoreError};
use plan::{Counted, plan};
use scan::{Piece, Scan};
use std::collections::BTreeSet;

/// Most entries of each list of a [`Salvaged`]. Its counts have no bound.
pub const MAX_REPORTED: usize = 1000;

/// What a salvage took and what it did not find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// Records that were taken; each is one apply.
    pub records: u64,
    /// Bytes of the values in them.
    pub value_bytes: u64,
    /// The first parts of the files that are lost, in the order of the store's history.
    pub lost: Vec<Lost>,
    /// How many parts are lost.
    pub lost_parts: u64,
    /// The bytes of all of them.
    pub lost_bytes: u64,
    /// The first keys whose values were taken from records with a damaged value; which of them it
    /// is, only the checksums of whoever wrote the values tell.
    pub doubtful: Vec<Vec<u8>>,
    /// How many such keys there are.
    pub doubtful_keys: u64,
}

impl Salvaged {
    /// Returns whether everything was there. If not, keys may have older values than they had, may
    /// be missing, or may be there though they were removed.
    pub fn is_whole(&self) -> bool {
        self.lost_parts == 0 && self.doubtful_keys == 0
    }

    fn lose(&mut self, lost: Lost) {
        self.lost_parts += 1;
        self.lost_bytes += lost.to.saturating_sub(lost.from);
        if self.lost.len() < MAX_REPORTED {
            self.lost.push(lost);
        }
    }
}

/// A part of a file that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// The name of the file.
    pub file: String,
    /// The offset of its first byte.
    pub from: u64,
    /// The offset behind its last byte.
    pub to: u64,
    /// How many records it had, each of one apply, if that is known.
    pub records: Option<u64>,
}

/// Copies what can be read of a damaged store into another one, in the order in which it was
/// written, and makes it durable there.
///
/// Nothing in `from` changes, but its leases: programs that have the store open lose it. Records
/// that are damaged are left out, and everything behind them is taken, so `to` may have states of
/// keys next to each other that were never there at once: the file system above must be repaired
/// next. Without any damage `to` gets exactly what `from` has.
///
/// `to` should be empty; it keeps what it has where `from` has nothing.
///
/// # Errors
///
/// Those of the directories and of `to`. What is damaged is none.
///
/// # Cost
///
/// Reads every file twice, writes what was ever put and not collected.
pub fn salvage<D: Directory, T: Directory + Clone>(
    from: &D,
    to: &mut FileStore<T>,
) -> Result<Salvaged, StoreError> {
    let epoch = next_epoch(from)?;
    let lease = Lease::claim(from, epoch)?
        .ok_or_else(|| StoreError::Unavailable("another program opens the store; end it first".into()))?;
    lease.revoke_older(from)?;
    let names = names(from)?;
    let mut epochs: Vec<u64> = names.iter().copied().filter_map(Name::segment).collect();
    epochs.sort_unstable();
    let marks = read_marks(from, &names)?;
    let mut taken = Taken { to, report: Salvaged::default(), doubtful: BTreeSet::new() };
    for segment in plan(from, &epochs, &marks)? {
        taken.take(&segment)?;
    }
    let mut report = taken.report;
    report.doubtful_keys = taken.doubtful.len() as u64;
    report.doubtful = taken.doubtful.into_iter().take(MAX_REPORTED).collect();
    to.change(&[], &[], Durability::Durable)?;
    if !lease.is_held()? {
        return Err(StoreError::Unavailable(
            "another program opened the store meanwhile; end it first".into(),
        ));
    }
    Ok(report)
}

/// What was taken so far.
struct Taken<'a, T: Directory + Clone> {
    to: &'a mut FileStore<T>,
    report: Salvaged,
    /// Keys whose last value may be damaged.
    doubtful: BTreeSet<Vec<u8>>,
}

impl<T: Directory + Clone> Taken<'_, T> {
    fn take<F: File>(&mut self, segment: &Counted<F>) -> Result<(), StoreError> {
        let &Counted { epoch, ref file, limit, known_to, salt } = segment;
        let name = segment_name(epoch);
        let lost = |from, to, records| Lost { file: name.clone(), from, to, records };
        let Some(file) = file else {
            self.report.lose(lost(0, known_to, None));
            return Ok(());
        };
        let size_bytes = file.status().map_err(|error| error.at(&name))?.size_bytes;
        let end = limit.min(size_bytes);
        let mut scan = Scan::new(file, epoch, end, salt);
        while let Some(piece) = scan.next()? {
            match piece {
                Piece::Record(record) if record.has_changes() => self.take_record(&record, file)?,
                Piece::Record(_) => {}
                Piece::Lost { from, .. } if from >= known_to => return Ok(()),
                Piece::Lost { from, to, records } => self.report.lose(lost(from, to, records)),
            }
        }
        if scan.offset() < known_to {
            self.report.lose(lost(scan.offset(), known_to, None));
        }
        Ok(())
    }

    fn take_record<F: File>(&mut self, record: &Record, file: &F) -> Result<(), StoreError> {
        let name = segment_name(record.header.epoch);
        let length = record.header.values_bytes as usize;
        let values = file.read(record.values_at(), length).map_err(|error| error.at(&name))?;
        let whole = record.header.values_are_whole(&values);
        let read = || {
            let mut rest = &values[..];
            let mutation = |(key, length): (_, Option<u32>)| {
                let Some(length) = length else { return Some(Mutation::Delete { key }) };
                let (value, behind) = rest.split_at_checked(length as usize)?;
                rest = behind;
                Some(Mutation::Put { key, value })
            };
            let changes = changes(&record.index, record.header.values_bytes)?;
            changes.into_iter().map(mutation).collect::<Option<Vec<_>>>()
        };
        let Some(mutations) = read() else {
            let (from, to) = (record.offset, record.end());
            self.report.lose(Lost { file: name, from, to, records: Some(1) });
            return Ok(());
        };
        self.to.change(&[], &mutations, Durability::Buffered)?;
        self.report.records += 1;
        self.report.value_bytes += length as u64;
        for mutation in mutations {
            if mutation.value().is_some() && !whole {
                self.doubtful.insert(mutation.key().to_vec());
            } else {
                self.doubtful.remove(mutation.key());
            }
        }
        Ok(())
    }
}
