//! Commits: a root with the new changes, or the tree rewritten; and what to do about a root whose
//! `set` has an unknown outcome.

use crate::bucket::Bucket;
use crate::garbage::spill;
use crate::names::{Extent, PageId};
use crate::node::{Change, INLINE_BYTES, Value, logged_bytes, write_change};
use crate::pages::{Writer, Written};
use crate::root::{LOG_BYTES, ROOT_EXTENTS, Root};
use crate::session::{Commit, Session, State};
use crate::update::update;
use kvfs_contract::{Mutation, StoreError};
use std::collections::BTreeMap;

/// Most changes in a root that remove a key or give it a large value. Their old pages go when the
/// tree is written. With the file system's 32 KiB that is 4 MiB.
const MAX_SHADOWS: usize = 128;

impl<B: Bucket> Session<B> {
    /// Writes the pages that the next root will refer to.
    pub(crate) fn prepare(&mut self, mutations: &[Mutation<&[u8]>]) -> Result<Commit, StoreError> {
        let last: BTreeMap<&[u8], Option<&[u8]>> =
            mutations.iter().map(|mutation| (mutation.key(), mutation.value())).collect();
        let is_long = |value: &[u8]| value.len() > INLINE_BYTES;
        let bytes: usize = last.iter().map(|(key, value)| logged_bytes(key, *value)).sum();
        let shadows = last.values().filter(|value| value.is_none_or(is_long)).count();
        let fits = self.log.len() + bytes <= LOG_BYTES && self.shadows + shadows <= MAX_SHADOWS;
        let writes_pages = !fits || last.values().flatten().any(|value| is_long(value));
        // Nobody would remove the pages of an opener that writes after it was replaced.
        if writes_pages && !self.head.is_held(&self.pages.bucket)? {
            self.state = State::Fenced;
            return Err(StoreError::AccessDenied);
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
        // Removed last, because it lists the rest.
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

    /// Sets a root with the same contents.
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

    pub(crate) fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        match self.set_root(&commit.root, &commit.value) {
            Ok(()) => {}
            Err(StoreError::AccessDenied) => return Err(StoreError::AccessDenied),
            Err(_) => {
                self.unsettled = Some(commit);
                // The bucket may be able to tell by now.
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
        self.pages.bucket.set(&name, value).map_err(|error| error.at(&name))
    }

    /// Finds out whether a root of unknown outcome was set. Returns true if it counts now and did
    /// not before.
    pub(crate) fn settle(&mut self) -> Result<bool, StoreError> {
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
                // The next root takes its slot. Its pages are garbage, and their numbers are not
                // used again.
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
                Err(error.at(&name))
            }
            (_, Err(error)) => {
                self.unsettled = Some(commit);
                Err(error)
            }
        }
    }

    /// Brings the session to the state of a root that was set.
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

    /// Removes garbage. Pages that the bucket does not remove now are tried again after the next
    /// commit.
    pub(crate) fn sweep(&mut self) {
        while let Some(extent) = self.garbage.last() {
            if !extent.pages().all(|page| self.pages.bucket.delete(&page.name()).is_ok()) {
                return;
            }
            self.garbage.pop();
        }
    }
}

/// Returns whether a change may leave pages in the tree that nobody reads any more.
pub(crate) fn is_shadow(value: Option<&Value>) -> bool {
    !matches!(value, Some(Value::Inline(_)))
}
