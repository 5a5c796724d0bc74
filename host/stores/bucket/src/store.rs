//! The store and its calls: a tree in the bucket, and the changes since it was written in memory
//! and in the root.

use crate::bucket::Bucket;
use crate::node::MAX_VALUE_BYTES;
use crate::session::{Session, State};
use crate::wire::MAX_KEY_BYTES;
use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, ScanBudget, StoreError, gather};
use std::fmt;

/// Most extents of garbage that a bucket fails to remove before the store takes no more changes.
const MAX_GARBAGE_EXTENTS: usize = 64 << 10;

const LIMITS: Limits = Limits::standard(true);

/// An ordered key-value store in a bucket.
///
/// [`KvStore`] is its contract. The functions below have no limits but [`MAX_KEY_BYTES`] and
/// [`MAX_VALUE_BYTES`].
///
/// # Two at once
///
/// The newer opener has the store. The older one's next [`BucketStore::change`] is not
/// acknowledged, and every later one fails with [`StoreError::AccessDenied`]. The newer one finds
/// everything that was acknowledged to the older.
///
/// # Memory
///
/// About 25 MiB of tree nodes, and the changes of at most one root, beside the arguments and
/// results of calls.
pub struct BucketStore<B>(pub(crate) Session<B>);

impl<B: Bucket> BucketStore<B> {
    /// Returns the value of a key.
    ///
    /// # Cost
    ///
    /// Nothing for a short value in a cached node. Otherwise a `get` of the bucket for each node on
    /// the way, and for each 64 KiB of a value of more than 2 KiB.
    pub fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let session = &mut self.0;
        session.settle()?;
        let found =
            session.find(key).and_then(|found| found.map(|value| session.pages.value(&value)).transpose());
        found.map_err(|error| session.blame(error))
    }

    /// Returns entries with `start <= key < end` in order while `take` accepts the sum of the
    /// lengths of key and value; an empty `end` is the end of the store.
    ///
    /// # Cost
    ///
    /// As [`BucketStore::value`] for each entry, and for each leaf whose entries are all removed.
    pub fn page(
        &mut self,
        start: &[u8],
        end: &[u8],
        take: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.0.settle()?;
        self.0.page(start, end, take).map_err(|error| self.0.blame(error))
    }

    /// Applies all mutations if all guards hold, or changes nothing. Of several mutations of one
    /// key the last counts.
    ///
    /// # Durability
    ///
    /// An acknowledged call is as safe as anything that the bucket acknowledged: see [`Bucket`].
    ///
    /// # Errors
    ///
    /// After [`StoreError::UnknownOutcome`] the call may have been applied; after any other error
    /// it was not.
    ///
    /// # Cost
    ///
    /// A `set` of up to 40 KiB and a `get` of 40 bytes; a `set` for each 64 KiB of a value of more
    /// than 2 KiB; and once in 24 KiB of changes a `set` for each node of the tree that changes,
    /// and a `delete` for its old page.
    pub fn change(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
    ) -> Result<(), StoreError> {
        let session = &mut self.0;
        session.settle()?;
        if session.state == State::Fenced {
            return Err(StoreError::AccessDenied);
        }
        for mutation in mutations {
            let value_bytes = mutation.value().map_or(0, <[u8]>::len);
            if mutation.key().len() > MAX_KEY_BYTES || value_bytes > MAX_VALUE_BYTES {
                return Err(StoreError::TooLarge);
            }
        }
        for guard in guards {
            if !session.holds(guard).map_err(|error| session.blame(error))? {
                return Err(StoreError::Conflict);
            }
        }
        if mutations.is_empty() {
            return Ok(());
        }
        if session.garbage.len() > MAX_GARBAGE_EXTENTS {
            session.sweep();
            if session.garbage.len() > MAX_GARBAGE_EXTENTS {
                return Err(StoreError::Unavailable("the bucket removes nothing any more".into()));
            }
        }
        let commit = session.prepare(mutations).map_err(|error| session.blame(error))?;
        session.commit(commit)
    }
}

impl<B: Bucket> KvStore for BucketStore<B> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        LIMITS.check_get(keys)?;
        gather(keys, |key| self.value(key))
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let mut page = ScanBudget::new(max_entries, max_bytes);
        self.page(start, end, |entry_bytes| page.take(entry_bytes))
    }

    // The bucket has one level: it keeps what it acknowledged.
    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        self.change(guards, mutations)
    }
}

impl<B> fmt::Debug for BucketStore<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Session { head, state, .. } = &self.0;
        f.debug_struct("BucketStore").field("opener", &head.opener).field("state", state).finish()
    }
}
