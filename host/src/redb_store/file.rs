//! The redb file: opened without ever damaging anything else, and written in whole transactions.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::Arc;

use kvfs_gathered::Changes;
use redb::{
    Builder, CommitError, Database, DatabaseError, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase,
    StorageError, TableDefinition, TableError, TableHandle, TransactionError,
};

use super::gate::Gate;
use super::quiet::{NO_SENSE, quietly};
use super::shadow::Shadow;

use crate::marked::{Beside, MARK_KEY};
use crate::{Mutation, OpenError};

/// Memory for redb's cache. The file system above has caches of its own.
const CACHE_BYTES: usize = 64 << 20;

/// The first bytes of a redb file.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// The table's name carries the version of the format, so a later format is known by its name.
const TABLE_PREFIX: &str = "kvfs-";
pub(super) const TABLE_NAME: &str = "kvfs-1";
const FORMAT: u32 = 1;
const TABLE: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new(TABLE_NAME);

pub(super) type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A database that is open for reading only.
pub(super) enum AnyDatabase {
    /// Closed in order.
    AsIs(#[allow(dead_code, reason = "held for its lock")] ReadOnlyDatabase),
    /// Not closed in order, and recovered in memory.
    Recovered(#[allow(dead_code, reason = "held for its lock")] Database),
}

/// A file open for reading only, and a snapshot of its table.
pub(super) struct Reading {
    pub(super) database: AnyDatabase,
    pub(super) table: Table,
}

/// An open file and a snapshot of its table.
pub(super) struct OpenFile {
    pub(super) db: Database,
    pub(super) table: Table,
}

/// Opens the file for redb, and checks it against its mark, if it has one.
#[derive(Clone)]
pub(super) struct Opener {
    #[cfg(test)]
    other: Option<Arc<OpenDatabase>>,
    beside: Option<Beside>,
}

#[cfg(test)]
type OpenDatabase = dyn Fn(&Builder, &Path) -> Result<Database, DatabaseError> + Send + Sync;

impl Opener {
    /// With a mark beside it, a file that has lost what it says is not opened and not changed.
    pub(super) fn file(beside: Option<Beside>) -> Self {
        Self {
            #[cfg(test)]
            other: None,
            beside,
        }
    }

    /// Opens the file through something that fails.
    #[cfg(test)]
    pub(super) fn new(
        open: impl Fn(&Builder, &Path) -> Result<Database, DatabaseError> + Send + Sync + 'static,
    ) -> Self {
        Self { other: Some(Arc::new(open)), beside: None }
    }

    /// Opens a database, which writes nothing before the gate is released.
    fn open(&self, path: &Path) -> Result<(Database, Option<Gate>), DatabaseError> {
        #[cfg(test)]
        if let Some(open) = &self.other {
            return Ok((open(&builder(), path)?, None));
        }
        let gate = Gate::open(path)?;
        Ok((builder().create_with_backend(gate.clone())?, Some(gate)))
    }

    /// Checks the table against the mark beside it.
    fn check(&self, path: &Path, table: &Table) -> Result<(), OpenError> {
        let Some(beside) = &self.beside else { return Ok(()) };
        let found = redb::ReadableTable::get(table, MARK_KEY)
            .map_err(|error| OpenError::of_redb(path, error.into()))?;
        beside.check(beside.own(found.as_ref().map(|found| found.value()))?).map(drop)
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

/// Opens the store at `path`, or makes one where there is none.
pub(super) fn open(path: &Path, opener: &Opener) -> Result<OpenFile, OpenError> {
    match look_at(path)? {
        Some(metadata) if metadata.permissions().readonly() => {
            return Err(OpenError::ReadOnly { path: path.into() });
        }
        Some(_) => {}
        None => {
            if let Some(beside) = &opener.beside {
                beside.check_missing()?;
            }
            create(path, opener)?;
        }
    }
    trusted(path, || open_database(path, opener))
}

/// Opens the store at `path` again. Never makes one: the buffered changes belong to the store that
/// was there.
pub(super) fn reopen(path: &Path, opener: &Opener) -> Result<OpenFile, OpenError> {
    look_at(path)?.ok_or_else(|| OpenError::NoStore { path: path.into() })?;
    trusted(path, || open_database(path, opener))
}

/// Opens the store at `path` for reading only: not a byte of it changes.
pub(super) fn open_reading(path: &Path) -> Result<Reading, OpenError> {
    look_at(path)?.ok_or_else(|| OpenError::NoStore { path: path.into() })?;
    let opened = trusted(path, || {
        let fail = |error: DatabaseError| OpenError::of_redb(path, error);
        match builder().open_read_only(path) {
            Ok(db) => reading(path, &db).map(|table| Reading { database: AnyDatabase::AsIs(db), table }),
            // The file was not closed in order, and redb would have to write to it first.
            Err(DatabaseError::RepairAborted) => {
                let file = File::open(path).map_err(|error| OpenError::io(path, error))?;
                let shadow = Shadow::new(file).map_err(fail)?;
                let shadow = shadow.ok_or_else(|| OpenError::Busy { path: path.into() })?;
                let db = builder().create_with_backend(shadow).map_err(fail)?;
                reading(path, &db).map(|table| Reading { database: AnyDatabase::Recovered(db), table })
            }
            Err(error) => Err(fail(error)),
        }
    });
    opened.map_err(|error| match error {
        // Nothing was to be written.
        OpenError::ReadOnly { path } => OpenError::Io { path, source: ErrorKind::PermissionDenied.into() },
        other => other,
    })
}

pub(super) fn reading(path: &Path, db: &impl ReadableDatabase) -> Result<Table, OpenError> {
    if !check_tables(path, db)? {
        let found = "a redb database without tables".into();
        return Err(OpenError::NotAStore { path: path.into(), found });
    }
    snapshot(db).map_err(|error| OpenError::of_redb(path, error.into()))
}

/// Calls `open` and catches its panics: redb trusts a file that was closed in order, and may panic
/// at one that was damaged since.
pub(super) fn trusted<T>(path: &Path, open: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    quietly(open).unwrap_or_else(|| Err(OpenError::Damaged { path: path.into(), detail: NO_SENSE.into() }))
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Returns what is known of a file that may be a store; `None` if there is no file. Fails if
/// something else is there.
fn look_at(path: &Path) -> Result<Option<fs::Metadata>, OpenError> {
    let io = |source| OpenError::io(path, source);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(OpenError::NotAStore { path: path.into(), found: what.into() });
    }
    if metadata.len() == 0 {
        // It may stand for a store that was lost, and whoever wants a new one can say so.
        let found = "an empty file (remove it to have a new store made)";
        return Err(OpenError::NotAStore { path: path.into(), found: found.into() });
    }
    let mut magic = [0; MAGIC.len()];
    let mut file = File::open(path).map_err(io)?;
    match file.read_exact(&mut magic) {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(io(error)),
        _ if magic != MAGIC => {
            Err(OpenError::NotAStore { path: path.into(), found: "a file of another kind".into() })
        }
        _ => Ok(Some(metadata)),
    }
}

/// Makes a new store under a temporary name and then gives it the right name, which fails if a file
/// has that name by now. So a crash, a full disk or a second process never leaves half a store at
/// `path`.
fn create(path: &Path, opener: &Opener) -> Result<(), OpenError> {
    let io = |source| OpenError::io(path, source);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(OpenError::MissingDirectory { path: path.into(), directory: directory.into() });
    }
    let Some(name) = path.file_name() else {
        return Err(OpenError::NotAStore { path: path.into(), found: "not a file name".into() });
    };
    let mut new_name = std::ffi::OsString::from(".");
    new_name.push(name);
    new_name.push(format!(".new-{}", std::process::id()));
    let unfinished = Unfinished(directory.join(new_name));
    drop(open_database(&unfinished.0, opener).map_err(|error| error.with_path(path))?);
    match fs::hard_link(&unfinished.0, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no hard links. Renaming is the next best.
        Err(_) => fs::rename(&unfinished.0, path).map_err(io),
        Ok(()) => Ok(()),
    }
}

/// A file that is removed when its maker is done with it, however that ends.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn open_database(path: &Path, opener: &Opener) -> Result<OpenFile, OpenError> {
    let fail = |error: DatabaseError| OpenError::of_redb(path, error);
    let storage = |error: StorageError| fail(error.into());
    let (db, gate) = opener.open(path).map_err(fail)?;
    if !check_tables(path, &db)? {
        let transaction = db.begin_write().map_err(|error| storage(of_transaction(error)))?;
        transaction.open_table(TABLE).map_err(|error| storage(of_table(error)))?;
        transaction.commit().map_err(|error| storage(of_commit(error)))?;
    }
    let table = snapshot(&db).map_err(storage)?;
    opener.check(path, &table)?;
    if let Some(gate) = gate {
        gate.release().map_err(|error| OpenError::io(path, error))?;
    }
    Ok(OpenFile { db, table })
}

/// Returns whether our table is there. Fails if the database is somebody else's, or of a later
/// format.
fn check_tables(path: &Path, db: &impl ReadableDatabase) -> Result<bool, OpenError> {
    let storage = |error: StorageError| OpenError::of_redb(path, error.into());
    let transaction = db.begin_read().map_err(|error| storage(of_transaction(error)))?;
    let mut others: Vec<String> = Vec::new();
    for table in transaction.list_tables().map_err(storage)? {
        if table.name() == TABLE_NAME {
            return Ok(true);
        }
        others.push(table.name().into());
    }
    for table in transaction.list_multimap_tables().map_err(storage)? {
        others.push(redb::MultimapTableHandle::name(&table).into());
    }
    if others.is_empty() {
        return Ok(false);
    }
    let format = |name: &String| name.strip_prefix(TABLE_PREFIX)?.parse::<u32>().ok();
    match others.iter().find_map(format) {
        Some(found) => Err(OpenError::NewerFormat { path: path.into(), found, known: FORMAT }),
        None => Err(OpenError::NotAStore {
            path: path.into(),
            found: format!("a redb database of another program (tables: {})", others.join(", ")),
        }),
    }
}

/// Writes the buffered changes and then `mutations` in one durable transaction. Returns a snapshot
/// of the table after it.
pub(super) fn commit(
    db: &Database,
    overlay: &Changes,
    mutations: &[Mutation<'_>],
) -> Result<Table, StorageError> {
    let transaction = db.begin_write().map_err(of_transaction)?;
    {
        let mut table = transaction.open_table(TABLE).map_err(of_table)?;
        for (key, value) in overlay.iter() {
            match value {
                Some(value) => drop(table.insert(key.as_ref(), value.as_ref())?),
                None => drop(table.remove(key.as_ref())?),
            }
        }
        for mutation in mutations {
            match mutation.value() {
                Some(value) => drop(table.insert(mutation.key(), value)?),
                None => drop(table.remove(mutation.key())?),
            }
        }
    }
    transaction.commit().map_err(of_commit)?;
    snapshot(db)
}

/// Returns whether the table is as the buffered changes and then `mutations` leave it. A
/// transaction is atomic, so this tells whether a failed commit took place.
pub(super) fn holds_all(
    table: &Table,
    overlay: &Changes,
    mutations: &[Mutation<'_>],
) -> Result<bool, StorageError> {
    let mut wanted = Changes::default();
    wanted.extend(mutations);
    let older = overlay.iter().filter(|(key, _)| wanted.get(key).is_none());
    for (key, value) in wanted.iter().chain(older) {
        let found = redb::ReadableTable::get(table, key.as_ref())?;
        if found.as_ref().map(|found| found.value()) != value.as_deref() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn snapshot(db: &impl ReadableDatabase) -> Result<Table, StorageError> {
    let transaction = db.begin_read().map_err(of_transaction)?;
    transaction.open_table(TABLE).map_err(of_table)
}

pub(super) fn of_transaction(error: TransactionError) -> StorageError {
    match error {
        TransactionError::Storage(error) => error,
        other => StorageError::Corrupted(other.to_string()),
    }
}

fn of_commit(error: CommitError) -> StorageError {
    match error {
        CommitError::Storage(error) => error,
        other => StorageError::Corrupted(other.to_string()),
    }
}

fn of_table(error: TableError) -> StorageError {
    match error {
        TableError::Storage(error) => error,
        other => StorageError::Corrupted(format!("table {TABLE_NAME}: {other}")),
    }
}
