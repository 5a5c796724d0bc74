//! A store of whatever kind, as it was opened by its URL.

use std::path::Path;

use bytes::Bytes;

#[cfg(feature = "layer-cache")]
use crate::LayerCached;
#[cfg(feature = "remote")]
use crate::RemoteStore;
use crate::{
    BlockOn, Damage, Durability, Entry, FileStore, FileStoreReader, Guard, Limits, Mark, Marked, MemoryStore,
    Mutation, RedbReader, RedbSalvage, RedbStore, Sealed, StoreError, SyncStore,
};

/// A store named by a URL: see [`open_store`](crate::open_store). A clone is another handle on the same store.
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
    /// The copy of a `redb:PATH` that is being repaired: see [`OpenOptions::repair_copy`](crate::OpenOptions::repair_copy).
    RepairedRedb(RedbStore),
    /// `file:DIR`
    File(FileStore),
    /// `file:DIR`, opened for reading only.
    FileReader(FileStoreReader),
    /// A store on a server or in a bucket. An embedder with an executor takes the [`RemoteStore`] out
    /// of it, which needs no thread of its own while it waits.
    #[cfg(feature = "remote")]
    Remote(BlockOn<RemoteStore>),
    /// One of the others, whose frozen layers are kept on this host.
    #[cfg(feature = "layer-cache")]
    LayerCached(BlockOn<LayerCached<AnyStore>>),
    /// One of the others, sealed.
    Sealed(BlockOn<Sealed<AnyStore>>),
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
            #[cfg(feature = "remote")]
            Self::Remote(store) => match store.apply(&[], &[], Durability::Durable) {
                Err(StoreError::ReadOnly) => Ok(()),
                flushed => flushed,
            },
            #[cfg(feature = "layer-cache")]
            Self::LayerCached(store) => store.0.inner().flush(),
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
            #[cfg(feature = "remote")]
            Self::Remote(store) => store.0.close(),
            #[cfg(feature = "layer-cache")]
            Self::LayerCached(store) => store.0.inner().close(),
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
            #[cfg(feature = "layer-cache")]
            Self::LayerCached(store) => store.0.inner().recovered(),
            Self::Sealed(store) => store.0.inner().recovered(),
            _ => false,
        }
    }

    /// Returns the damage that was met so far in a store opened by [`OpenOptions::salvage`](crate::OpenOptions::salvage) for
    /// reading only: see [`RedbSalvage::damage`].
    pub fn damage(&self) -> Damage {
        match self {
            Self::RedbSalvage(store) => store.inner().damage(),
            #[cfg(feature = "layer-cache")]
            Self::LayerCached(store) => store.0.inner().damage(),
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
            #[cfg(feature = "layer-cache")]
            Self::LayerCached(store) => store.0.inner().marks(),
            Self::Sealed(store) => store.0.inner().marks(),
            _ => None,
        }
    }

    /// Returns why the mark beside the store could not be written: see [`Marked::trouble`].
    pub fn mark_trouble(&self) -> Option<String> {
        match self {
            Self::Redb(store) => store.trouble(),
            #[cfg(feature = "layer-cache")]
            Self::LayerCached(store) => store.0.inner().mark_trouble(),
            Self::Sealed(store) => store.0.inner().mark_trouble(),
            _ => None,
        }
    }

    /// Returns how many values of a sealed store did not open so far: see
    /// [`Sealed::does_not_open`].
    pub fn does_not_open(&self) -> usize {
        match self {
            #[cfg(feature = "layer-cache")]
            Self::LayerCached(store) => store.0.inner().does_not_open(),
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
            #[cfg(feature = "remote")]
            Self::Remote(store) => store,
            #[cfg(feature = "layer-cache")]
            Self::LayerCached(store) => store,
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

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        self.inner().exclusively(work)
    }
}
