//! Stores by name: `memory:[SIZE]`, `redb:PATH`, `file:DIR`, and those at a distance.

use std::future::Future;
use std::path::Path;

use kvfs_sealed_store::{OpenError as SealError, UserKey};

use crate::any_store::AnyStore;
use crate::distant::{self, Asked};
use crate::marked::{Beside, OnRollback};
use crate::store_url::{Kind, Named, without_secrets};
use crate::{
    BlockOn, FileOptions, FileStoreReader, MemoryStore, OpenError, RedbReader, RedbSalvage, RedbStore,
    Sealed, StoreAccess, StoreError, StoreFuture, SyncStore,
};
#[cfg(feature = "layer-cache")]
use crate::{LayerCache, LayerCached};

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
    create: bool,
    #[cfg(feature = "layer-cache")]
    layer_cache: Option<&'k LayerCache>,
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

    /// Opens a store in a directory, or one at a distance, alone or together with others: see
    /// [`FileStore`](crate::FileStore) and [`StoreAccess`]. Any other is always had alone.
    pub fn access(self, access: StoreAccess) -> Self {
        Self { access: Some(access), ..self }
    }

    /// Opens a sealed store without its key, as it lies: entries are sealed, and keys have another
    /// form. For tools that look at a store; opens for reading only.
    pub fn as_it_lies(self, as_it_lies: bool) -> Self {
        Self { as_it_lies, read_only: self.read_only || as_it_lies, ..self }
    }

    /// Makes what a store at a distance needs at its server (a table, a bucket's first object) if it
    /// is missing, which is otherwise an error: a mistyped name must not make a second store. A file
    /// or directory of this machine is made in any case.
    pub fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Keeps what frozen layers of the store hold in this cache: see
    /// [`LayerCached`](crate::LayerCached).
    #[cfg(feature = "layer-cache")]
    pub fn layer_cache(self, cache: &'k LayerCache) -> Self {
        Self { layer_cache: Some(cache), ..self }
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
        self.cached(url, self.open_over(url, self.open_any(url)?)?)
    }

    /// Puts the cache in front of the store, if there is one.
    #[cfg(feature = "layer-cache")]
    fn cached(&self, url: &str, store: AnyStore) -> Result<AnyStore, OpenError> {
        // A store to be checked or looked at is to be seen as it is.
        let Some(cache) = self.layer_cache.filter(|_| !self.salvage && !self.as_it_lies) else {
            return Ok(store);
        };
        let place = match Named::parse(url)? {
            Named::Redb(path) | Named::File(path) => match Path::new(path).canonicalize() {
                Ok(whole) => whole.to_string_lossy().into_owned(),
                Err(_) => path.to_owned(),
            },
            Named::Memory(_) | Named::Distant(..) => without_secrets(url).into_owned(),
        };
        Ok(AnyStore::LayerCached(BlockOn(match self.key {
            None => LayerCached::new(store, cache, &place),
            // It lies in front of the seal.
            Some(_) => LayerCached::in_memory_alone(store, cache, &place),
        })))
    }

    #[cfg(not(feature = "layer-cache"))]
    fn cached(&self, _: &str, store: AnyStore) -> Result<AnyStore, OpenError> {
        Ok(store)
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

    /// Returns whether a store outlives the process.
    pub(crate) fn is_kept(url: &str) -> Result<bool, OpenError> {
        Ok(match Named::parse(url)? {
            Named::Memory(_) => false,
            Named::Redb(_) | Named::File(_) => true,
            Named::Distant(kind, rest) => kind.within(rest).map_or(Ok(true), Self::is_kept)?,
        })
    }

    /// Returns whether the store that a URL names has a mark, by which it notices that it has lost
    /// durable applies ([`OpenError::RolledBack`]). One in memory or at a distance has none, so that
    /// [`OpenOptions::accept_loss`] changes nothing for it.
    ///
    /// # Errors
    /// As [`open_store`] for a URL that names no store.
    pub fn notices_loss(url: &str) -> Result<bool, OpenError> {
        Ok(match Named::parse(url)? {
            Named::Memory(_) => false,
            Named::Redb(_) | Named::File(_) => true,
            Named::Distant(kind, rest) => kind.within(rest).map_or(Ok(false), Self::notices_loss)?,
        })
    }

    /// Returns whether two URLs name one store, as far as they tell.
    pub(crate) fn is_same(a: &str, b: &str) -> Result<bool, OpenError> {
        Ok(match (Named::parse(a)?, Named::parse(b)?) {
            (Named::Redb(a) | Named::File(a), Named::Redb(b) | Named::File(b)) => {
                let whole = |path: &str| Path::new(path).canonicalize().unwrap_or_else(|_| path.into());
                whole(a) == whole(b)
            }
            (Named::Distant(..), Named::Distant(..)) => a == b,
            _ => false,
        })
    }

    /// Returns the path of a store that is one file.
    pub(crate) fn file_of(url: &str) -> Result<Option<&str>, OpenError> {
        Ok(match Named::parse(url)? {
            Named::Redb(path) => Some(path),
            Named::Memory(_) | Named::File(_) | Named::Distant(..) => None,
        })
    }

    /// Opens a store that is sealed or not, as it lies.
    pub(crate) fn open_any(&self, url: &str) -> Result<AnyStore, OpenError> {
        let store = self.open_named(url)?;
        if !self.unfinished {
            let marker = store.get(&[COPY_KEY]);
            let marker =
                marker.map_err(|error| OpenError::of_store(without_secrets(url).as_ref().as_ref(), error))?;
            if marker.into_iter().any(|marker| marker.is_some()) {
                return Err(OpenError::CutOff { url: without_secrets(url).into() });
            }
        }
        Ok(store)
    }

    fn open_distant(&self, url: &str, kind: &'static Kind, rest: &str) -> Result<AnyStore, OpenError> {
        let (access, read_only) = (self.access, self.read_only);
        let asked = Asked { kind, url, rest, create: self.create && !read_only, read_only, access };
        distant::open(&asked, &|within| self.open_named(within))
    }

    fn open_named(&self, url: &str) -> Result<AnyStore, OpenError> {
        let named = Named::parse(url)?;
        if self.read_only {
            return match named {
                Named::Distant(kind, rest) => self.open_distant(url, kind, rest),
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
        if self.access == Some(StoreAccess::Together) && matches!(named, Named::Memory(_) | Named::Redb(_)) {
            return Err(OpenError::NotTogether { url: without_secrets(url).into() });
        }
        match named {
            Named::Distant(kind, rest) => self.open_distant(url, kind, rest),
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
///   left as it is;
/// - a store at a distance, if this crate is built with the feature of its kind (see
///   [`RemoteStore`](crate::RemoteStore)): `delayed:TIME+URL` with `delayed`, which is the store of
///   another URL as if each of its calls took a round trip of that time, such as
///   `delayed:1ms+file:DIR`.
///
/// # Errors
/// [`OpenError::UnknownStore`] for anything else, [`OpenError::Distant`] for a store at a distance
/// that cannot be opened, [`OpenError::MemorySize`] for text that is not a
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
        let Some(from) = self.key else { return Err(OpenError::Sealed { url: without_secrets(url).into() }) };
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
    wait(Sealed::rewrap(store, from, to))
        .map_err(|source| OpenError::Seal { url: without_secrets(url).into(), source })?;
    // The new header is durable by now.
    close().map_err(|source| OpenError::Rekeyed { url: without_secrets(url).into(), source })
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
        Err(source) => Err(OpenError::Seal { url: without_secrets(url).into(), source }),
    }
}

/// Refuses a sealed store, in which entries that are not sealed would make a mess.
fn unsealed(url: &str, store: AnyStore) -> Result<AnyStore, OpenError> {
    match wait(Sealed::is_sealed(store.clone())) {
        Ok(false) => Ok(store),
        Ok(true) => Err(OpenError::Sealed { url: without_secrets(url).into() }),
        Err(source) => Err(OpenError::Seal { url: without_secrets(url).into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Durability, Mutation};

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
