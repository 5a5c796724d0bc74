//! A session of an opener: the right to write, its last root, and the changes since the tree was
//! written.

use crate::bucket::Bucket;
use crate::head::Head;
use crate::names::Extent;
use crate::node::{Change, Value};
use crate::pages::{Pages, Written};
use crate::root::{Appended, Log, Root};
use crate::tree;
use kvfs_contract::{Entry, Guard, StoreError};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A session of an opener.
pub(crate) struct Session<B> {
    pub(crate) pages: Pages<B>,
    pub(crate) head: Head,
    /// The last root that was set, without its garbage.
    pub(crate) root: Root,
    pub(crate) log: Log,
    /// The changes in the root's log, by key.
    pub(crate) overlay: BTreeMap<Vec<u8>, Option<Value>>,
    /// At most so many of them are for keys whose pages in the tree nobody reads any more.
    pub(crate) shadows: usize,
    /// Pages to remove: nothing has referred to them since the last root.
    pub(crate) garbage: Vec<Extent>,
    pub(crate) state: State,
    /// A commit whose root may have been set or not, or may not count.
    pub(crate) unsettled: Option<Commit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Writable,
    /// A newer opener has the store.
    Fenced,
}

/// The state of the store once a root is set.
pub(crate) struct Commit {
    pub(crate) root: Root,
    pub(crate) value: Vec<u8>,
    pub(crate) appended: Appended,
    pub(crate) written: Written,
    pub(crate) changes: Vec<Change>,
    pub(crate) garbage: Vec<Extent>,
}

impl<B: Bucket> Session<B> {
    /// Returns the value of a key, or its location.
    pub(crate) fn find(&mut self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        if let Some(value) = self.overlay.get(key) {
            return Ok(value.clone());
        }
        let leaf = tree::leaf(&mut self.pages, self.root.tree, key)?;
        Ok(leaf.and_then(|leaf| leaf.get(key).cloned()))
    }

    pub(crate) fn holds(&mut self, guard: &Guard<&[u8]>) -> Result<bool, StoreError> {
        match (self.find(guard.key)?, guard.expected) {
            (None, None) => Ok(true),
            // A read is needed only if the lengths are equal.
            (Some(value), Some(expected)) if value.len() == expected.len() => {
                Ok(self.pages.value(&value)? == expected)
            }
            _ => Ok(false),
        }
    }

    /// Returns entries of a range while `take` accepts their bytes.
    pub(crate) fn page(
        &mut self,
        start: &[u8],
        end: &[u8],
        mut take: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
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
                // Takes the lesser key of both; of equal keys the new one counts.
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
                found.push(Entry { key: key.clone(), value: self.pages.value(value)? });
            }
            match stop {
                Some(stop) => low = stop,
                None => break,
            }
        }
        Ok(found)
    }

    /// Replaces the error for damage if a newer opener has removed what is missing.
    pub(crate) fn blame(&mut self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::Corrupt(_))
            && matches!(self.head.is_held(&self.pages.bucket), Ok(false))
        {
            self.state = State::Fenced;
            return StoreError::AccessDenied;
        }
        error
    }
}
