//! From a store of the library of its field to a store of the host.

use std::error::Error;
use std::future::Future;
use std::io;

use bytes::Bytes;
use kvfs_contract::AsyncKvStore;
use kvfs_remote::Remote;

use super::Asked;
use crate::any_store::AnyStore;
use crate::{BlockOn, OpenError, RemoteStore};

/// Why there is no store: no runtime for it, or the store's own reason.
enum Failed<E> {
    Runtime(io::Error),
    Store(E),
}

impl<E> From<io::Error> for Failed<E> {
    fn from(error: io::Error) -> Self {
        Self::Runtime(error)
    }
}

impl Asked<'_> {
    /// Opens the store that `open` opens, on a runtime of its own.
    ///
    /// # Errors
    /// [`OpenError::Distant`] with the error of `open`, which must hold no secret.
    pub(super) fn reach<S, E>(&self, open: impl Future<Output = Result<S, E>>) -> Result<AnyStore, OpenError>
    where
        S: AsyncKvStore<Bytes: Into<Bytes>> + 'static,
        E: Error + Send + Sync + 'static,
    {
        let threads = format!("kvfs-{}", self.kind.feature);
        let opened = Remote::open(&threads, async { open.await.map_err(Failed::Store) });
        let store = opened.map_err(|failed| match failed {
            Failed::Runtime(error) => self.failed(error),
            Failed::Store(error) => self.failed(error),
        })?;
        let store = match self.read_only {
            true => RemoteStore::read_only(store, self.place()),
            false => RemoteStore::new(store, self.place()),
        };
        Ok(AnyStore::Remote(BlockOn(store)))
    }
}
