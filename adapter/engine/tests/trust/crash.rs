//! Cuts after every apply. What is found must be the reference at some moment, and not an old one.
//!
//! A kill loses what was not applied; a crash loses in addition the applies behind the last durable
//! one, or some of them from the end. Either way a prefix of the log is left, so looking at every
//! prefix looks at every cut. How old the moment may be is a matter of what was acknowledged before
//! the prefix was complete: `Moment::stored` for a kill, `Moment::durable` for a crash, which is the
//! weaker one wherever it differs; that a sync left nothing behind the last durable apply is checked
//! by the runner.

use crate::model::{Id, What};
use crate::ops::{Op, Setup};
use crate::run::{Check, Moment, Runner, TestClock};
use crate::shrink::{first_failure, no_seed_fails};
use crate::store::{Applied, Map, Sabotage, TestStore, tag_of};
use crate::tree::{self, Leaf, Tree};
use kvfs::{Access, Follow, Kind, Mode, OpenFlags, SetTime, Volume};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

pub static CUTS: AtomicU64 = AtomicU64::new(0);
static SPLIT_CUTS: AtomicU64 = AtomicU64::new(0);
static JOURNAL_CUTS: AtomicU64 = AtomicU64::new(0);
static RECOVERY_CUTS: AtomicU64 = AtomicU64::new(0);

/// Runs a sequence, then looks at every cut of it.
pub fn sweep(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Check {
    let store = TestStore::new(setup.limits);
    store.0.borrow_mut().sabotage = sabotage;
    let mut runner = Runner::new(setup, store.clone(), true)?;
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op)?;
    }
    let (log, moments) = (std::mem::take(&mut store.0.borrow_mut().log), std::mem::take(&mut runner.moments));
    drop(runner);
    let mut sweep = Sweep { setup, log: &log, moments: &moments, trees: vec![None; moments.len()] };
    sweep.check_prefixes()
}

struct Sweep<'s> {
    setup: &'s Setup,
    log: &'s [Applied],
    moments: &'s [Moment],
    trees: Vec<Option<Tree>>,
}

impl Sweep<'_> {
    fn tree(&mut self, moment: usize) -> &Tree {
        let model = &self.moments[moment].model;
        self.trees[moment].get_or_insert_with(|| tree::of_model(model))
    }

    fn check_prefixes(&mut self) -> Check {
        let mut map = Map::new();
        let first = self.moments[0].applies;
        let mut split = false;
        for cut in 1..=self.log.len() {
            let applied = &self.log[cut - 1];
            applied.replay(&mut map);
            split = (split || applied.is_stage()) && !applied.ends_commit();
            if cut < first {
                continue;
            }
            let highest = self.moments.iter().position(|moment| moment.applies >= cut);
            let highest = highest.unwrap_or(self.moments.len() - 1);
            let lowest =
                self.moments.iter().take_while(|moment| moment.applies <= cut).map(|moment| moment.stored);
            let lowest = lowest.max().unwrap_or(0);
            // A promise that needed no apply is kept by what was there.
            let highest = highest.max(lowest);
            CUTS.fetch_add(1, Ordering::Relaxed);
            self.check_cut(cut, &map, split, lowest, highest)
                .map_err(|what| format!("cut after apply {cut} of {}: {what}", self.log.len()))?;
        }
        Ok(())
    }

    fn open(&self, map: &Map) -> Result<(TestStore, Volume), String> {
        let store = TestStore::from_map(map.clone(), self.setup.limits);
        store.0.borrow_mut().scan_entries_max = self.setup.scan_entries_max;
        // What is found is made to grow.
        let quota = Some(kvfs::Quota::default());
        let options = kvfs::Options { mode: Mode::Close, quota, ..self.setup.options() };
        let volume = self.setup.open(Box::new(store.clone()), Box::new(TestClock::default()), options);
        Ok((store, volume.map_err(|error| format!("opening: {error:?}"))?))
    }

    fn check_cut(&mut self, cut: usize, map: &Map, split: bool, lowest: usize, highest: usize) -> Check {
        check_sound(map, self.setup, "as it is found")?;
        let (store, mut volume) = self.open(map)?;
        let found = tree::of_volume(&mut volume).map_err(|error| format!("reading: {error:?}"))?;
        if !(lowest..=highest).rev().any(|moment| *self.tree(moment) == found)
            && !(lowest..=highest).any(|moment| self.is_under_way(moment, highest, split, &found))
        {
            let expected = self.tree(highest).clone();
            let what = tree::difference(&expected, &found).unwrap_or_default();
            return Err(format!(
                "no moment from {lowest} to {highest} (split: {split}); beside the last: {what}"
            ));
        }
        if split {
            SPLIT_CUTS.fetch_add(1, Ordering::Relaxed);
        }
        // What a journal is about to change, or what one left, is looked at as closely.
        let journal = map.keys().any(|key| tag_of(key) == 0x02);
        if journal {
            JOURNAL_CUTS.fetch_add(1, Ordering::Relaxed);
        }
        if split || (journal && cut.is_multiple_of(2)) || cut.is_multiple_of(4) {
            grow_everything(&mut volume, &found, self.setup)?;
            check_sound(&store.0.borrow().map, self.setup, "after files grew")?;
        }
        if split || (journal && cut.is_multiple_of(3)) || cut.is_multiple_of(7) {
            self.check_recovery(map, &found)?;
        }
        Ok(())
    }

    /// Whether this is a moment with what came under way after it, as far as that may show.
    ///
    /// A write to new extents below the file's stored end may be stored piece by piece: its start, up
    /// to the end of an extent. And in a split commit, bytes that writes have put in place.
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

    /// The opener after a cut is cut itself, while it clears up.
    fn check_recovery(&mut self, map: &Map, found: &Tree) -> Check {
        let (store, mut volume) = self.open(map)?;
        let root = volume.root().map_err(|error| format!("recovering: {error:?}"))?;
        for _ in 0..5 {
            let outcome = volume.set_times_at(&root, ".", Follow::No, SetTime::Now, SetTime::Keep);
            outcome.map_err(|error| format!("recovering: {error:?}"))?;
        }
        let mut map = map.clone();
        for applied in &store.0.borrow().log {
            RECOVERY_CUTS.fetch_add(1, Ordering::Relaxed);
            applied.replay(&mut map);
            check_sound(&map, self.setup, "after a cut of the recovery")?;
            let (_, mut volume) = self.open(&map)?;
            let mut again = tree::of_volume(&mut volume).map_err(|error| format!("recovering: {error:?}"))?;
            if let (Some(root), Some(before)) = (again.get_mut(""), found.get("")) {
                root.times = before.times;
            }
            if let Some(what) = tree::difference(found, &again) {
                return Err(format!("recovery changed what was there: {what}"));
            }
        }
        Ok(())
    }
}

