//! Checkpoints: write the recent changes of the index to a table, so that the next opening need not
//! read them in the segments. Here all at once, as at an opening and at an end.
//!
//! A checkpoint begins a segment, whose start lists the table. The table is not synced then: if a
//! crash loses some of it, the index is made of the segments alone.

use crate::chain::{Covered, replay};
use crate::directory::{Directory, File, IoKind};
use crate::index::Index;
use crate::lease::{Lease, remove};
use crate::log::{Log, Retired};
use crate::names::{Name, lease_name, table_name};
use crate::roll::{begin_with, claim, number_is_taken, switch};
use crate::table::{Built, Table, TableError, build};
use kvfs_contract::StoreError;
use std::sync::Arc;

/// A table is merged with newer ones unless it has so many times their entries.
const GROWTH: u64 = 4;

/// Most tables: a search for a key that no table has costs something in each.
const MAX_TABLES: usize = 8;

/// Makes a checkpoint. A table in the making is given up.
pub(crate) fn checkpoint<D: Directory>(log: &mut Log<D>) -> Result<(), StoreError> {
    give_up(log);
    let replaces = tables_to_merge(log);
    let lease = claim(log)?;
    let epoch = lease.epoch;
    let name = table_name(epoch);
    let created = match log.directory.create(&name) {
        Ok(file) => Ok(file),
        Err(error) if error.kind == IoKind::Exists => Err(number_is_taken(log, &name)),
        Err(error) => Err(error.at(&name)),
    };
    let table = match created.and_then(|file| write_table(log, file, epoch, replaces)) {
        Ok(table) => table,
        Err(error) => {
            let _ = remove(&log.directory, &table_name(epoch));
            let _ = remove(&log.directory, &lease_name(epoch));
            return Err(error);
        }
    };
    let covered = covered(log, epoch);
    publish(log, lease, table, replaces, covered)?;
    log.replay_bytes = 0;
    Ok(())
}

/// Returns what the tables cover with one of all changes before this epoch.
pub(crate) fn covered<D: Directory>(log: &Log<D>, before: u64) -> Covered {
    let older = log.older.iter().map(|older| older.epoch);
    let all = older.chain([log.own.lease.epoch]).filter(|epoch| *epoch < before);
    let all = all.filter(|epoch| !log.emptied.contains(epoch));
    Covered { before, segments: all.map(|epoch| (epoch, log.index.usage.of(epoch))).collect() }
}

/// Begins a segment, of this lease, that lists a table in the place of changes and of the newest tables.
pub(crate) fn publish<D: Directory>(
    log: &mut Log<D>,
    lease: Lease<D::File>,
    table: Table<D::File>,
    replaces: usize,
    covered: Covered,
) -> Result<(), StoreError> {
    let mut list = log.list(&[]);
    list.replay_from = covered.before;
    for listed in &mut list.segments {
        let used = covered.of(listed.epoch);
        (listed.live_bytes, listed.removal_bytes) = (used.live_bytes, used.removal_bytes);
    }
    list.tables = log.index.tables.iter().skip(replaces).map(|kept| kept.listed()).collect();
    list.tables.insert(0, listed(&table));
    let next = match begin_with(log, lease, &list, 0) {
        Ok(next) => next,
        Err(error) => {
            // Unless the start is there, which lists the table.
            if log.is_writable() {
                let _ = remove(&log.directory, &table_name(table.number()));
            }
            return Err(error);
        }
    };
    switch(log, next)?;
    log.covered = covered;
    for old in log.index.adopt(table, replaces) {
        let bytes = old.table.size_bytes();
        log.retired.push(Retired { name: Name::Table(old.table.number()), bytes });
    }
    Ok(())
}

/// Gives up the table in the making, if there is one. The changes for it are recent again.
pub(crate) fn give_up<D: Directory>(log: &mut Log<D>) {
    if let Some(making) = log.making.take() {
        discard(log, making.number);
    }
}

