//! SQLite with a write-ahead log: one table, its keys in an index of their own.
//!
//! A table `WITHOUT ROWID` keeps values in the inner pages of its tree too, and large values leave
//! them a fan-out of four.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use kvfs_contract::{ScanBudget, gather};
use kvfs_host::{Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::Trial;
use crate::trial::{LIMITS, hold, lock};

const NAME: &str = "store.sqlite";

/// As long as a durable apply of another process may take.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Memory for pages, as redb has here, in KiB.
const CACHE_KIB: i32 = 64 << 10;

struct Sqlite(Mutex<State>);

struct State {
    connection: Connection,
    /// The level that the connection is set to.
    level: Durability,
}

struct Reader(Mutex<Connection>);

pub(super) fn open(dir: &Path, page_kib: u32) -> Result<Box<dyn Trial>, StoreError> {
    let connection = Connection::open(dir.join(NAME)).map_err(error)?;
    connection.busy_timeout(MAX_WAIT).map_err(error)?;
    let set =
        |name: &str, value: &dyn rusqlite::ToSql| connection.pragma_update(None, name, value).map_err(error);
    set("page_size", &(page_kib << 10))?;
    let journal: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(error)?;
    if journal != "wal" {
        return Err(StoreError::Other(format!("SQLite keeps the journal mode {journal}")));
    }
    set("cache_size", &-CACHE_KIB)?;
    set("cell_size_check", &true)?;
    set("synchronous", &"NORMAL")?;
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS barrier (id INTEGER PRIMARY KEY, number INTEGER NOT NULL);
             INSERT INTO barrier VALUES (1, 0) ON CONFLICT DO NOTHING;",
        )
        .map_err(error)?;
    Ok(Box::new(Sqlite(Mutex::new(State { connection, level: Durability::Buffered }))))
}

pub(super) fn open_reader(dir: &Path) -> Result<Box<dyn SyncStore>, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.join(NAME), flags).map_err(error)?;
    connection.busy_timeout(MAX_WAIT).map_err(error)?;
    Ok(Box::new(Reader(Mutex::new(connection))))
}

fn value(connection: &Connection, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM entries WHERE key = ?1").map_err(error)?;
    let found = statement.query_row([key], |row| Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?)));
    found.optional().map_err(error)
}

fn get(connection: &mut Connection, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
    LIMITS.check_get(keys)?;
    if let [key] = keys {
        return gather(&[key], |key| value(connection, key));
    }
    let transaction = connection.transaction().map_err(error)?;
    gather(keys, |key| value(&transaction, key))
}

fn scan(
    connection: &Connection,
    start: &[u8],
    end: &[u8],
    mut budget: ScanBudget,
) -> Result<Vec<Entry>, StoreError> {
    let sql = if end.is_empty() {
        "SELECT key, value FROM entries WHERE key >= ?1 AND ?2 = x'' ORDER BY key"
    } else {
        "SELECT key, value FROM entries WHERE key >= ?1 AND key < ?2 ORDER BY key"
    };
    let mut statement = connection.prepare_cached(sql).map_err(error)?;
    let mut rows = statement.query([start, end]).map_err(error)?;
    let mut page = Vec::new();
    while let Some(row) = rows.next().map_err(error)? {
        let blob = |column| {
            let found = row.get_ref(column).map_err(error)?;
            found.as_blob().map_err(|wrong| StoreError::Corrupt(wrong.to_string()))
        };
        let (key, value) = (blob(0)?, blob(1)?);
        if !budget.take(key.len() + value.len()) {
            break;
        }
        page.push(Entry { key: Bytes::copy_from_slice(key), value: Bytes::copy_from_slice(value) });
    }
    Ok(page)
}

impl SyncStore for Sqlite {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        get(&mut lock(&self.0).connection, keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        scan(&lock(&self.0).connection, start, end, ScanBudget::new(entries, bytes))
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        let mut state = lock(&self.0);
        if state.level != level {
            let name = if level == Durability::Durable { "FULL" } else { "NORMAL" };
            state.connection.pragma_update(None, "synchronous", name).map_err(error)?;
            state.level = level;
        }
        let transaction =
            state.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
        hold(guards, |key| value(&transaction, key))?;
        {
            let mut put = transaction
                .prepare_cached(
                    "INSERT INTO entries (key, value) VALUES (?1, ?2)
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                )
                .map_err(error)?;
            let mut delete =
                transaction.prepare_cached("DELETE FROM entries WHERE key = ?1").map_err(error)?;
            for mutation in mutations {
                match mutation {
                    Mutation::Put { key, value } => put.execute([key, value]).map_err(error)?,
                    Mutation::Delete { key } => delete.execute([key]).map_err(error)?,
                };
            }
        }
        if mutations.is_empty() && level == Durability::Durable {
            // A transaction that changes nothing syncs nothing.
            let barrier = "UPDATE barrier SET number = number + 1";
            transaction.execute(barrier, []).map_err(error)?;
        }
        transaction.commit().map_err(error)
    }
}

impl Trial for Sqlite {
    fn close(self: Box<Self>) -> Result<(), StoreError> {
        self.apply(&[], &[], Durability::Durable)?;
        let state = self.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.connection.close().map_err(|(_, failed)| error(failed))
    }

    fn check(&self) -> Option<Result<(), String>> {
        let state = lock(&self.0);
        let found: Result<String, _> =
            state.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
        Some(match found {
            Ok(found) if found == "ok" => Ok(()),
            Ok(found) => Err(found),
            Err(error) => Err(error.to_string()),
        })
    }
}

impl SyncStore for Reader {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        get(&mut lock(&self.0), keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        scan(&lock(&self.0), start, end, ScanBudget::new(entries, bytes))
    }

    fn apply(&self, _: &[Guard<'_>], _: &[Mutation<'_>], _: Durability) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

fn error(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
        Some(ErrorCode::DiskFull) => StoreError::QuotaExceeded,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly,
        Some(ErrorCode::TooBig) => StoreError::TooLarge,
        None => StoreError::Corrupt(error.to_string()),
        Some(_) => StoreError::Unavailable(error.to_string()),
    }
}