/// What a split commit may leave: one state, but for bytes that writes since then have put there.
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

fn check_sound(map: &Map, setup: &Setup, when: &str) -> Check {
    let mut store = TestStore::from_map(map.clone(), setup.limits);
    let report = setup.fsck(&mut store).map_err(|error| format!("fsck: {error:?}"))?;
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => Err(format!("fsck, {when}: {finding}")),
    }
}

/// Lets every file grow over what a cut may have left behind its end: zeros must appear.
fn grow_everything(volume: &mut Volume, found: &Tree, setup: &Setup) -> Check {
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
        // Some grow by a hole, some by a byte far behind the end.
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

#[test]
fn every_cut_leaves_the_state_of_a_moment_not_before_the_last_promise() {
    no_seed_fails(4_000, 50, &|setup, ops| sweep(setup, ops, None));
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{} cuts, {} in split commits, {} with a journal, {} in recoveries",
        count(&CUTS),
        count(&SPLIT_CUTS),
        count(&JOURNAL_CUTS),
        count(&RECOVERY_CUTS)
    );
    assert!(
        std::env::var("KVFS_SEED").is_ok() || count(&SPLIT_CUTS) > 100,
        "split commits must be among them"
    );
    assert!(std::env::var("KVFS_SEED").is_ok() || count(&JOURNAL_CUTS) > 1000, "and journals");
}

/// A suite that cannot fail proves nothing: each way to break the engine's promises must be noticed.
#[test]
fn every_sabotage_is_noticed() {
    let kinds = [
        Sabotage::NoOrphanRecords,
        Sabotage::NoReapRecords,
        Sabotage::MetadataFirst,
        Sabotage::EntriesFirst,
        Sabotage::NoExtentDeletes,
        Sabotage::NotDurable,
        Sabotage::LosesAnApply,
        Sabotage::NoCommitRecords,
        Sabotage::JournalDeletedFirst,
    ];
    for kind in kinds {
        let story = first_failure(0..400, 50, &|setup, ops| sweep(setup, ops, Some(kind)));
        let story = story.unwrap_or_else(|| panic!("{kind:?} was not noticed"));
        println!("{kind:?}: {}", story.lines().next().unwrap_or_default());
    }
}

/// Keeps the model's kinds honest: a tree of it names every object that has a name.
#[test]
fn a_tree_holds_every_named_object_of_the_reference() {
    let (setup, ops) = crate::shrink::case(3, 60);
    let mut runner = Runner::new(&setup, TestStore::new(setup.limits), false).unwrap();
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op).unwrap();
    }
    let names: usize = runner
        .model
        .objects
        .values()
        .map(|object| match &object.what {
            What::Directory { entries, .. } => entries.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(tree::of_model(&runner.model).len(), names + 1);
}
