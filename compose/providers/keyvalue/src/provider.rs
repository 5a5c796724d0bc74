//! The store as a provider: the contract's limits and words.

use kvfs_bucket_store::{Bucket, BucketStore, StoreError};
use kvfs_provider_kit::{Durability, Entry, Error, Guard, Limits, Mutation, Provider, limits};

/// A store in a bucket, as a provider.
pub struct BucketProvider<B>(BucketStore<B>);

impl<B: Bucket> BucketProvider<B> {
    /// Opens the store in a bucket, or makes one; `tag` is a random number. None if another opener was newer.
    ///
    /// # Errors
    ///
    /// Those of [`BucketStore::open`].
    pub fn open(bucket: B, tag: u64) -> Result<Option<Self>, Error> {
        match BucketStore::open(bucket, tag) {
            Ok(store) => Ok(Some(Self(store))),
            Err(StoreError::Fenced) => Ok(None),
            Err(error) => Err(to_error(error)),
        }
    }
}

impl<B: Bucket> Provider for BucketProvider<B> {
    fn limits(&self) -> Limits {
        limits::limits(true)
    }

    fn get(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        limits::get(keys, |key| self.0.get(key).map_err(to_error))
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, Error> {
        limits::scan(max_entries, max_bytes, |take| self.0.scan(start, end, take).map_err(to_error))
    }

    // The bucket has one level: what it acknowledged it keeps.
    fn apply(
        &mut self,
        guards: Vec<Guard>,
        mutations: Vec<Mutation>,
        _level: Durability,
    ) -> Result<(), Error> {
        limits::apply(&guards, &mutations, |guards, mutations| {
            self.0.apply(guards, mutations).map_err(to_error)
        })
    }
}

fn to_error(error: StoreError) -> Error {
    match error {
        StoreError::Conflict => Error::Conflict,
        StoreError::UnknownOutcome => Error::UnknownOutcome,
        StoreError::Unavailable(why) => Error::Unavailable(why),
        StoreError::TooLarge => Error::TooLarge,
        StoreError::Denied | StoreError::Fenced => Error::AccessDenied,
        StoreError::Corrupt(why) => Error::Corrupt(why),
        other => Error::Other(other.to_string()),
    }
}
