//! From a store of the library of its field to a store of the host.

use std::error::Error;
use std::future::Future;
use std::io;

use bytes::Bytes;
use kvfs_contract::AsyncKvStore;
use kvfs_remote::{Pace, Remote, WriteBehind};

use super::Asked;
use crate::any_store::AnyStore;
use crate::{BlockOn, OpenError, RemoteStore, StoreAccess, StoreError};

/// Why there is no store: no runtime for it, the store's own reason, or that of its first call.
enum Failed<E> {
    Runtime(io::Error),
    Store(E),
    Call(StoreError),
}

impl<E> From<io::Error> for Failed<E> {
    fn from(error: io::Error) -> Self {
        Self::Runtime(error)
    }
}

impl Asked<'_> {
    /// Opens the store that `open` opens, on a runtime of its own. It writes behind, unless it is only
    /// read or others are to see each apply at once.
    ///
    /// # Errors
    /// [`OpenError::Distant`] with the error of `open`, which must hold no secret.
    pub(super) fn reach<S, E>(&self, open: impl Future<Output = Result<S, E>>) -> Result<AnyStore, OpenError>
    where
        S: AsyncKvStore<Bytes: Into<Bytes>> + 'static,
        E: Error + Send + Sync + 'static,
    {
        let open = async { open.await.map_err(Failed::Store) };
        let store = if self.read_only {
            RemoteStore::read_only(self.start(open)?, self.place())
        } else if self.access == Some(StoreAccess::Together) {
            RemoteStore::new(self.start(open)?, self.place())
        } else {
            let open = async { WriteBehind::new(open.await?, Pace::DEFAULT).await.map_err(Failed::Call) };
            RemoteStore::new(self.start(open)?, self.place())
        };
        Ok(AnyStore::Remote(BlockOn(store)))
    }

    fn start<S, E>(&self, open: impl Future<Output = Result<S, Failed<E>>>) -> Result<Remote<S>, OpenError>
    where
        S: AsyncKvStore,
        E: Error + Send + Sync + 'static,
    {
        Remote::open(&format!("kvfs-{}", self.kind.feature), open).map_err(|failed| match failed {
            Failed::Runtime(error) => self.failed(error),
            Failed::Store(error) => self.failed(error),
            Failed::Call(error) => self.failed(error),
        })
    }
}
