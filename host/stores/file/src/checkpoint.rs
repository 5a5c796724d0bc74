//! Checkpoints: write the recent changes of the index to a table, so that the next opening need not
//! read them in the segments.
//!
//! A checkpoint begins a segment, whose start lists the table. The table is not synced then: if a
//! crash loses some of it, the index is made of the segments alone.

use crate::chain::{Covered, replay};
use crate::directory::{Directory, File, IoKind};
use crate::index::Index;
use crate::lease::remove;
use crate::list::List;
use crate::log::{Log, Retired};
use crate::names::{Name, lease_name, table_name};
use crate::roll::{begin_with, claim, number_is_taken, switch};
use crate::table::{Table, TableError, build};
use crate::usage::Used;
use kvfs_contract::StoreError;
use std::sync::Arc;

/// Most segments that the tables do not cover. Short-lived openers leave one each.
const MAX_RECENT_SEGMENTS: usize = 16;

/// A table is merged with newer ones unless it has so many times their entries.
const GROWTH: u64 = 4;

/// Most tables: a search for a key that no table has costs something in each.
const MAX_TABLES: usize = 8;

/// How much more there must be to replay before a checkpoint that failed is tried again; after each
/// further failure, twice as much.
const RETRY_BYTES: u64 = 1 << 20;
const MAX_RETRY_BYTES: u64 = 64 << 20;

/// Makes a checkpoint if an opening would take long without.
///
/// A failure leaves the store as it was, or takes its right to write; the next call says so.
pub(crate) fn if_due<D: Directory>(log: &mut Log<D>) {
    let changes = log.index.recent_changes();
    let recent = log.older.iter().rev().take_while(|older| older.epoch >= log.covered.before);
    let segments = recent.take(MAX_RECENT_SEGMENTS + 1).count();
    let due = changes >= log.options.max_recent_changes
        || log.replay_bytes >= log.options.max_replay_bytes
        || segments > MAX_RECENT_SEGMENTS && changes > 0;
    if !due || log.full_until_live_bytes.is_some() || log.replay_bytes < log.checkpoint_at_bytes {
        return;
    }
    match checkpoint(log) {
        Ok(()) => (log.checkpoint_at_bytes, log.checkpoint_retry_bytes) = (0, 0),
        Err(_) => {
            // A merge writes most of the tables anew, perhaps to find that the disk is full.
            let retry = log.checkpoint_retry_bytes.saturating_mul(2).clamp(RETRY_BYTES, MAX_RETRY_BYTES);
            log.checkpoint_retry_bytes = retry;
            log.checkpoint_at_bytes = log.replay_bytes.saturating_add(retry);
        }
    }
}

/// Makes a checkpoint.
pub(crate) fn checkpoint<D: Directory>(log: &mut Log<D>) -> Result<(), StoreError> {
    let replaces = tables_to_merge(log);
    let lease = claim(log)?;
    let epoch = lease.epoch;
    let give_up = |log: &Log<D>| {
        let _ = remove(&log.directory, &table_name(epoch));
    };
    let name = table_name(epoch);
    let created = match log.directory.create(&name) {
        Ok(file) => Ok(file),
        Err(error) if error.kind == IoKind::Exists => Err(number_is_taken(log, &name)),
        Err(error) => Err(error.at(&name)),
    };
    let table = match created.and_then(|file| write_table(log, file, epoch, replaces)) {
        Ok(table) => table,
        Err(error) => {
            give_up(log);
            let _ = remove(&log.directory, &lease_name(epoch));
            return Err(error);
        }
    };
    let mut list = log.list(&[]);
    list.replay_from = epoch;
    for listed in &mut list.segments {
        let used = log.index.usage.of(listed.epoch);
        (listed.live_bytes, listed.removal_bytes) = (used.live_bytes, used.removal_bytes);
    }
    list.tables = log.index.tables.iter().skip(replaces).map(|kept| kept.listed()).collect();
    list.tables.insert(0, listed(&table));
    let next = match begin_with(log, lease, &list, 0) {
        Ok(next) => next,
        Err(error) => {
            // Unless the start is there, which lists the table.
            if log.is_writable() {
                give_up(log);
            }
            return Err(error);
        }
    };
    switch(log, next)?;
    log.covered = covered_by(&list);
    log.replay_bytes = 0;
    for old in log.index.adopt(table, replaces) {
        let bytes = old.table.size_bytes();
        log.retired.push(Retired { name: Name::Table(old.table.number()), bytes });
    }
    Ok(())
}

fn listed<F: File>(table: &Table<F>) -> crate::list::ListedTable {
    crate::list::ListedTable { epoch: table.number(), size_bytes: table.size_bytes(), hash: table.digest() }
}

fn covered_by(list: &List) -> Covered {
    let used = |live_bytes, removal_bytes| Used { live_bytes, removal_bytes };
    let segments = list.segments.iter().map(|it| (it.epoch, used(it.live_bytes, it.removal_bytes)));
    Covered { before: list.replay_from, segments: segments.collect() }
}

/// Returns how many of the newest tables are merged with what is recent: sizes grow from table to
/// table, so each entry is merged a few times only.
fn tables_to_merge<D: Directory>(log: &Log<D>) -> usize {
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
    let merged = log.index.tables.iter().take(replaces).map(|kept| kept.table.entries());
    let most = merged.fold(log.index.recent_changes() as u64, u64::saturating_add);
    let entries = log.index.newest(replaces)?;
    let built = build(&file, epoch, most, entries).map_err(|error| of_merge(log, epoch, error))?;
    let table = Table::open(file, epoch, &log.index.cache)?;
    if table.digest() == built.digest {
        Ok(table)
    } else {
        let name = table_name(epoch);
        Err(StoreError::Corrupt(format!("{name} changed just after it was written")))
    }
}

/// Notes that a table is damaged, unless it is the one in the making.
fn of_merge<D: Directory>(log: &Log<D>, epoch: u64, error: TableError) -> StoreError {
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
