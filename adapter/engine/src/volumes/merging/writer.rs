//! Puts records into the layer of a merge.

use super::objects::{Id, Objects, Slot};
use super::output::Output;
use super::sides::Sides;
use super::told::Merged;
use crate::error::Result;
use crate::quota::Used;
use crate::store::KvStore;
use crate::stored::record::superblock::Superblock;
use crate::types::InodeNo;
use crate::volumes::stored::StoredVolume;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Writes one merge.
pub(super) struct Writer<'m> {
    pub(super) store: &'m mut dyn KvStore,
    pub(super) sides: &'m mut Sides,
    pub(super) objects: &'m Objects,
    pub(super) output: Output,
    pub(super) superblock: Superblock,
    /// Numbers of objects that are new here.
    pub(super) numbers: BTreeMap<Id, InodeNo>,
    /// The objects that have the names which may differ, after the merge.
    pub(super) names: BTreeMap<Slot, Id>,
    /// What the merge adds to the usage, and what it takes away.
    pub(super) more: Used,
    pub(super) less: Used,
    pub(super) done: Merged,
    /// Somebody was faster.
    pub(super) is_late: bool,
    /// The files' marks of scrubbing mean the same in both volumes.
    pub(super) has_same_marks: bool,
}

impl<'m> Writer<'m> {
    pub(super) fn new(
        store: &'m mut dyn KvStore,
        sides: &'m mut Sides,
        objects: &'m Objects,
        output: Output,
    ) -> Self {
        let superblock = sides.into.volume.superblock.clone();
        let settings = |volume: &'_ StoredVolume| volume.settings.as_ref().map(|(record, _)| record.clone());
        let (theirs, ours) = (settings(&sides.from.volume), settings(&sides.into.volume));
        let has_same_marks = theirs.unwrap_or_default().says_what(&ours.unwrap_or_default());
        Self {
            store,
            sides,
            objects,
            output,
            superblock,
            numbers: BTreeMap::new(),
            names: BTreeMap::new(),
            more: Used::default(),
            less: Used::default(),
            done: Merged::default(),
            is_late: false,
            has_same_marks,
        }
    }

    /// The number of an object after the merge.
    pub(super) fn number(&self, id: Id) -> InodeNo {
        self.numbers.get(&id).copied().unwrap_or_else(|| self.objects.ino_of(id).0)
    }

    fn note(&mut self, outcome: ControlFlow<()>) {
        self.is_late |= outcome.is_break();
    }

    pub(super) fn put(&mut self, key: Vec<u8>, encode: impl FnOnce(&[u8], &mut Vec<u8>)) -> Result<()> {
        if !self.is_late {
            let outcome = self.output.put(self.store, &mut self.sides.into, key, encode)?;
            self.note(outcome);
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, key: Vec<u8>) -> Result<()> {
        if !self.is_late {
            let outcome = self.output.delete(self.store, &mut self.sides.into, key)?;
            self.note(outcome);
        }
        Ok(())
    }
}
