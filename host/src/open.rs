//! Stores by name: `memory:[SIZE]`, `redb:PATH` and `file:DIR`.

use std::future::Future;
use std::path::Path;

use bytes::Bytes;
use kvfs_sealed_store::{OpenError as SealError, UserKey};
use kvfs_size::{ByteSize, MIN_MEMORY_BYTES};

use crate::marked::{Beside, OnRollback};
use crate::{
    BlockOn, Damage, Durability, Entry, FileOptions, FileStore, FileStoreReader, Guard, Limits, Mark, Marked,
    MemoryStore, Mutation, OpenError, RedbReader, RedbSalvage, RedbStore, Sealed, StoreAccess, StoreError,
    StoreFuture, SyncStore,
};

/// A store named by a URL: see [`open_store`]. A clone is another handle on the same store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyStore {
    /// `memory:[SIZE]`
    Memory(MemoryStore),
    /// `redb:PATH`
    Redb(Marked<RedbStore>),
    /// `redb:PATH`, opened for reading only.
    RedbReader(Marked<RedbReader>),
    /// `redb:PATH`, opened for reading what is left of a damaged one.
    RedbSalvage(Marked<RedbSalvage>),
    /// The copy of a `redb:PATH` that is being repaired: see [`OpenOptions::repair_copy`].
    RepairedRedb(RedbStore),
    /// `file:DIR`
    File(FileStore),
    /// `file:DIR`, opened for reading only.
    FileReader(FileStoreReader),
    /// One of the others, sealed.
    Sealed(BlockOn<Sealed<AnyStore>>),
}

/// Options for opening a store by its URL. Without options, [`OpenOptions::open`] is [`open_store`].
///
/// ```
/// # fn main() -> Result<(), kvfs_host::OpenError> {
/// use kvfs_host::{OpenError, OpenOptions};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let url = format!("redb:{}", directory.path().join("state.redb").display());
/// let store = match OpenOptions::new().open(&url) {
///     Err(OpenError::RolledBack { rollback, .. }) => {
///         eprintln!("going on without what is lost: {rollback}");
///         OpenOptions::new().accept_loss(true).open(&url)?
///     }
///     opened => opened?,
/// };
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Default)]
pub struct OpenOptions<'k> {
    key: Option<&'k UserKey>,
    on_rollback: OnRollback,
    access: Option<StoreAccess>,
    read_only: bool,
    salvage: bool,
    unfinished: bool,
    as_it_lies: bool,
}

/// The key of the marker of a copy that is not done: see [`copy_store`](crate::copy_store).
pub(crate) const COPY_KEY: &[u8] = kvfs_file_store::COPY_MARKER_KEY;

