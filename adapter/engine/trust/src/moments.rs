//! The states that a cut of a run may leave: the reference at one of its moments, not older than
//! the last promise.

use crate::model::Id;
use crate::ops::{Op, Setup};
use crate::run::{Check, Moment, Runner, TestClock};
use crate::store::{Applied, TestStore};
use crate::tree::{self, Leaf, Tree};
use kvfs::{Access, Follow, Kind, Mode, OpenFlags, Options, Quota, Volume};
use std::collections::BTreeMap;

/// A finished run: the applies that reached the store, and the moments.
pub struct Ran<'s> {
    pub setup: &'s Setup,
    pub log: Vec<Applied>,
    pub moments: Vec<Moment>,
    trees: Vec<Option<Tree>>,
}

impl Ran<'_> {
    /// Runs the operations on a new volume in the store.
    pub fn new<'s>(setup: &'s Setup, ops: &[Op], store: TestStore) -> Result<Ran<'s>, String> {
        let runner = Runner::new(setup, store, true)?;
        Ran::with(setup, ops, runner)
    }

    /// Runs the operations with a runner that keeps moments.
    pub fn with<'s>(setup: &'s Setup, ops: &[Op], mut runner: Runner) -> Result<Ran<'s>, String> {
        let store = runner.store.clone();
        for (index, op) in ops.iter().enumerate() {
            runner.step(index, op)?;
        }
        let moments = std::mem::take(&mut runner.moments);
        drop(runner);
        let log = std::mem::take(&mut store.0.borrow_mut().log);
        Ok(Ran { setup, log, trees: vec![None; moments.len()], moments })
    }

    fn tree(&mut self, moment: usize) -> &Tree {
        let model = &self.moments[moment].model;
        self.trees[moment].get_or_insert_with(|| tree::of_model(model))
    }

    /// Opens the volume on what a cut left, without a quota, so that files can grow.
    pub fn open(&self, store: &TestStore) -> Result<Volume, String> {
        let options = Options { mode: Mode::Close, quota: Some(Quota::default()), ..self.setup.options() };
        let volume = self.setup.open(Box::new(store.clone()), Box::new(TestClock::default()), options);
        volume.map_err(|error| format!("opening: {error:?}"))
    }

    /// The number of applies that create the volume.
    pub fn first(&self) -> usize {
        self.moments[0].applies
    }

    /// Returns whether the first `applies` applies end inside a split commit.
    pub fn is_split(&self, applies: usize) -> bool {
        let open = |split: bool, applied: &Applied| (split || applied.is_stage()) && !applied.ends_commit();
        self.log[..applies].iter().fold(false, open)
    }

    /// The range of moments that a store with the first `applies` applies may show.
    pub fn bounds(&self, applies: usize) -> (usize, usize) {
        let highest = self.moments.iter().position(|moment| moment.applies >= applies);
        let highest = highest.unwrap_or(self.moments.len() - 1);
        let before = self.moments.iter().take_while(|moment| moment.applies <= applies);
        let lowest = before.map(|moment| moment.stored).max().unwrap_or(0);
        // A promise that needed no apply holds already.
        (lowest, highest.max(lowest))
    }

    /// Accepts `found` if it is one of these moments, or one of them with part of the operations
    /// that followed it.
    pub fn check_found(&mut self, found: &Tree, split: bool, lowest: usize, highest: usize) -> Check {
        if (lowest..=highest).rev().any(|moment| *self.tree(moment) == *found)
            || (lowest..=highest).any(|moment| self.is_under_way(moment, highest, split, found))
        {
            return Ok(());
        }
        let what = tree::difference(self.tree(highest), found).unwrap_or_default();
        Err(format!("no moment from {lowest} to {highest} (split: {split}); beside the last: {what}"))
    }

    /// Returns whether `found` is this moment with as much of the following operations as may show.
    ///
    /// A write to new extents below the file's stored end may be stored piece by piece: its start,
    /// up to the end of an extent. A split commit may also have put the bytes of later writes in
    /// place.
    fn is_under_way(&mut self, base: usize, highest: usize, split: bool, found: &Tree) -> bool {
        if split && differs_in_bytes_only(&self.tree(base).clone(), &self.moments[base + 1..=highest], found)
        {
            return true;
        }
        let Some((next, Some((id, offset, data)))) =
            self.moments.get(base + 1).map(|next| (next, &next.wrote))
        else {
            return false;
        };
        let extent_bytes = u64::from(self.setup.extent_bytes);
        let mut ends =
            (1..data.len()).filter(|length| (offset + *length as u64).is_multiple_of(extent_bytes));
        base < highest
            && ends.any(|length| {
                let mut model = self.moments[base].model.clone();
                model.now = next.model.now;
                let wrote = model.write(*id, kvfs::At::Offset(*offset), &data[..length]);
                let tree = tree::of_model(&model);
                let later = &self.moments[base + 1..=highest];
                wrote.is_ok() && (tree == *found || (split && differs_in_bytes_only(&tree, later, found)))
            })
    }
}

