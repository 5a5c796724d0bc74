//! The open file and its calls.
//!
//! There are two locks. `writer` orders the applies and is held while the disk works. `state` has
//! what readers need: the buffered changes, and a snapshot of the file from before them. It is only
//! held for moments, so reading goes on while a durable apply waits for the disk. Both halves
//! change together, so a reader never sees half of an apply.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Instant;

use bytes::Bytes;
use kvfs_contract::{ScanBudget, key_range};
use kvfs_gathered::Changes;
use redb::{Database, DatabaseError, StorageError};

use super::file::{self, OpenFile, Opener};
use super::quiet::{calling, quietly};
use super::room::Room;
use super::state::{LIMITS, State, given_up, poisoned, store_error};

use crate::ends::{self, Ends};
use crate::gate::Gate;
use crate::marked::{Beside, Marked};
use crate::room::grows;
use crate::{Durability, Entry, Guard, Limits, Mutation, OpenError, StoreError, SyncStore};

/// A store in one [redb](https://docs.rs/redb) file. A clone is another handle on the same store.
///
/// The file holds one table, [`RedbStore::TABLE`], of keys and values as they are. It is locked
/// while it is open, so one process has it at a time.
///
/// # Durability
///
/// - [`Durability::Durable`]: one redb transaction with every buffered apply before it, on disk
///   (`fsync`) when the call returns. So a crash loses a suffix, and each apply, within one
///   transaction, is there whole or not at all.
/// - [`Durability::Buffered`]: in this process's memory, visible to every handle and safe from
///   whatever becomes of the guest. If the *process* is killed or the machine stops, everything
///   buffered after the last commit is lost. Commits happen at a durable apply, at
///   [`RedbStore::flush`], when [`MAX_BUFFERED_BYTES`](crate::MAX_BUFFERED_BYTES) are waiting or the oldest change has waited
///   for [`MAX_BUFFERED_AGE`](crate::MAX_BUFFERED_AGE) (checked at each apply), and when the last handle is dropped.
///
/// No more changes wait than the disk has room for, and the last half MiB is for removals. So an
/// apply that grows the store beyond that is refused at once, not when it is to become durable.
/// When a write fails all the same, nothing buffered is lost: it stays in memory and visible, and
/// the next commit tries again.
///
/// # Closing
///
/// A file that was closed in order opens at once the next time, and redb notices damage to it. Any
/// other file is checked whole, and a page damaged meanwhile can take every change since an older
/// commit with it. The file is closed in order by [`RedbStore::close`], which reports whether that
/// went well; when the last handle is dropped; and, wherever handles are left, when the process
/// ends by returning from `main` or by [`std::process::exit`]. A signal that ends the process
/// closes nothing: catch `SIGINT` and `SIGTERM`, and exit.
///
/// If the last buffered changes cannot be stored when a file closes without [`RedbStore::close`],
/// one line on standard error says so.
///
/// # Cost
///
/// A buffered apply touches memory only, and changes of one key replace each other there, so the
/// file does not grow with them. A durable one costs an `fsync`. A read that the buffered changes
/// do not answer walks redb's tree, whose pages are cached (64 MiB).
#[derive(Clone, Debug)]
pub struct RedbStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    opener: Opener,
    writer: Mutex<Writer>,
    gate: Gate,
    state: RwLock<State>,
    _registered: ends::Registered,
}

#[derive(Debug)]
struct Writer {
    /// `None` after a failed write, until the file is opened again: redb refuses everything after
    /// an I/O error.
    db: Option<Database>,
    /// The mutations of the failed write, beside the buffered changes, until it is known whether
    /// they are in the file.
    doubt: Option<Changes>,
    /// The last commit failed, and its caller was told.
    failing: bool,
    /// The store is closed, and nothing opens the file again.
    closed: bool,
    room: Room,
}

impl RedbStore {
    /// The name of the table of entries. Keys and values are byte strings (`&[u8]`).
    pub const TABLE: &str = file::TABLE_NAME;

