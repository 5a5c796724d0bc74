//! A volume's layers and the image below them, if there is one, as one store. So the rest of a check
//! and of a repair need not know of them. The invariants about what lies below are checked here.

use super::picture::{Above, Picture, inode_number};
use super::report::{Finding, Invariant, Report};
use crate::backing::chain::Chain;
use crate::backing::journal_view;
use crate::backing::overlay::{Found, Layers, Lower, move_value, sealing_key};
use crate::error::{Error, Result};
use crate::quota::Used;
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::dentry::is_storable_name;
use crate::stored::record::journal::Changes;
use crate::stored::record::superblock::Superblock;
use crate::stored::record::{is_tombstone, tombstone};
use crate::types::ImageId;
use std::collections::BTreeSet;

pub(super) struct Layered<'s> {
    store: &'s mut dyn KvStore,
    keys: KeySpace,
    lower: Option<Lower>,
    max_keys: usize,
}

impl<'s> Layered<'s> {
    /// Finds the layers of the volume that `keys` are of.
    ///
    /// # Errors
    /// The store's, and [`Error::Damaged`] if the layers cannot be found.
    pub(super) fn new(store: &'s mut dyn KvStore, mut keys: KeySpace, lower: Option<Lower>) -> Result<Self> {
        let max_keys = store.limits()?.max_batch_entries as usize;
        let value = store.get(&[keys.superblock()])?.into_iter().next().flatten();
        let superblock = value.and_then(|value| Superblock::decode(keys.superblock(), &value).ok());
        match superblock {
            Some(superblock) => Chain::read(store, &superblock, &keys)?.set_in(&mut keys),
            // Others may live on what has the volume's name.
            None if store.get(&[&keys.own_layer().header()])?.into_iter().flatten().next().is_some() => {
                return Err(Error::NoEntry);
            }
            None => {}
        }
        Ok(Layered { store, keys, lower, max_keys })
    }

    /// The keys of the volume's records, in its layers.
    pub(super) fn keys(&self) -> &KeySpace {
        &self.keys
    }

    fn layers<'l>(&'l mut self, changes: &'l Changes) -> Layers<'l> {
        let lower = self.lower.as_mut();
        Layers { lower, ..Layers::of_store(self.store, &self.keys, changes, self.max_keys) }
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
        let (mut written, mut own, mut named) = (false, BTreeSet::new(), BTreeSet::new());
        let mut above = Above::default();
        for (mut start, end) in keys.record_ranges() {
            loop {
                let (max_entries, max_bytes) = (limits.max_batch_entries, limits.max_batch_bytes);
                let page = self.scan_store(changes, &start, &end, max_entries, max_bytes)?;
                let Some(last) = page.last() else { break };
                start.clone_from(&last.key);
                start.push(0);
                for entry in &page {
                    let Some((tag, rest)) = keys.split_any(&entry.key) else { continue };
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

    /// Scans what the store has of the volume, without the image. Tombstones of the top layer are
    /// included if there is no other.
    fn scan_store(
        &mut self,
        changes: &Changes,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>> {
        if self.keys.layers_below() == 0 {
            return Ok(journal_view::scan(self.store, changes, start, end, max_entries, max_bytes)?);
        }
        let layers = Layers { lower: None, ..self.layers(changes) };
        Ok(layers.scan(start, end, max_entries, max_bytes)?.entries)
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
        let found = self.layers(&Changes::new()).get(keys).map_err(to_store_error)?;
        let value = |(key, found): (&&[u8], Option<Found>)| {
            let found = found?;
            let from = sealing_key(&self.keys, self.lower.as_ref(), &found, key).into_owned();
            let mut value = found.value.into_owned();
            move_value(&from, key, &mut value);
            Some(value)
        };
        Ok(keys.iter().zip(found).map(value).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> std::result::Result<Vec<Entry>, StoreError> {
        self.layers(&Changes::new())
            .scan(start, end, max_entries, max_bytes)
            .map(|page| page.entries)
            .map_err(to_store_error)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> std::result::Result<(), StoreError> {
        let deleted: Vec<&[u8]> = mutations
            .iter()
            .filter_map(|mutation| if let Mutation::Delete { key } = mutation { Some(*key) } else { None })
            .collect();
        let changes = Changes::new();
        let below = Layers { first_layer: 1, ..self.layers(&changes) };
        let mut found = below.get(&deleted).map_err(to_store_error)?.into_iter();
        let tombstones: Vec<_> = mutations
            .iter()
            .map(|mutation| match mutation {
                Mutation::Delete { key } => found.next().flatten().map(|_| tombstone(key)),
                Mutation::Put { .. } => None,
            })
            .collect();
        let hiding = mutations.iter().zip(&tombstones).map(|(mutation, value)| match (*mutation, value) {
            (Mutation::Delete { key }, Some(value)) => Mutation::Put { key, value },
            (mutation, _) => mutation,
        });
        self.store.apply(guards, &hiding.collect::<Vec<_>>(), level)
    }
}
