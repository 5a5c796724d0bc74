//! A store on disk opened for reading only: for checks, and for files that may not be written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kvfs_contract::{ScanBudget, key_range};
use kvfs_gathered::Changes;
use redb::StorageError;

use super::file::{self, AnyDatabase, Reading};
use super::quiet::calling;
use super::state::{LIMITS, State, store_error};

use crate::marked::{Beside, Marked};
use crate::{Durability, Entry, Guard, Limits, Mutation, OpenError, StoreError, SyncStore};

/// The file of a [`RedbStore`](crate::RedbStore), opened for reading only. A clone is another
/// handle.
///
/// Not a byte of the file changes, and nothing is made beside it, so neither file nor directory
/// need be writable. While it is open, others may read the file, but not write it. Every `apply` is
/// [`StoreError::ReadOnly`], unless a guard fails it first.
///
/// A file whose program was killed is as its last commit left it, but redb has to recover its own
/// bookkeeping before it reads. The reader recovers in memory ([`RedbReader::recovered`]); the next
/// writer recovers on disk. Recovery takes time in proportion to the file's size.
#[derive(Clone)]
pub struct RedbReader {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    state: State,
    recovered: bool,
    /// Keeps the file open and locked.
    _database: AnyDatabase,
}

impl RedbReader {
    /// Opens a store for reading.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::NoStore`] where there is no file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let Reading { database, table } = file::open_reading(path)?;
        let recovered = matches!(database, AnyDatabase::Recovered(_));
        let state = State { overlay: Changes::default(), table: Some(table) };
        let shared = Shared { path: path.to_path_buf(), state, recovered, _database: database };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens a store for reading, and checks it against its mark.
    pub(crate) fn open_marked(beside: Beside) -> Result<Marked<Self>, OpenError> {
        match Self::open(&beside.store) {
            Ok(reader) => Marked::with(reader, beside, false),
            Err(error @ OpenError::NoStore { .. }) => beside.check_missing().and(Err(error)),
            Err(error) => Err(error),
        }
    }

    /// Returns the path the store was opened with.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Returns whether the file was not closed in order, and was recovered in memory.
    pub fn recovered(&self) -> bool {
        self.shared.recovered
    }

    fn read<R>(&self, ask: impl FnOnce(&State) -> Result<R, StorageError>) -> Result<R, StoreError> {
        calling(|| ask(&self.shared.state)).map_err(store_error)
    }
}

impl std::fmt::Debug for RedbReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbReader").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl SyncStore for RedbReader {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        LIMITS.check_get(keys)?;
        self.read(|state| state.get_all(keys))
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        self.read(|state| state.page(range, ScanBudget::new(max_entries, max_bytes)))
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        let holds = self.read(|state| state.holds_all(guards))?;
        Err(if holds { StoreError::ReadOnly } else { StoreError::Conflict })
    }
}
