//! redb without a front: each apply is a transaction, and values are cut so that a piece and its
//! key fit a power of two of bytes, which is what redb gives them.

use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use kvfs_contract::{ScanBudget, gather, key_range};
use kvfs_host::{Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};
use redb::{
    Builder, CommitError, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction,
    ReadableDatabase, ReadableTable, SetDurabilityError, StorageError, Table, TableDefinition, TableError,
    TransactionError,
};

use super::ours::REDB_NAME;
use crate::Trial;
use crate::trial::{LIMITS, hold, io_error, lock};

/// Longest piece of a value. With its key and redb's header it fits 32 KiB.
const MAX_PIECE_BYTES: usize = 28_000;

/// As in `kvfs_host::RedbStore`.
const CACHE_BYTES: usize = 64 << 20;

/// Key to how many more pieces there are, one byte, and the first piece.
const HEADS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("heads");
/// Key and number, from 1 on, to a further piece.
const TAILS: TableDefinition<'static, (&'static [u8], u32), &'static [u8]> = TableDefinition::new("tails");

/// How redb is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Commits of an apply that is not durable stay in memory and in the system's cache.
    Cut,
    /// Each commit records what a repair after a kill needs.
    Quick,
    /// Other processes may read and write. redb then has durable commits only.
    Shared,
}

struct Direct {
    mode: Mode,
    /// `None` once closed.
    db: Mutex<Option<Database>>,
}

struct Reader(ReadOnlyDatabase);

pub(super) fn open(dir: &Path, mode: Mode) -> Result<Box<dyn Trial>, StoreError> {
    let db = builder(mode).create(dir.join(REDB_NAME)).map_err(database)?;
    // A table that is only read has to be there too.
    let transaction = begin(&db, mode, Durability::Durable)?;
    transaction.open_table(HEADS).map_err(table)?;
    transaction.open_table(TAILS).map_err(table)?;
    transaction.commit().map_err(commit)?;
    Ok(Box::new(Direct { mode, db: Mutex::new(Some(db)) }))
}

pub(super) fn open_reader(dir: &Path, mode: Mode) -> Result<Box<dyn SyncStore>, StoreError> {
    Ok(Box::new(Reader(builder(mode).open_read_only(dir.join(REDB_NAME)).map_err(database)?)))
}

fn builder(mode: Mode) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    if mode == Mode::Shared {
        builder.set_concurrency_mode(ConcurrencyMode::MultiWriter);
    }
    builder
}

fn begin(db: &Database, mode: Mode, level: Durability) -> Result<redb::WriteTransaction, StoreError> {
    let mut transaction = db.begin_write().map_err(begun)?;
    let durability = match level {
        Durability::Buffered if mode != Mode::Shared => redb::Durability::None,
        _ => redb::Durability::Immediate,
    };
    transaction.set_durability(durability).map_err(|error| match error {
        SetDurabilityError::PersistentSavepointModified => StoreError::Other(error.to_string()),
        other => StoreError::Other(other.to_string()),
    })?;
    transaction.set_quick_repair(mode != Mode::Cut);
    Ok(transaction)
}

