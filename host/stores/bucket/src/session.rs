//! The open store: a tree in the bucket, and the changes since it was written in memory and in the root.

use crate::bucket::Bucket;
use crate::commit::Commit;
use crate::error::StoreError;
use crate::head::Head;
use crate::names::Extent;
use crate::node::Value;
use crate::pages::Pages;
use crate::root::{Log, Root};
use crate::tree;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// Longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// Most extents that wait for a bucket which does not remove them, before nothing more is changed.
const MAX_GARBAGE_EXTENTS: usize = 64 << 10;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// A change of one key: its new value, or none to remove it.
pub type Mutation<'a> = (&'a [u8], Option<&'a [u8]>);

/// An ordered key-value store in a bucket.
///
/// # Two at once
///
/// The newer opener has the store. The older one's next [`BucketStore::apply`] is not acknowledged, and every later
/// one fails with [`StoreError::Fenced`]; what it had been acknowledged is in the newer one's store.
///
/// # Memory
///
/// Some 25 MiB of tree nodes and the changes of at most one root, beside what a call takes and returns.
pub struct BucketStore<B> {
    pub(crate) pages: Pages<B>,
    pub(crate) head: Head,
    /// The last root that was set, without its garbage.
    pub(crate) root: Root,
    pub(crate) log: Log,
    /// What the log of the root says of each key.
    pub(crate) overlay: BTreeMap<Vec<u8>, Option<Value>>,
    /// How many of them, at most, are for keys whose pages in the tree nobody reads any more.
    pub(crate) shadows: usize,
    /// Pages to remove: nothing refers to them from the last root on.
    pub(crate) garbage: Vec<Extent>,
    pub(crate) state: State,
    /// A root of which it is not known whether it was set, or counts.
    pub(crate) unsettled: Option<Commit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Writable,
    /// A newer opener has the store.
    Fenced,
}

impl<B: Bucket> BucketStore<B> {
    /// Returns the value of a key.
    ///
    /// # Cost
    ///
    /// Nothing for a short value in a node that is in memory; else a `get` of the bucket for each node on the way,
    /// and for each 64 KiB of a value of more than 2 KiB.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.settle()?;
        self.try_get(key).map_err(|error| self.blame(error))
    }

    fn try_get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.find(key)?.map(|value| self.pages.value(&value)).transpose()
    }

    fn find(&mut self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        if let Some(value) = self.overlay.get(key) {
            return Ok(value.clone());
        }
        let leaf = tree::leaf(&mut self.pages, self.root.tree, key)?;
        Ok(leaf.and_then(|leaf| leaf.get(key).cloned()))
    }

    /// Returns entries with `start <= key < end` in order, as long as `take` says yes to the sum of the lengths of key
    /// and value; an empty `end` is the end of the store.
    ///
    /// # Cost
    ///
    /// As [`BucketStore::get`] for each entry, and for each leaf with nothing but removed entries.
    pub fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        take: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Entry>, StoreError> {
        self.settle()?;
        self.try_scan(start, end, take).map_err(|error| self.blame(error))
    }

    fn try_scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        mut take: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut found = Vec::new();
        let mut low = start.to_vec();
        let before_end = |key: &[u8]| end.is_empty() || key < end;
        while before_end(&low) {
            let leaf = tree::leaf(&mut self.pages, self.root.tree, &low)?;
            let stop = leaf.as_ref().and_then(|leaf| leaf.end.clone());
            let in_leaf = |key: &[u8]| before_end(key) && stop.as_ref().is_none_or(|stop| key < &stop[..]);
            let entries = leaf.as_ref().map_or(&[][..], |leaf| leaf.from(&low));
            let mut old = entries.iter().take_while(|(key, _)| in_leaf(key)).peekable();
            let from_low = (Bound::Included(&low[..]), Bound::Unbounded);
            let mut new =
                self.overlay.range::<[u8], _>(from_low).take_while(|(key, _)| in_leaf(key)).peekable();
            loop {
                // The lesser key of both; of two that are the same, the new one counts.
                let (key, value) = match (old.peek().copied(), new.peek().copied()) {
                    (None, None) => break,
                    (Some((key, value)), newer) if newer.is_none_or(|(newer, _)| key < newer) => {
                        old.next();
                        (key, Some(value))
                    }
                    (_, Some((key, value))) => {
                        old.next_if(|(older, _)| older == key);
                        new.next();
                        (key, value.as_ref())
                    }
                    (Some(_), None) => break,
                };
                let Some(value) = value else { continue };
                if !take(key.len() + value.len()) {
                    return Ok(found);
                }
                found.push((key.clone(), self.pages.value(value)?));
            }
            match stop {
                Some(stop) => low = stop,
                None => break,
            }
        }
        Ok(found)
    }

    /// Applies all mutations if every guard's key has the value it names, or changes nothing. Of several mutations
    /// of one key the last counts.
    ///
    /// # Durability
    ///
    /// What is acknowledged is as safe as anything that the bucket acknowledged: see [`Bucket`].
    ///
    /// # Errors
    ///
    /// After [`StoreError::UnknownOutcome`] the call may have been applied; after any other error it was not.
    ///
    /// # Cost
    ///
    /// A `set` of up to 40 KiB and a `get` of 40 bytes; a `set` for each 64 KiB of a value of more than 2 KiB; and once
    /// in 24 KiB of changes a `set` for each node of the tree that changes, and a `delete` for its old page.
    pub fn apply(&mut self, guards: &[Mutation<'_>], mutations: &[Mutation<'_>]) -> Result<(), StoreError> {
        self.settle()?;
        if self.state == State::Fenced {
            return Err(StoreError::Fenced);
        }
        for (key, value) in mutations {
            if key.len() > MAX_KEY_BYTES || value.is_some_and(|value| value.len() > MAX_VALUE_BYTES) {
                return Err(StoreError::TooLarge);
            }
        }
        for (key, expected) in guards {
            let holds = match (self.find(key).map_err(|error| self.blame(error))?, expected) {
                (None, None) => true,
                (Some(value), Some(expected)) if value.len() == expected.len() => {
                    self.pages.value(&value).map_err(|error| self.blame(error))? == *expected
                }
                _ => false,
            };
            if !holds {
                return Err(StoreError::Conflict);
            }
        }
        if mutations.is_empty() {
            return Ok(());
        }
        if self.garbage.len() > MAX_GARBAGE_EXTENTS {
            self.sweep();
            if self.garbage.len() > MAX_GARBAGE_EXTENTS {
                return Err(StoreError::Unavailable("the bucket removes nothing any more".into()));
            }
        }
        let commit = self.prepare(mutations).map_err(|error| self.blame(error))?;
        self.commit(commit)
    }

    /// Says that the store is a newer opener's if that is why something is missing.
    fn blame(&mut self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::Corrupt(_))
            && matches!(self.head.is_held(&self.pages.bucket), Ok(false))
        {
            self.state = State::Fenced;
            return StoreError::Fenced;
        }
        error
    }
}

impl<B> fmt::Debug for BucketStore<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketStore").field("opener", &self.head.opener).field("state", &self.state).finish()
    }
}
