//! The four functions of a store whose answers may come later, as a trait.

use std::future::Future;

use crate::{Durability, Entry, Guard, Limits, Mutation, StoreError};

/// A store whose calls may answer later. Each function has the contract of the one of [`KvStore`]
/// with its name.
pub trait AsyncKvStore: Send + Sync {
    /// The bytes of keys and values in answers.
    type Bytes: AsRef<[u8]> + Send;

    /// Returns the store's limits.
    fn limits(&self) -> impl Future<Output = Result<Limits, StoreError>> + Send;

    /// Returns the values of `keys`.
    fn get<'a>(
        &'a self,
        keys: &'a [&'a [u8]],
    ) -> impl Future<Output = Result<Vec<Option<Self::Bytes>>, StoreError>> + Send + 'a;

    /// Returns entries of a range.
    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> impl Future<Output = Result<Vec<Entry<Self::Bytes>>, StoreError>> + Send + 'a;

    /// Applies mutations under guards.
    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'a;

    /// Makes everything durable and closes the store in order, for all its handles. What a call does
    /// afterwards is undefined, but for another close. A store with nothing to close keeps the
    /// default, a durable barrier.
    ///
    /// # Errors
    /// As a durable `apply`. Closing may be tried again.
    fn close(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { self.apply(&[], &[], Durability::Durable).await }
    }
}
