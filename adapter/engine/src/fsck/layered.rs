//! A store and the image below it, if there is one, as one store. So the rest of a check and of a
//! repair need not know of images. The invariants about layers are checked here.

use super::picture::{Above, Picture, inode_number};
use super::report::{Finding, Invariant, Report};
use crate::backing::journal_view;
use crate::backing::overlay::{self, Lower};
use crate::error::{Error, Result};
use crate::quota::Used;
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::Value;
use crate::stored::record::dentry::is_storable_name;
use crate::stored::record::journal::Changes;
use crate::stored::record::superblock::Superblock;
use crate::stored::record::{is_tombstone, tombstone};
use crate::types::ImageId;
use std::collections::BTreeSet;

pub(super) struct Layered<'s> {
    store: &'s mut dyn KvStore,
    lower: Option<Lower>,
}

impl<'s> Layered<'s> {
    pub(super) fn new(store: &'s mut dyn KvStore, lower: Option<Lower>) -> Self {
        Layered { store, lower }
    }

    /// The image below, if there is one.
    pub(super) fn image(&self) -> Option<&ImageId> {
        self.lower.as_ref().map(Lower::id)
    }

    /// Checks the two marks that let readers skip the store. A superblock says that nothing was
    /// written above the image; and if a directory's own record is the image's, so are its names.
    /// `changes` are committed and not in place yet.
    pub(super) fn check(
        &mut self,
        keys: &KeySpace,
        changes: &Changes,
        picture: &mut Picture,
        report: &mut Report,
    ) -> Result<()> {
        if self.lower.is_none() {
            return Ok(());
        }
        let limits = self.store.limits()?;
        let (mut start, end) = keys.volume_range();
        let (mut written, mut own, mut named) = (false, BTreeSet::new(), BTreeSet::new());
        let mut above = Above::default();
        loop {
            let (max_entries, max_bytes) = (limits.max_batch_entries, limits.max_batch_bytes);
            let page = journal_view::scan(self.store, changes, &start, &end, max_entries, max_bytes)?;
            let Some(last) = page.last() else { break };
            start.clone_from(&last.key);
            start.push(0);
            for entry in &page {
                let Some((tag, rest)) = keys.split(&entry.key) else { continue };
                written |= !matches!(tag, tag::SUPERBLOCK | tag::SETTINGS);
                if !is_tombstone(&entry.key, &entry.value) {
                    note_above(&mut above, picture, keys, &entry.key);
                }
                match (tag, inode_number(rest)) {
                    (tag::INODE, Some((ino, _))) => drop(own.insert(ino)),
                    (tag::DENTRY, Some((ino, _))) => drop(named.insert(ino)),
                    _ => {}
                }
            }
        }
        let mut found = |key: Vec<u8>, what: &str| {
            report.findings.push(Finding { invariant: Invariant::Layer, key, what: what.into(), path: None });
        };
        (picture.written, picture.above) = (written, Some(above));
        if written && picture.superblock.as_ref().is_some_and(Superblock::is_as_its_image) {
            found(
                keys.superblock().to_vec(),
                "it says that nothing was written above the image, and something was",
            );
        }
        for ino in named.difference(&own).filter(|ino| picture.inodes.contains_key(ino)) {
            let mut key = Vec::new();
            keys.inode(*ino, &mut key);
            found(key, "the image's is all there is of it, while the store has names of this directory");
            picture.hidden_names.insert(*ino);
        }
        Ok(())
    }
}

/// Notes a record in the store that a quota counts.
fn note_above(above: &mut Above, picture: &Picture, keys: &KeySpace, key: &[u8]) {
    let Some((tag, rest)) = keys.split(key) else { return };
    let Some((ino, rest)) = inode_number(rest) else { return };
    match tag {
        tag::INODE if rest.is_empty() => drop(above.inodes.insert(ino)),
        tag::DENTRY => {
            if let Some(name) = keys.dentry_name(ino, key).filter(|name| is_storable_name(name)) {
                above.names = above.names.and(Used::name(name));
            }
        }
        tag::EXTENT => {
            let extent_bytes = picture.superblock.as_ref().map_or(1, |superblock| superblock.extent_bytes);
            let end = picture.inodes.get(&ino).map_or(0, |inode| inode.extents_end(extent_bytes.into()));
            if keys.extent_index(ino, key).is_some_and(|index| index < end) {
                *above.extents.entry(ino).or_default() += 1;
            }
        }
        _ => {}
    }
}

fn to_store_error(error: Error) -> StoreError {
    match error {
        Error::Store(error) => error,
        error => StoreError::Corrupt(error.to_string()),
    }
}

impl KvStore for Layered<'_> {
    fn limits(&mut self) -> std::result::Result<Limits, StoreError> {
        self.store.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> std::result::Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = overlay::get(Some(self.store), &Changes::new(), self.lower.as_mut(), keys);
        let values = values.map_err(to_store_error)?;
        Ok(values.into_iter().map(|value| value.map(Value::into_owned)).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> std::result::Result<Vec<Entry>, StoreError> {
        let lower = self.lower.as_mut();
        overlay::scan(Some(self.store), &Changes::new(), lower, start, end, max_entries, max_bytes)
            .map(|page| page.entries)
            .map_err(to_store_error)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> std::result::Result<(), StoreError> {
        let mut tombstones = Vec::new();
        for mutation in mutations {
            tombstones.push(match (mutation, &mut self.lower) {
                (Mutation::Delete { key }, Some(lower)) => {
                    lower.get(key).map_err(to_store_error)?.map(|_| tombstone(key))
                }
                _ => None,
            });
        }
        let hiding = mutations.iter().zip(&tombstones).map(|(mutation, value)| match (*mutation, value) {
            (Mutation::Delete { key }, Some(value)) => Mutation::Put { key, value },
            (mutation, _) => mutation,
        });
        self.store.apply(guards, &hiding.collect::<Vec<_>>(), level)
    }
}
