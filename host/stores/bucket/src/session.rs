//! An opener of the store: the right to write, the root it set last, and the changes since the tree was written.

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

/// An opener of the store.
pub(crate) struct Session<B> {
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

/// What becomes of the store when a root is set.
pub(crate) struct Commit {
    pub(crate) root: Root,
    pub(crate) value: Vec<u8>,
    pub(crate) appended: Appended,
    pub(crate) written: Written,
    pub(crate) changes: Vec<Change>,
    pub(crate) garbage: Vec<Extent>,
}

impl<B: Bucket> Session<B> {
    /// Returns the value of a key, or where it is.
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
            // Read only where the length does not decide.
            (Some(value), Some(expected)) if value.len() == expected.len() => {
                Ok(self.pages.value(&value)? == expected)
            }
            _ => Ok(false),
        }
    }

    /// Returns entries of a range, as long as `take` says yes to their bytes.
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
                found.push(Entry { key: key.clone(), value: self.pages.value(value)? });
            }
            match stop {
                Some(stop) => low = stop,
                None => break,
            }
        }
        Ok(found)
    }

    /// Says that the store is a newer opener's if that is why something is missing.
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