/// Returns whether `found` is `expected` except for bytes that the writes `since` have put there,
/// as a split commit may leave it.
fn differs_in_bytes_only(expected: &Tree, since: &[Moment], found: &Tree) -> bool {
    let mut written: BTreeMap<Id, Vec<(u64, &[u8])>> = BTreeMap::new();
    for (id, offset, data) in since.iter().filter_map(|moment| moment.wrote.as_ref()) {
        written.entry(*id).or_default().push((*offset, data));
    }
    expected.len() == found.len()
        && expected.iter().all(|(path, expected)| {
            let Some(found) = found.get(path) else { return false };
            let without_bytes = |leaf: &Leaf| Leaf { regions: Vec::new(), ..leaf.clone() };
            let writes = written.get(&expected.id).map(Vec::as_slice).unwrap_or_default();
            let put = |at: u64, byte: u8| {
                let hit = |(offset, data): &(u64, &[u8])| {
                    at.checked_sub(*offset).and_then(|within| data.get(within as usize)) == Some(&byte)
                };
                writes.iter().any(hit)
            };
            without_bytes(expected) == without_bytes(found)
                && expected.regions.iter().zip(&found.regions).all(|((start, expected), (_, found))| {
                    let same_or_put = |(at, (a, b)): (u64, (&u8, &u8))| a == b || put(at, *b);
                    expected.len() == found.len()
                        && (*start..).zip(expected.iter().zip(found)).all(same_or_put)
                })
        })
}

/// Requires that fsck finds nothing.
pub fn check_sound(store: &TestStore, setup: &Setup, when: &str) -> Check {
    let report = setup.fsck(&mut store.clone()).map_err(|error| format!("fsck, {when}: {error:?}"))?;
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => Err(format!("fsck, {when}: {finding}")),
    }
}

/// Grows every file over what a cut may have left behind its end, and requires zeros there.
pub fn grow_everything(volume: &mut Volume, found: &Tree, setup: &Setup) -> Check {
    let fail = |error: kvfs::Error| format!("growing: {error:?}");
    let root = volume.root().map_err(fail)?;
    for (path, leaf) in found.iter().filter(|(_, leaf)| leaf.kind == Kind::File) {
        let write = Access { read: true, write: true, ..Access::default() };
        let file = volume.open_at(&root, path, Follow::No, OpenFlags::default(), write).map_err(fail)?;
        let by = 20 * u64::from(setup.extent_bytes) + 5;
        if leaf.size > 1 << 50 {
            volume.close(file).map_err(fail)?;
            continue;
        }
        // Half the files grow by a hole, half by a byte far behind the end.
        if leaf.id % 2 == 0 {
            volume.set_size(&file, leaf.size + by).map_err(fail)?;
        } else {
            volume.write(&file, kvfs::At::Offset(leaf.size + by), &[0]).map_err(fail)?;
        }
        let mut bytes = Vec::new();
        volume.read(&file, leaf.size, by as usize, &mut bytes).map_err(fail)?;
        if let Some(at) = bytes.iter().position(|byte| *byte != 0) {
            return Err(format!(
                "{path:?} of {} bytes grew, and at {at} behind its end was {}",
                leaf.size, bytes[at]
            ));
        }
        volume.close(file).map_err(fail)?;
    }
    volume.close(root).map_err(fail)?;
    volume.sync_all().map_err(fail)
}