impl<'k> OpenOptions<'k> {
    /// Opens for reading and writing, without a key, and no store that has lost anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a sealed store with its key; an empty one becomes a sealed one: see [`Sealed::open`].
    pub fn key(self, key: &'k UserKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Opens for reading only. Nothing is made, and not a byte of the store changes, even if its
    /// program was killed ([`RedbReader::recovered`]).
    pub fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    /// Opens for the check or the repair of a volume. A sealed store: see [`Sealed::salvage`]. The
    /// file of a redb store, for reading only, even if it is damaged: see [`RedbSalvage`].
    pub fn salvage(self, salvage: bool) -> Self {
        Self { salvage, ..self }
    }

    /// Opens a store even if it has lost durable applies ([`OpenError::RolledBack`]). Opened for
    /// writing, it then counts as it is from now on.
    pub fn accept_loss(self, accept: bool) -> Self {
        let on_rollback = if accept { OnRollback::Accept } else { OnRollback::Refuse };
        Self { on_rollback, ..self }
    }

    /// Opens a store in a directory alone or together with others: see [`FileStore`]. Any other is
    /// always had alone.
    pub fn access(self, access: StoreAccess) -> Self {
        Self { access: Some(access), ..self }
    }

    /// Opens a sealed store without its key, as it lies: entries are sealed, and keys have another
    /// form. For tools that look at a store; opens for reading only.
    pub fn as_it_lies(self, as_it_lies: bool) -> Self {
        Self { as_it_lies, read_only: self.read_only || as_it_lies, ..self }
    }

    /// Opens a copy that is not done.
    pub(crate) fn unfinished(self, unfinished: bool) -> Self {
        Self { unfinished, ..self }
    }

    /// Opens the store that `url` names: see [`open_store`].
    ///
    /// # Errors
    /// As [`open_store`]; with a key, [`OpenError::Seal`] and not [`OpenError::Sealed`]; with
    /// [`StoreAccess::Together`], [`OpenError::NotTogether`] for any store but `file:`; for reading
    /// only, [`OpenError::NoStore`] where there is no store, and for `memory:`, which holds nothing
    /// to read.
    pub fn open(&self, url: &str) -> Result<AnyStore, OpenError> {
        self.open_over(url, self.open_any(url)?)
    }

    /// Opens `store`, which lies as it is, with the key.
    pub(crate) fn open_over(&self, url: &str, store: AnyStore) -> Result<AnyStore, OpenError> {
        if self.as_it_lies {
            return Ok(store);
        }
        let Some(key) = self.key else { return unsealed(url, store) };
        if self.salvage {
            return sealed(url, Sealed::salvage(store, key));
        }
        if self.read_only {
            return sealed(url, Sealed::open_existing(store, key));
        }
        sealed(url, Sealed::open(store, key))
    }

    /// Names a store in the file at `path`, and its mark.
    pub(crate) fn beside(&self, path: &Path) -> Beside {
        Beside::of_file(path, self.on_rollback)
    }

    /// Returns the path of a store; `None` for one in memory.
    pub(crate) fn path_of(url: &str) -> Result<Option<&str>, OpenError> {
        Ok(match named(url)? {
            Named::Redb(path) | Named::File(path) => Some(path),
            Named::Memory(_) => None,
        })
    }

    /// Returns the path of a store that is one file.
    pub(crate) fn file_of(url: &str) -> Result<Option<&str>, OpenError> {
        Ok(match named(url)? {
            Named::Redb(path) => Some(path),
            Named::Memory(_) | Named::File(_) => None,
        })
    }

    /// Opens a store that is sealed or not, as it lies.
    pub(crate) fn open_any(&self, url: &str) -> Result<AnyStore, OpenError> {
        let store = self.open_named(url)?;
        if !self.unfinished {
            let marker = store.get(&[COPY_KEY]);
            let marker = marker.map_err(|error| OpenError::of_store(url.as_ref(), error))?;
            if marker.into_iter().any(|marker| marker.is_some()) {
                return Err(OpenError::CutOff { url: url.into() });
            }
        }
        Ok(store)
    }

    fn open_named(&self, url: &str) -> Result<AnyStore, OpenError> {
        let named = named(url)?;
        if self.read_only {
            return match named {
                Named::Memory(_) => Err(OpenError::NoStore { path: url.into() }),
                Named::Redb(path) => {
                    let beside = self.beside(path.as_ref());
                    if self.salvage {
                        return Ok(AnyStore::RedbSalvage(RedbSalvage::open_marked(beside)?));
                    }
                    Ok(AnyStore::RedbReader(RedbReader::open_marked(beside)?))
                }
                Named::File(path) => Ok(AnyStore::FileReader(match self.on_rollback {
                    OnRollback::Refuse => FileStoreReader::open(path)?,
                    OnRollback::Accept => FileStoreReader::accept_loss(path)?,
                })),
            };
        }
        if self.access == Some(StoreAccess::Together) && !matches!(named, Named::File(_)) {
            return Err(OpenError::NotTogether { url: url.into() });
        }
        match named {
            Named::Memory(None) => Ok(AnyStore::Memory(MemoryStore::new())),
            Named::Memory(Some(size_bytes)) => Ok(AnyStore::Memory(MemoryStore::with_size(size_bytes))),
            Named::Redb(path) => {
                let beside = self.beside(path.as_ref());
                Ok(AnyStore::Redb(RedbStore::open_marked(beside)?))
            }
            Named::File(path) => {
                let options = FileOptions::new()
                    .access(self.access.unwrap_or_default())
                    .accept_loss(self.on_rollback == OnRollback::Accept);
                Ok(AnyStore::File(options.open(path)?))
            }
        }
    }
}

/// Opens the store that `url` names:
///
/// - `memory:`: an empty [`MemoryStore`], gone with the process; `memory:SIZE`, such as
///   `memory:64M`: one that holds no more than that;
/// - `redb:PATH`: a [`RedbStore`] in the file `PATH`, made if it does not exist, with its mark in
///   `PATH.mark` ([`Marked`]). A file that is not a store, even an empty one, is refused and left as
///   it is;
/// - `file:DIR`: a [`FileStore`] in the directory `DIR`, made if it does not exist. A composition
///   with the provider `file` keeps such a directory. A directory of other files is refused and
///   left as it is.
///
/// # Errors
/// [`OpenError::UnknownStore`] for anything else, [`OpenError::MemorySize`] for text that is not a
/// size, [`OpenError::MemoryTooSmall`], [`OpenError::Sealed`] for a sealed store,
/// [`OpenError::RolledBack`] for one that has lost what it acknowledged, and the errors of
/// [`RedbStore::open`] and [`FileStore::open`].
pub fn open_store(url: &str) -> Result<AnyStore, OpenError> {
    OpenOptions::new().open(url)
}

/// Opens the sealed store that `url` names: see [`open_store`] and [`Sealed::open`].
///
/// # Errors
/// As [`open_store`], and [`OpenError::Seal`].
pub fn open_sealed_store(url: &str, key: &UserKey) -> Result<AnyStore, OpenError> {
    OpenOptions::new().key(key).open(url)
}

/// Opens the sealed store that `url` names for reading only: see [`open_store_read_only`] and
/// [`Sealed::open_existing`].
///
/// # Errors
/// As [`open_store_read_only`], and [`OpenError::Seal`].
pub fn open_sealed_store_read_only(url: &str, key: &UserKey) -> Result<AnyStore, OpenError> {
    OpenOptions::new().key(key).read_only(true).open(url)
}

/// Opens the sealed store that `url` names for the repair of a volume: see [`Sealed::salvage`].
///
/// # Errors
/// As [`open_sealed_store`], and [`SealError::Empty`] for an empty store.
pub fn salvage_sealed_store(url: &str, key: &UserKey) -> Result<AnyStore, OpenError> {
    OpenOptions::new().key(key).salvage(true).open(url)
}

/// Opens the sealed store that `url` names for the check of a volume, for reading only: see
/// [`Sealed::salvage`].
///
/// # Errors
/// As [`open_sealed_store_read_only`].
pub fn salvage_sealed_store_read_only(url: &str, key: &UserKey) -> Result<AnyStore, OpenError> {
    OpenOptions::new().key(key).read_only(true).salvage(true).open(url)
}

/// Opens the store that `url` names as [`open_store`] does, but for reading only. Nothing is made,
/// and not a byte of the store changes, even if its program was killed ([`RedbReader::recovered`]).
///
/// # Errors
/// As [`open_store`]; [`OpenError::NoStore`] where there is no store, and for `memory:`, which
/// holds nothing to read.
pub fn open_store_read_only(url: &str) -> Result<AnyStore, OpenError> {
    OpenOptions::new().read_only(true).open(url)
}

/// Changes the key of the sealed store that `url` names: see [`Sealed::rewrap`].
///
/// # Errors
/// As [`open_store`], [`OpenError::NoStore`] where there is no store, [`OpenError::Seal`], and
/// [`OpenError::Rekeyed`] if only closing the store failed.
pub fn rekey_store(url: &str, from: &UserKey, to: &UserKey) -> Result<(), OpenError> {
    OpenOptions::new().key(from).rekey(url, to)
}

impl OpenOptions<'_> {
    /// Changes the key of the sealed store that `url` names to another, `to`: see
    /// [`Sealed::rewrap`].
    ///
    /// # Errors
    /// As [`rekey_store`]; [`OpenError::Sealed`] if the options have no key.
    pub fn rekey(&self, url: &str, to: &UserKey) -> Result<(), OpenError> {
        let Some(from) = self.key else { return Err(OpenError::Sealed { url: url.into() }) };
        // Where nothing is, nothing is made.
        drop(self.read_only(true).open_any(url)?);
        let store = self.read_only(false).open_any(url)?;
        rekey(url, store.clone(), from, to, || store.close())
    }
}