/// Puts the pieces of a value together.
fn whole(
    key: &[u8],
    head: &[u8],
    tails: &impl ReadableTable<(&'static [u8], u32), &'static [u8]>,
) -> Result<Bytes, StoreError> {
    let Some((&more, first)) = head.split_first() else {
        return Err(StoreError::Corrupt("a value without the number of its pieces".into()));
    };
    if more == 0 {
        return Ok(Bytes::copy_from_slice(first));
    }
    let mut value = Vec::with_capacity(first.len() + usize::from(more) * MAX_PIECE_BYTES);
    value.extend_from_slice(first);
    for number in 1..=u32::from(more) {
        let piece = tails.get((key, number)).map_err(storage)?;
        let piece =
            piece.ok_or_else(|| StoreError::Corrupt(format!("piece {number} of a value is missing")))?;
        value.extend_from_slice(piece.value());
    }
    Ok(value.into())
}

fn get(transaction: &ReadTransaction, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
    LIMITS.check_get(keys)?;
    let heads = transaction.open_table(HEADS).map_err(table)?;
    let tails = transaction.open_table(TAILS).map_err(table)?;
    gather(keys, |key| match ReadableTable::get(&heads, key).map_err(storage)? {
        None => Ok(None),
        Some(head) => whole(key, head.value(), &tails).map(Some),
    })
}

fn scan(
    transaction: &ReadTransaction,
    start: &[u8],
    end: &[u8],
    mut budget: ScanBudget,
) -> Result<Vec<Entry>, StoreError> {
    let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
    let heads = transaction.open_table(HEADS).map_err(table)?;
    let tails = transaction.open_table(TAILS).map_err(table)?;
    let mut page = Vec::new();
    for entry in ReadableTable::range::<&[u8]>(&heads, range).map_err(storage)? {
        let (key, head) = entry.map_err(storage)?;
        let value = whole(key.value(), head.value(), &tails)?;
        if !budget.take(key.value().len() + value.len()) {
            break;
        }
        page.push(Entry { key: Bytes::copy_from_slice(key.value()), value });
    }
    Ok(page)
}

type Heads<'t> = Table<'t, &'static [u8], &'static [u8]>;
type Tails<'t> = Table<'t, (&'static [u8], u32), &'static [u8]>;

fn set(
    heads: &mut Heads<'_>,
    tails: &mut Tails<'_>,
    head: &mut Vec<u8>,
    mutation: &Mutation<'_>,
) -> Result<(), StoreError> {
    let key = mutation.key();
    let pieces_of = |old: Option<redb::AccessGuard<'_, &'static [u8]>>| {
        old.and_then(|old| old.value().first().copied()).map_or(0, u32::from)
    };
    let mut pieces = mutation.value().unwrap_or_default().chunks(MAX_PIECE_BYTES);
    let first = pieces.next().unwrap_or_default();
    let more = pieces.len() as u32;
    let before = if mutation.value().is_some() {
        head.clear();
        head.push(more as u8);
        head.extend_from_slice(first);
        pieces_of(heads.insert(key, head.as_slice()).map_err(storage)?)
    } else {
        pieces_of(heads.remove(key).map_err(storage)?)
    };
    for (number, piece) in (1..).zip(pieces) {
        tails.insert((key, number), piece).map_err(storage)?;
    }
    for number in more + 1..=before {
        tails.remove((key, number)).map_err(storage)?;
    }
    Ok(())
}

impl Direct {
    fn with<R>(&self, ask: impl FnOnce(&Database) -> Result<R, StoreError>) -> Result<R, StoreError> {
        ask(lock(&self.db).as_ref().ok_or_else(|| StoreError::Unavailable("the store is closed".into()))?)
    }
}

impl SyncStore for Direct {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.with(|db| get(&db.begin_read().map_err(begun)?, keys))
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        self.with(|db| scan(&db.begin_read().map_err(begun)?, start, end, ScanBudget::new(entries, bytes)))
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        self.with(|db| {
            let transaction = begin(db, self.mode, level)?;
            {
                let mut heads = transaction.open_table(HEADS).map_err(table)?;
                let mut tails = transaction.open_table(TAILS).map_err(table)?;
                hold(guards, |key| match heads.get(key).map_err(storage)? {
                    None => Ok(None),
                    Some(head) => whole(key, head.value(), &tails).map(Some),
                })?;
                let mut head = Vec::new();
                for mutation in mutations {
                    set(&mut heads, &mut tails, &mut head, mutation)?;
                }
            }
            transaction.commit().map_err(commit)
        })
    }
}

impl Trial for Direct {
    fn close(self: Box<Self>) -> Result<(), StoreError> {
        let Some(db) = lock(&self.db).take() else { return Ok(()) };
        begin(&db, self.mode, Durability::Durable)?.commit().map_err(commit)?;
        db.close().map_err(database)
    }

    fn check(&self) -> Option<Result<(), String>> {
        let mut db = lock(&self.db);
        Some(match db.as_mut()?.check_integrity() {
            Ok(true) => Ok(()),
            Ok(false) => Err("the check failed and repaired the file".into()),
            Err(error) => Err(error.to_string()),
        })
    }
}

impl SyncStore for Reader {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        get(&self.0.begin_read().map_err(begun)?, keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        scan(&self.0.begin_read().map_err(begun)?, start, end, ScanBudget::new(entries, bytes))
    }

    fn apply(&self, _: &[Guard<'_>], _: &[Mutation<'_>], _: Durability) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

fn storage(error: StorageError) -> StoreError {
    match error {
        StorageError::Corrupted(text) => StoreError::Corrupt(text),
        StorageError::Io(error) => io_error(&error),
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn begun(error: TransactionError) -> StoreError {
    match error {
        TransactionError::Storage(error) => storage(error),
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn table(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => storage(error),
        other => StoreError::Corrupt(other.to_string()),
    }
}

fn commit(error: CommitError) -> StoreError {
    match error {
        CommitError::Storage(error) => storage(error),
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn database(error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::Storage(error) => storage(error),
        other => StoreError::Unavailable(other.to_string()),
    }
}
