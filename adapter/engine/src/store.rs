//! The store below the file system: the words of `kvfs:store/kv-store`, with the bytes that the
//! engine uses.

pub use kvfs_contract::{Durability, KvStore, Limits, StoreError};

/// A key with its value, as `scan` returns it.
pub type Entry = kvfs_contract::Entry<Vec<u8>>;

/// A condition of an `apply`.
pub type Guard<'a> = kvfs_contract::Guard<&'a [u8]>;

/// One change of one key.
pub type Mutation<'a> = kvfs_contract::Mutation<&'a [u8]>;