fn rekey(
    url: &str,
    store: impl crate::Store,
    from: &UserKey,
    to: &UserKey,
    close: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), OpenError> {
    wait(Sealed::rewrap(store, from, to)).map_err(|source| OpenError::Seal { url: url.into(), source })?;
    // The new header is durable by now.
    close().map_err(|source| OpenError::Rekeyed { url: url.into(), source })
}

/// Waits for a call of a store that answers at once.
fn wait<T: Send + Unpin>(call: impl Future<Output = Result<T, SealError>> + Send) -> Result<T, SealError> {
    StoreFuture::later(async move { Ok(call.await) }).wait()?
}

fn sealed(
    url: &str,
    store: impl Future<Output = Result<Sealed<AnyStore>, SealError>> + Send,
) -> Result<AnyStore, OpenError> {
    match wait(store) {
        Ok(store) => Ok(AnyStore::Sealed(BlockOn(store))),
        Err(source) => Err(OpenError::Seal { url: url.into(), source }),
    }
}

/// Refuses a sealed store, in which entries that are not sealed would make a mess.
fn unsealed(url: &str, store: AnyStore) -> Result<AnyStore, OpenError> {
    match wait(Sealed::is_sealed(store.clone())) {
        Ok(false) => Ok(store),
        Ok(true) => Err(OpenError::Sealed { url: url.into() }),
        Err(source) => Err(OpenError::Seal { url: url.into(), source }),
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
            Self::Memory(_) | Self::RedbReader(_) | Self::RedbSalvage(_) | Self::FileReader(_) => Ok(()),
            Self::File(store) => store.apply(&[], &[], Durability::Durable),
            Self::Redb(store) => store.flush(),
            Self::RepairedRedb(store) => store.flush(),
            Self::Sealed(store) => store.0.inner().flush(),
        }
    }

    /// Makes everything applied so far durable and closes the store in order, for all handles: see
    /// [`RedbStore::close`]. For a store that has nothing to close, this is [`AnyStore::flush`].
    ///
    /// # Errors
    /// As a durable `apply`. The store is still open then, and closing may be tried again.
    pub fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Redb(store) => store.flush().and_then(|()| store.inner().close()),
            Self::File(store) => store.close(),
            Self::Sealed(store) => store.0.inner().close(),
            _ => self.flush(),
        }
    }

    /// Returns whether the program that had the store open did not close it in order: see
    /// [`RedbReader::recovered`].
    pub fn recovered(&self) -> bool {
        match self {
            Self::RedbReader(store) => store.inner().recovered(),
            Self::RedbSalvage(store) => store.inner().recovered(),
            Self::Sealed(store) => store.0.inner().recovered(),
            _ => false,
        }
    }

    /// Returns the damage that was met so far in a store opened by [`OpenOptions::salvage`] for
    /// reading only: see [`RedbSalvage::damage`].
    pub fn damage(&self) -> Damage {
        match self {
            Self::RedbSalvage(store) => store.inner().damage(),
            Self::Sealed(store) => store.0.inner().damage(),
            _ => Damage::default(),
        }
    }

    /// Returns the store's own mark and the path of the one beside it, if it is of a kind that has
    /// one.
    pub fn marks(&self) -> Option<(Option<Mark>, &Path)> {
        match self {
            Self::Redb(store) => Some((store.mark(), store.mark_path())),
            Self::RedbReader(store) => Some((store.mark(), store.mark_path())),
            Self::RedbSalvage(store) => Some((store.mark(), store.mark_path())),
            Self::Sealed(store) => store.0.inner().marks(),
            _ => None,
        }
    }

    /// Returns why the mark beside the store could not be written: see [`Marked::trouble`].
    pub fn mark_trouble(&self) -> Option<String> {
        match self {
            Self::Redb(store) => store.trouble(),
            Self::Sealed(store) => store.0.inner().mark_trouble(),
            _ => None,
        }
    }

    /// Returns how many values of a sealed store did not open so far: see
    /// [`Sealed::does_not_open`].
    pub fn does_not_open(&self) -> usize {
        match self {
            Self::Sealed(store) => store.0.does_not_open(),
            _ => 0,
        }
    }

    fn inner(&self) -> &dyn SyncStore {
        match self {
            Self::Memory(store) => store,
            Self::Redb(store) => store,
            Self::RepairedRedb(store) => store,
            Self::RedbReader(store) => store,
            Self::RedbSalvage(store) => store,
            Self::File(store) => store,
            Self::FileReader(store) => store,
            Self::Sealed(store) => store,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> UserKey {
        UserKey::from_key_file(vec![byte; 32]).unwrap()
    }

    #[test]
    fn a_rekey_that_fails_only_at_closing_says_that_the_key_has_changed() {
        let store = MemoryStore::new();
        wait(Sealed::open(store.clone(), &key(1))).unwrap();
        let fails = || Err(StoreError::Unavailable("the disk is gone".into()));
        let error = rekey("redb:x", store.clone(), &key(1), &key(2), fails).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the new key opens it") && text.contains("the disk is gone"), "{text}");
        assert_eq!(wait(Sealed::open(store.clone(), &key(1))).unwrap_err(), SealError::WrongKey);
        wait(Sealed::open(store.clone(), &key(2))).unwrap();
        // A rekey that failed before says nothing of the kind.
        let error = rekey("redb:x", store, &key(1), &key(3), || Ok(())).unwrap_err();
        assert!(matches!(error, OpenError::Seal { source: SealError::WrongKey, .. }), "{error}");
    }

    #[test]
    fn a_sealed_store_that_lost_its_header_is_refused_with_and_without_a_key() {
        let store = MemoryStore::new();
        let sealed = wait(Sealed::open(store.clone(), &key(1))).unwrap();
        let put = [Mutation::Put { key: b"\x01v\0", value: b"value" }];
        crate::Store::apply(&sealed, &[], &put, Durability::Buffered).wait().unwrap();
        let gone = [Mutation::Delete { key: kvfs_sealed_store::STORE_HEADER_KEY }];
        SyncStore::apply(&store, &[], &gone, Durability::Buffered).unwrap();
        let refused = unsealed("memory:", AnyStore::Memory(store.clone())).unwrap_err();
        assert!(matches!(refused, OpenError::Seal { source: SealError::HeaderGone, .. }), "{refused}");
        assert_eq!(wait(Sealed::open(store, &key(1))).unwrap_err(), SealError::HeaderGone);
    }
}
