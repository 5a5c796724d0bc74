//! The open store and its calls.

use crate::collect;
use crate::directory::Directory;
use crate::log::{Log, State};
use crate::remedy::with_remedy;
use crate::roll;
use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, ScanBudget, StoreError, gather};
use std::fmt;

/// Most keys: each takes about 150 bytes of memory, and a component has 4 GiB.
pub const MAX_ENTRIES: usize = 8 << 20;

const LIMITS: Limits = Limits::standard(true);

/// A key-value store in a directory.
///
/// [`KvStore`] is its contract. The functions below have no limits but those of the format: keys of
/// 64 KiB, and 16 MiB for a value and for all changes of one call.
///
/// # Two at once
///
/// The newer opener has the store. The older one's next [`FileStore::change`] is not acknowledged,
/// and every later one fails with [`StoreError::AccessDenied`]. The newer one finds everything that
/// was acknowledged to the older.
pub struct FileStore<D: Directory>(pub(crate) Log<D>);

impl<D: Directory> FileStore<D> {
    /// Returns the value of a key.
    ///
    /// # Cost
    ///
    /// One read of a file; none for a small value that was used before.
    pub fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(location) = self.0.index.get(key) else { return Ok(None) };
        if let Some(value) = &location.cached {
            return Ok(Some(value.to_vec()));
        }
        let value = self.0.read(location)?;
        self.0.index.keep(key, &value);
        Ok(Some(value))
    }

    /// Returns entries with `start <= key < end` in order while `take` accepts the sum of the
    /// lengths of key and value; an empty `end` is the end of the store.
    ///
    /// # Cost
    ///
    /// As [`FileStore::value`] for each entry.
    pub fn page(
        &mut self,
        start: &[u8],
        end: &[u8],
        mut take: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let mut page = Vec::new();
        for (key, location) in self.0.index.range(start, end) {
            if !take(key.len() + location.length as usize) {
                break;
            }
            let value = match &location.cached {
                Some(value) => value.to_vec(),
                None => self.0.read(location)?,
            };
            page.push(Entry { key: key.to_vec(), value });
        }
        Ok(page)
    }

    /// Applies all mutations if all guards hold, or changes nothing. Without mutations and at level
    /// [`Durability::Durable`] it makes everything applied before durable.
    ///
    /// # Durability
    ///
    /// Everything acknowledged survives the end of the process. A crash of the machine loses at
    /// most a suffix after the last durable apply.
    ///
    /// # Errors
    ///
    /// After [`StoreError::UnknownOutcome`] the call may have been applied; after any other error
    /// it was not. On a full disk, a call that removes more bytes than it puts works as long as
    /// there is a reserve.
    ///
    /// # Cost
    ///
    /// One write and one look at the lease; if durable, also a sync, and a write of 64 bytes that
    /// nobody waits for.
    pub fn change(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        match &self.0.state {
            State::Writable => {}
            State::Fenced => return Err(StoreError::AccessDenied),
            State::Broken(why) => return Err(StoreError::Unavailable(why.clone())),
        }
        for guard in guards {
            if !self.holds(guard)? {
                return Err(StoreError::Conflict);
            }
        }
        if !mutations.is_empty() {
            let puts = mutations.iter().filter(|mutation| mutation.value().is_some()).count();
            if self.0.index.locations.len() + puts > MAX_ENTRIES && puts > 0 {
                return Err(StoreError::QuotaExceeded);
            }
            self.0.append(mutations)?;
        }
        if level == Durability::Durable {
            self.0.sync()?;
        }
        roll::if_due(&mut self.0);
        collect::if_due(&mut self.0);
        Ok(())
    }

    fn holds(&mut self, guard: &Guard<&[u8]>) -> Result<bool, StoreError> {
        match (self.0.index.get(guard.key), guard.expected) {
            (None, None) => Ok(true),
            // A read is needed only if the lengths are equal.
            (Some(location), Some(expected)) if location.length as usize == expected.len() => {
                Ok(guard.holds(self.value(guard.key)?.as_deref()))
            }
            _ => Ok(false),
        }
    }

    /// Returns the bytes of all segments of the store.
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }
}

impl<D: Directory> KvStore for FileStore<D> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        LIMITS.check_get(keys)?;
        gather(keys, |key| self.value(key)).map_err(with_remedy)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let mut page = ScanBudget::new(max_entries, max_bytes);
        self.page(start, end, |entry_bytes| page.take(entry_bytes)).map_err(with_remedy)
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        self.change(guards, mutations, level).map_err(with_remedy)
    }
}

impl<D: Directory + fmt::Debug> fmt::Debug for FileStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("directory", &self.0.directory).finish_non_exhaustive()
    }
}