/// Makes the changes recent again that were set apart for a table, and removes it.
pub(crate) fn discard<D: Directory>(log: &mut Log<D>, number: u64) {
    log.index.unsettle();
    // Otherwise another opener removes what no list has, or it is unknown whether a list has it.
    if log.is_writable() {
        let _ = remove(&log.directory, &table_name(number));
    }
}

fn listed<F: File>(table: &Table<F>) -> crate::list::ListedTable {
    crate::list::ListedTable { epoch: table.number(), size_bytes: table.size_bytes(), hash: table.digest() }
}

/// Returns how many of the newest tables are merged with what is recent: sizes grow from table to
/// table, so each entry is merged a few times only.
pub(crate) fn tables_to_merge<D: Directory>(log: &Log<D>) -> usize {
    let mut entries = log.index.recent_changes() as u64;
    let mut merged = 0;
    for kept in &log.index.tables {
        let too_many = log.index.tables.len() - merged >= MAX_TABLES;
        if kept.table.entries() > entries.saturating_mul(GROWTH) && !too_many {
            break;
        }
        entries = entries.saturating_add(kept.table.entries());
        merged += 1;
    }
    merged
}

fn write_table<D: Directory>(
    log: &Log<D>,
    file: D::File,
    epoch: u64,
    replaces: usize,
) -> Result<Table<D::File>, StoreError> {
    let most = most_entries(log, replaces);
    let entries = log.index.newest(replaces)?;
    let built = build(&file, epoch, most, entries).map_err(|error| of_merge(log, epoch, error))?;
    open_built(log, file, epoch, built)
}

/// Returns how many entries a table of what is recent and of so many of the newest tables may have.
pub(crate) fn most_entries<D: Directory>(log: &Log<D>, replaces: usize) -> u64 {
    let merged = log.index.tables.iter().take(replaces).map(|kept| kept.table.entries());
    merged.fold(log.index.recent_changes() as u64, u64::saturating_add)
}

/// Opens a table that was written just now.
pub(crate) fn open_built<D: Directory>(
    log: &Log<D>,
    file: D::File,
    number: u64,
    built: Built,
) -> Result<Table<D::File>, StoreError> {
    let table = Table::open(file, number, &log.index.cache)?;
    if table.digest() == built.digest {
        Ok(table)
    } else {
        let name = table_name(number);
        Err(StoreError::Corrupt(format!("{name} changed just after it was written")))
    }
}

/// Notes that a table is damaged, unless it is the one in the making.
pub(crate) fn of_merge<D: Directory>(log: &Log<D>, epoch: u64, error: TableError) -> StoreError {
    match error {
        TableError::Damaged { number, .. } | TableError::Io { number, .. } if number == epoch => error.into(),
        _ => log.index.seen(error),
    }
}

/// Makes the index anew, of the segments alone, because a table is damaged.
///
/// # Cost
///
/// Reads the keys of all segments. They are in memory until the next checkpoint.
pub(crate) fn rebuild<D: Directory>(log: &mut Log<D>) -> Result<(), StoreError> {
    give_up(log);
    let mut index = Index::new(Arc::clone(&log.index.cache));
    let mut replay_bytes = 0;
    for older in &log.older {
        replay_bytes += replay(older.epoch, older.records(), older.accepted_bytes, &mut index)?;
    }
    let own = &log.own;
    if log.behind.is_none() {
        replay_bytes += replay(own.lease.epoch, own.records(), own.end, &mut index)?;
    }
    index.small = std::mem::take(&mut log.index.small);
    let damaged = std::mem::replace(&mut log.index, index);
    let retired = damaged
        .tables
        .iter()
        .map(|kept| Retired { name: Name::Table(kept.table.number()), bytes: kept.table.size_bytes() });
    log.unused.extend(retired);
    log.covered = Covered::default();
    log.replay_bytes = replay_bytes;
    log.rebuilt += 1;
    Ok(())
}
