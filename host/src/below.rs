//! A store of the host below a store that is not of the host.

use std::future::Future;

use bytes::Bytes;
use kvfs_contract::AsyncKvStore;

use crate::{Durability, Entry, Guard, Limits, Mutation, Store, StoreError};

/// A store of the host as one of the stores that work over [`AsyncKvStore`].
#[derive(Debug)]
pub(crate) struct Below<S>(pub(crate) S);

impl<S: Store> AsyncKvStore for Below<S> {
    type Bytes = Bytes;

    fn limits(&self) -> impl Future<Output = Result<Limits, StoreError>> + Send {
        self.0.limits()
    }

    fn get<'a>(
        &'a self,
        keys: &'a [&'a [u8]],
    ) -> impl Future<Output = Result<Vec<Option<Bytes>>, StoreError>> + Send + 'a {
        self.0.get(keys)
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send + 'a {
        self.0.scan(start, end, max_entries, max_bytes)
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'a {
        self.0.apply(guards, mutations, level)
    }
}
