//! Stores by name: `memory:[SIZE]`, `redb:PATH` and `file:DIR`.

use bytes::Bytes;
use kvfs_size::{ByteSize, MIN_MEMORY_BYTES};

use crate::{
    Durability, Entry, FileStore, FileStoreReader, Guard, Limits, MemoryStore, Mutation, OpenError,
    RedbReader, RedbStore, StoreError, SyncStore,
};

/// A store named by a URL: see [`open_store`]. A clone is another handle on the same store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyStore {
    /// `memory:[SIZE]`
    Memory(MemoryStore),
    /// `redb:PATH`
    Redb(RedbStore),
    /// `redb:PATH`, opened for reading only.
    RedbReader(RedbReader),
    /// `file:DIR`
    File(FileStore),
    /// `file:DIR`, opened for reading only.
    FileReader(FileStoreReader),
}

/// Opens the store that `url` names:
///
/// - `memory:`: an empty [`MemoryStore`], gone with the process; `memory:SIZE`, such as
///   `memory:64M`: one that holds no more than that;
/// - `redb:PATH`: a [`RedbStore`] in the file `PATH`, made if it does not exist. A file that is not
///   a store, even an empty one, is refused and left as it is;
/// - `file:DIR`: a [`FileStore`] in the directory `DIR`, made if it does not exist. A composition
///   with the provider `file` keeps such a directory. A directory of other files is refused and
///   left as it is.
///
/// # Errors
/// [`OpenError::UnknownStore`] for anything else, [`OpenError::MemorySize`] for text that is not a
/// size, [`OpenError::MemoryTooSmall`], and the errors of [`RedbStore::open`] and
/// [`FileStore::open`].
pub fn open_store(url: &str) -> Result<AnyStore, OpenError> {
    match named(url)? {
        Named::Memory(None) => Ok(AnyStore::Memory(MemoryStore::new())),
        Named::Memory(Some(size_bytes)) => Ok(AnyStore::Memory(MemoryStore::with_size(size_bytes))),
        Named::Redb(path) => Ok(AnyStore::Redb(RedbStore::open(path)?)),
        Named::File(path) => Ok(AnyStore::File(FileStore::open(path)?)),
    }
}

/// Opens the store that `url` names as [`open_store`] does, but for reading only. Nothing is made,
/// and not a byte of the store changes, even if its program was killed ([`RedbReader::recovered`]).
///
/// # Errors
/// As [`open_store`]; [`OpenError::NoStore`] where there is no store, and for `memory:`, which
/// holds nothing to read.
pub fn open_store_read_only(url: &str) -> Result<AnyStore, OpenError> {
    match named(url)? {
        Named::Memory(_) => Err(OpenError::NoStore { path: url.into() }),
        Named::Redb(path) => Ok(AnyStore::RedbReader(RedbReader::open(path)?)),
        Named::File(path) => Ok(AnyStore::FileReader(FileStoreReader::open(path)?)),
    }
}

fn named(url: &str) -> Result<Named<'_>, OpenError> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(Named::Memory(None)),
        Some(("memory", size)) => memory_size(url, size).map(|size_bytes| Named::Memory(Some(size_bytes))),
        Some(("redb", path)) if !path.is_empty() => Ok(Named::Redb(path)),
        Some(("file", path)) if !path.is_empty() => Ok(Named::File(path)),
        _ => Err(OpenError::UnknownStore { url: url.into() }),
    }
}

/// Parses the size of a store in memory.
fn memory_size(url: &str, size: &str) -> Result<u64, OpenError> {
    let wrong = |source| OpenError::MemorySize { url: url.into(), source };
    match size.parse().map_err(wrong)? {
        ByteSize(size_bytes @ MIN_MEMORY_BYTES..) => Ok(size_bytes),
        _ => Err(OpenError::MemoryTooSmall { url: url.into() }),
    }
}

/// The store that a URL names.
enum Named<'u> {
    /// With its size, if it has one.
    Memory(Option<u64>),
    Redb(&'u str),
    File(&'u str),
}

impl AnyStore {
    /// Makes everything applied so far durable, as far as the store can.
    ///
    /// # Errors
    /// As a durable `apply`.
    pub fn flush(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) | Self::RedbReader(_) | Self::FileReader(_) => Ok(()),
            Self::File(store) => store.apply(&[], &[], Durability::Durable),
            Self::Redb(store) => store.flush(),
        }
    }

    /// Makes everything applied so far durable and closes the store in order, for all handles: see
    /// [`RedbStore::close`]. For a store that has nothing to close, this is [`AnyStore::flush`].
    ///
    /// # Errors
    /// As a durable `apply`. The store is still open then, and closing may be tried again.
    pub fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Redb(store) => store.close(),
            _ => self.flush(),
        }
    }

    fn inner(&self) -> &dyn SyncStore {
        match self {
            Self::Memory(store) => store,
            Self::Redb(store) => store,
            Self::RedbReader(store) => store,
            Self::File(store) => store,
            Self::FileReader(store) => store,
        }
    }
}

impl SyncStore for AnyStore {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.inner().limits()
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.inner().get(keys)
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner().scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.inner().apply(guards, mutations, level)
    }
}
