//! The open store: a tree in the bucket, and the changes since it was written in memory and in the root.

use crate::bucket::{Bucket, BucketError};
use crate::error::StoreError;
use crate::head::Head;
use crate::names::{Extent, PageId};
use crate::node::{Change, INLINE_BYTES, Value, logged_bytes, write_change};
use crate::pages::{Pages, Writer, Written};
use crate::root::{Appended, LOG_BYTES, Log, ROOT_EXTENTS, Root};
use crate::tree;
use crate::update::update;
use crate::wire::{Read, Write, seal, unseal};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// Longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// Extents in a page of garbage.
const SPILLED_EXTENTS: usize = 2000;

/// Most extents that wait for a bucket which does not remove them, before nothing more is changed.
const MAX_GARBAGE_EXTENTS: usize = 64 << 10;

/// Most changes in a root that remove a key or give it a large value: the pages that it had go when the tree is
/// written. With the file system's 32 KiB that is 4 MiB.
const MAX_SHADOWS: usize = 128;

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

/// What becomes of the store when a root is set.
pub(crate) struct Commit {
    root: Root,
    value: Vec<u8>,
    appended: Appended,
    written: Written,
    changes: Vec<Change>,
    garbage: Vec<Extent>,
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

    /// Writes what a root is to refer to.
    fn prepare(&mut self, mutations: &[Mutation<'_>]) -> Result<Commit, StoreError> {
        let last: BTreeMap<&[u8], Option<&[u8]>> = mutations.iter().copied().collect();
        let is_long = |value: &[u8]| value.len() > INLINE_BYTES;
        let bytes: usize = last.iter().map(|(key, value)| logged_bytes(key, *value)).sum();
        let shadows = last.values().filter(|value| value.is_none_or(is_long)).count();
        let fits = self.log.len() + bytes <= LOG_BYTES && self.shadows + shadows <= MAX_SHADOWS;
        let writes_pages = !fits || last.values().flatten().any(|value| is_long(value));
        // Nobody removes the pages of an opener that writes when it is not its turn any more.
        if writes_pages && !self.head.is_held(&self.pages.bucket)? {
            self.state = State::Fenced;
            return Err(StoreError::Fenced);
        }
        let mut writer = Writer::new(&mut self.pages, self.head.opener, self.root.next);
        let mut changes: Vec<Change> = Vec::with_capacity(last.len());
        for (key, value) in last {
            let value = match value {
                Some(value) if is_long(value) => Some(writer.value(value)?),
                value => value.map(|value| Value::Inline(value.to_vec())),
            };
            if let Some(Some(replaced)) = self.overlay.get(key)
                && let Some(extent) = replaced.pages()
            {
                writer.free(extent);
            }
            changes.push((key.to_vec(), value));
        }
        let mut root = Root { generation: self.root.generation + 1, ..self.root.clone() };
        if !fits {
            let mut all = self.overlay.clone();
            all.extend(std::mem::take(&mut changes));
            let all: Vec<Change> = all.into_iter().collect();
            root.tree = update(&mut writer, root.tree, &all)?;
        }
        let mut garbage = self.garbage.clone();
        garbage.append(&mut writer.freed);
        root.garbage.clone_from(&garbage);
        if garbage.len() > ROOT_EXTENTS {
            root.spilled = Some(spill(&mut writer, &root.garbage.split_off(ROOT_EXTENTS))?);
        }
        // Last to be removed, as it says what else is.
        garbage.splice(0..0, root.spilled);
        root.next = writer.next;
        let written = writer.finish();
        let (value, appended) = if fits {
            let mut bytes = Vec::with_capacity(bytes);
            changes.iter().for_each(|(key, value)| write_change(&mut bytes, key, value.as_ref()));
            self.log.with(&bytes, &root)
        } else {
            self.log.without(&root)
        };
        Ok(Commit { root, value, appended, written, changes, garbage })
    }

    /// Sets a root that says the same.
    pub(crate) fn commit_nothing(&mut self) -> Result<(), StoreError> {
        let root = Root {
            generation: self.root.generation + 1,
            garbage: self.garbage.clone(),
            spilled: None,
            ..self.root.clone()
        };
        if root.garbage.len() > ROOT_EXTENTS {
            return Ok(());
        }
        let (value, appended) = self.log.with(b"", &root);
        let garbage = root.garbage.clone();
        self.commit(Commit {
            root,
            value,
            appended,
            written: Written { next: self.root.next, ..Written::default() },
            changes: Vec::new(),
            garbage,
        })
    }

    fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        match self.set_root(&commit.root, &commit.value) {
            Ok(()) => {}
            Err(StoreError::Denied) => return Err(StoreError::Denied),
            Err(_) => {
                self.unsettled = Some(commit);
                // Perhaps it says now what became of it.
                return match self.settle() {
                    Ok(true) => Ok(()),
                    _ => Err(StoreError::UnknownOutcome),
                };
            }
        }
        match self.head.is_held(&self.pages.bucket) {
            Ok(true) => {
                self.finish(commit);
                Ok(())
            }
            Ok(false) => {
                self.state = State::Fenced;
                Err(StoreError::UnknownOutcome)
            }
            Err(_) => {
                self.unsettled = Some(commit);
                Err(StoreError::UnknownOutcome)
            }
        }
    }