    /// Opens a store, or makes one where there is no file.
    ///
    /// After a crash redb verifies the file first, which takes time in proportion to its size.
    ///
    /// # Errors
    /// See [`OpenError`]. A file that is no store, even an empty one, is never written to.
    ///
    /// # No mark
    /// This opens the newest state that redb finds sound, even one from before applies that were
    /// acknowledged as durable: it checks no mark and writes none. [`open_store`](crate::open_store)
    /// and [`OpenOptions`](crate::OpenOptions) do, with the mark in `PATH.mark`, and refuse a file that
    /// has lost durable applies. For a mark at another path: [`Marked`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path.as_ref(), Opener::file(None))
    }

    /// Opens a store with its mark, or makes one where there is no file. A store that is less than
    /// its mark says is not opened, and not a byte of it changes.
    pub(crate) fn open_marked(beside: Beside) -> Result<Marked<Self>, OpenError> {
        let store = Self::open_with(&beside.store, Opener::file(Some(beside.clone())))?;
        Marked::with(store, beside, true)
    }

    fn open_with(path: &Path, opener: Opener) -> Result<Self, OpenError> {
        let OpenFile { db, table } = file::open(path, &opener)?;
        let writer =
            Writer { db: Some(db), doubt: None, failing: false, closed: false, room: Room::default() };
        let shared = Arc::new_cyclic(|shared| Shared {
            path: path.to_path_buf(),
            opener,
            writer: Mutex::new(writer),
            gate: Gate::default(),
            state: RwLock::new(State { overlay: Changes::default(), table: Some(table) }),
            _registered: ends::register(Weak::clone(shared)),
        });
        Ok(Self { shared })
    }

    /// Returns the path the store was opened with.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Makes everything applied so far durable. Dropping the last handle does the same, but cannot
    /// report a failure.
    ///
    /// # Errors
    /// As a durable `apply`; buffered changes stay buffered.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.shared.apply(&[], &[], Durability::Durable)
    }

    /// Makes everything applied so far durable and closes the file in order, for all handles. Later
    /// calls of any handle fail with [`StoreError::Unavailable`]. Closing twice is no error.
    ///
    /// # Errors
    /// As a durable `apply`. The store is still open then and buffered changes stay buffered, so
    /// closing may be tried again.
    pub fn close(&self) -> Result<(), StoreError> {
        self.shared.close()
    }
}

impl SyncStore for RedbStore {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        LIMITS.check_get(keys)?;
        self.shared.read(|state| state.get_all(keys))
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        self.shared.read(|state| state.page(range, ScanBudget::new(max_entries, max_bytes)))
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.shared.gate.pass();
        self.shared.apply(guards, mutations, level)
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        self.shared.gate.behind(work);
        true
    }
}

impl Shared {
    /// Reads; waits for a writer only if redb has given up on the file.
    fn read<R>(&self, ask: impl Fn(&State) -> Result<R, StorageError>) -> Result<R, StoreError> {
        // This statement releases the lock on the state: opening the file again takes it for
        // writing.
        let asked = calling_state(&*self.state()?, &ask);
        match asked {
            Err(error) if given_up(&error) => self.read_as_writer(&mut *self.lock_writer()?, ask),
            result => result.map_err(store_error),
        }
    }

    /// Reads, and reads again after reopening the file if redb has given up on it.
    fn read_as_writer<R>(
        &self,
        writer: &mut Writer,
        ask: impl Fn(&State) -> Result<R, StorageError>,
    ) -> Result<R, StoreError> {
        self.reopen_if_closed(writer)?;
        let asked = calling_state(&*self.state()?, &ask);
        match asked {
            Err(error) if given_up(&error) => writer.drop_db(),
            result => return result.map_err(store_error),
        }
        self.reopen_if_closed(writer)?;
        calling_state(&*self.state()?, &ask).map_err(store_error)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        self.apply_as_writer(&mut *self.lock_writer()?, guards, mutations, level)
    }

    fn apply_as_writer(
        &self,
        writer: &mut Writer,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        // Only the holder of `writer` changes anything, so the result holds until the end.
        let new_bytes: usize = mutations.iter().map(Mutation::size_bytes).sum();
        let (hold, waiting_bytes, must_commit) = self.read_as_writer(writer, |state| {
            let waiting = &state.overlay;
            Ok((state.holds_all(guards)?, waiting.size_bytes(), waiting.must_commit(new_bytes, level)))
        })?;
        if !hold {
            return Err(StoreError::Conflict);
        }
        let is_short = !writer.room.is_plenty(&self.path, waiting_bytes + new_bytes)
            && self.read_as_writer(writer, |state| grows(mutations, |key| state.get(key)))?;
        if is_short {
            let Writer { db: Some(db), room, .. } = &mut *writer else { return Err(closed()) };
            let taken = calling(|| room.take(db, &self.path, waiting_bytes + new_bytes));
            if !taken.map_err(store_error)? {
                return Err(StoreError::QuotaExceeded);
            }
        }
        let commit = (waiting_bytes > 0 || !mutations.is_empty()) && (must_commit || is_short);
        if commit {
            let committed = self.commit(writer, mutations);
            writer.failing = committed.is_err();
            return committed;
        }
        if !mutations.is_empty() {
            let mut state = self.state.write().map_err(|_| poisoned())?;
            state.overlay.extend(mutations);
        }
        Ok(())
    }

    /// Puts the buffered changes and `mutations` on disk in one transaction.
    fn commit(&self, writer: &mut Writer, mutations: &[Mutation<'_>]) -> Result<(), StoreError> {
        let Some(db) = &writer.db else { return Err(closed()) };
        let written = {
            let state = self.state()?;
            calling(|| file::commit(db, &state.overlay, mutations))
        };
        match written {
            Ok(table) => {
                let mut state = self.state.write().map_err(|_| poisoned())?;
                state.table = Some(table);
                state.overlay.clear();
                writer.room.changed();
                Ok(())
            }
            Err(error) => {
                // redb refuses everything after an I/O error. Opened anew, the file is in the state
                // before or after the transaction. In both cases the buffered changes are still to
                // be written.
                writer.drop_db();
                let reason = store_error(error);
                if !mutations.is_empty() {
                    let mut doubt = Changes::default();
                    doubt.extend(mutations);
                    writer.doubt = Some(doubt);
                }
                match self.reopen_if_closed(writer) {
                    // The write may be in the file, yet not safely on disk.
                    Ok(Some(true)) => Err(StoreError::UnknownOutcome),
                    Ok(_) => Err(reason),
                    Err(_) if writer.doubt.is_some() => Err(StoreError::UnknownOutcome),
                    Err(_) => Err(reason),
                }
            }
        }
    }

    /// Opens the file anew after a failed write. Returns whether that write took place, if one
    /// failed.
    fn reopen_if_closed(&self, writer: &mut Writer) -> Result<Option<bool>, StoreError> {
        if writer.closed {
            return Err(StoreError::Unavailable(format!("the store {} is closed", self.path.display())));
        }
        if writer.db.is_some() {
            return Ok(None);
        }
        let OpenFile { db, table } = file::reopen(&self.path, &self.opener)
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let mut state = self.state.write().map_err(|_| poisoned())?;
        let mut took_place = None;
        if let Some(doubt) = &writer.doubt {
            let mutations = doubt.mutations();
            let there =
                calling(|| file::holds_all(&table, &state.overlay, &mutations)).map_err(store_error)?;
            if there {
                // The buffered changes lie in front of the file and would hide a part of this
                // write. So all of it goes in front, and the next commit writes it again.
                state.overlay.extend(&mutations);
            }
            took_place = Some(there);
        }
        writer.doubt = None;
        state.table = Some(table);
        writer.db = Some(db);
        Ok(took_place)
    }

    fn state(&self) -> Result<RwLockReadGuard<'_, State>, StoreError> {
        self.state.read().map_err(|_| poisoned())
    }

    fn lock_writer(&self) -> Result<std::sync::MutexGuard<'_, Writer>, StoreError> {
        self.writer.lock().map_err(|_| poisoned())
    }
}

/// Closing.
impl Shared {
    fn close(&self) -> Result<(), StoreError> {
        let mut writer = self.lock_writer()?;
        if writer.closed {
            return Ok(());
        }
        self.apply_as_writer(&mut writer, &[], &[], Durability::Durable)?;
        writer.closed = true;
        let table = self.state.write().map_err(|_| poisoned())?.table.take();
        let db = writer.db.take();
        let closed = calling(|| {
            drop(table);
            db.map_or(Ok(()), Database::close).map_err(|error| match error {
                DatabaseError::Storage(error) => error,
                other => StorageError::Corrupted(other.to_string()),
            })
        });
        closed.map_err(store_error)
    }

    /// Closes the file.
    ///
    /// # Errors
    /// The changes that could not be stored, in words; none if their caller was told.
    fn close_at_last(&self, writer: &mut Writer) -> Result<(), String> {
        if writer.closed {
            return Ok(());
        }
        let known = writer.failing;
        let stored = self.apply_as_writer(writer, &[], &[], Durability::Durable);
        writer.closed = true;
        // Closes the file in order if possible.
        writer.drop_db();
        match stored {
            Err(error) if !known => Err(ends::lament(&self.path, &error.to_string())),
            _ => Ok(()),
        }
    }
}

impl Ends for Shared {
    fn end(&self, until: Instant) -> Result<(), String> {
        let Some(mut writer) = ends::lock_until(&self.writer, until) else {
            return Err(ends::lament(&self.path, "a call is still busy with it"));
        };
        let closed = self.close_at_last(&mut writer);
        std::mem::forget(writer);
        closed
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        ends::calmly(|| {
            // The file must be closed even if redb panicked while it wrote.
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(lament) = self.close_at_last(&mut writer) {
                ends::tell(lament);
            }
        });
    }
}

impl Writer {
    fn drop_db(&mut self) {
        let db = self.db.take();
        let _ = quietly(|| drop(db));
    }
}

/// Reads, and catches redb's panics at a damaged file.
fn calling_state<R>(
    state: &State,
    ask: &impl Fn(&State) -> Result<R, StorageError>,
) -> Result<R, StorageError> {
    calling(|| ask(state))
}

fn closed() -> StoreError {
    StoreError::Unavailable("the file could not be opened again after a failed write".into())
}