    pub(crate) fn set_root(&self, root: &Root, value: &[u8]) -> Result<(), StoreError> {
        let name = self.head.opener.root(root.generation);
        self.pages.bucket.set(&name, value).map_err(|error| StoreError::bucket(&name, &error))
    }

    /// Finds out what became of a root. Returns true if it counts now and did not before.
    fn settle(&mut self) -> Result<bool, StoreError> {
        let Some(commit) = self.unsettled.take() else { return Ok(false) };
        let name = self.head.opener.root(commit.root.generation);
        let found = self.pages.bucket.get(&name);
        let held = self.head.is_held(&self.pages.bucket);
        match (found, held) {
            (Ok(_), Ok(false)) => {
                self.state = State::Fenced;
                Ok(false)
            }
            (Ok(Some(value)), Ok(true)) if value == commit.value => {
                self.finish(commit);
                Ok(true)
            }
            (Ok(_), Ok(true)) => {
                // The next root takes its slot. Its pages are garbage, under numbers that are not used again.
                let first = PageId { opener: self.head.opener, number: self.root.next };
                let count = commit.written.next.saturating_sub(self.root.next);
                self.root.next = commit.written.next;
                if let Ok(count @ 1..) = u32::try_from(count) {
                    self.garbage.push(Extent { first, count });
                }
                Ok(false)
            }
            (Err(error), _) => {
                self.unsettled = Some(commit);
                Err(StoreError::bucket(&name, &error))
            }
            (_, Err(error)) => {
                self.unsettled = Some(commit);
                Err(error)
            }
        }
    }

    /// Makes the store what a root says that was set.
    fn finish(&mut self, mut commit: Commit) {
        self.pages.take_in(&mut commit.written);
        if commit.appended.empties() {
            self.overlay.clear();
            self.shadows = 0;
        }
        self.shadows += commit.changes.iter().filter(|(_, value)| is_shadow(value.as_ref())).count();
        self.log.append(commit.appended);
        self.overlay.extend(commit.changes);
        self.root = Root { garbage: Vec::new(), spilled: None, ..commit.root };
        self.garbage = commit.garbage;
        self.sweep();
    }

    /// Removes garbage. What the bucket does not remove now is tried again after the next commit.
    pub(crate) fn sweep(&mut self) {
        while let Some(extent) = self.garbage.last() {
            if !extent.pages().all(|page| self.pages.bucket.delete(&page.name()).is_ok()) {
                return;
            }
            self.garbage.pop();
        }
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

/// Returns whether a change may leave pages that nobody reads any more.
pub(crate) fn is_shadow(value: Option<&Value>) -> bool {
    !matches!(value, Some(Value::Inline(_)))
}

/// Writes pages that list garbage.
fn spill<B: Bucket>(writer: &mut Writer<'_, B>, garbage: &[Extent]) -> Result<Extent, StoreError> {
    let first = writer.next;
    let mut spilled = None;
    for extents in garbage.chunks(SPILLED_EXTENTS) {
        let id = writer.page(|name| {
            let mut out = Vec::new();
            out.u32(extents.len() as u32);
            extents.iter().for_each(|extent| extent.write(&mut out));
            seal(name, out)
        })?;
        spilled.get_or_insert(Extent { first: id, count: 0 }).count += 1;
    }
    debug_assert_eq!(spilled.map(|extent| extent.first.number), Some(first));
    spilled.ok_or_else(|| StoreError::Unavailable("there is no garbage".into()))
}

/// Reads the pages that list garbage. One that is missing was removed after what it lists.
pub(crate) fn spilled_garbage<B: Bucket>(
    pages: &Pages<B>,
    spilled: Extent,
) -> Result<Vec<Extent>, StoreError> {
    let mut garbage = Vec::new();
    for page in spilled.pages() {
        let name = page.name();
        let value =
            pages.bucket.get(&name).map_err(|error: BucketError| StoreError::bucket(&name, &error))?;
        let Some(value) = value else { continue };
        let extents = unseal(&name, &value).and_then(|bytes| {
            let mut from = Read(bytes);
            let count = from.u32()?;
            (0..count).map(|_| Extent::read(&mut from)).collect::<Option<Vec<_>>>()
        });
        garbage.extend(extents.ok_or_else(|| StoreError::damaged(&name, "is damaged"))?);
    }
    Ok(garbage)
}

impl<B> fmt::Debug for BucketStore<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketStore").field("opener", &self.head.opener).field("state", &self.state).finish()
    }
}
