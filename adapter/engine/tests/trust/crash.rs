//! Cuts after every apply. The volume found must be the reference at some moment that is not too
//! old.
//!
//! A kill loses what was not applied. A crash also loses some or all of the applies behind the last
//! durable one, from the end. Either way a prefix of the log is left, so checking every prefix checks
//! every cut. The oldest moment allowed follows from what was acknowledged before the prefix was
//! complete: `Moment::stored` for a kill, and `Moment::durable` for a crash, which is weaker
//! wherever the two differ. The runner checks that a sync leaves nothing behind the last durable
//! apply.

use crate::model::Content;
use crate::moments::{self, Ran, grow_everything};
use crate::ops::{Op, Setup};
use crate::run::{Check, Runner};
use crate::shrink::{first_failure, no_seed_fails};
use crate::store::{Map, Sabotage, TestStore, tag_of};
use crate::tree::{self, Tree};
use kvfs::{Follow, SetTime, Volume};
use std::sync::atomic::{AtomicU64, Ordering};

pub static CUTS: AtomicU64 = AtomicU64::new(0);
static FAILED_CLOSES: AtomicU64 = AtomicU64::new(0);
static SPLIT_CUTS: AtomicU64 = AtomicU64::new(0);
static JOURNAL_CUTS: AtomicU64 = AtomicU64::new(0);
static RECOVERY_CUTS: AtomicU64 = AtomicU64::new(0);

/// Runs a sequence, then checks every cut of it.
pub fn sweep(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Check {
    let store = TestStore::new(setup.limits);
    store.0.borrow_mut().sabotage = sabotage;
    Sweep { ran: Ran::new(setup, ops, store)? }.check_prefixes()
}

/// Does the same as [`sweep`] with a store that fails at every close. Only the volume learns of it.
pub fn sweep_failed_closes(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Check {
    let setup = &Setup { quota: None, ..setup.clone() };
    let store = TestStore::new(setup.limits);
    store.0.borrow_mut().sabotage = sabotage;
    let mut runner = Runner::new(setup, store.clone(), true)?;
    // Mostly at the first call. Split or journalled commits make more calls.
    let sum: u64 = format!("{setup:?}{:?}", ops.first()).bytes().map(u64::from).sum();
    (runner.drops, runner.closes_fail_at) = (true, Some((sum % 6).saturating_sub(3)));
    let ran = Ran::with(setup, ops, runner)?;
    FAILED_CLOSES.fetch_add(store.0.borrow().faults_injected, Ordering::Relaxed);
    Sweep { ran }.check_prefixes()
}

#[test]
fn every_cut_after_failed_closes_leaves_the_state_of_a_moment() {
    no_seed_fails(1_500, 50, &|setup, ops| sweep_failed_closes(setup, ops, None));
    let failed = FAILED_CLOSES.load(Ordering::Relaxed);
    println!("{failed} closes failed");
    assert!(std::env::var("KVFS_SEED").is_ok() || failed > 300, "{failed} closes failed");
}

#[test]
fn a_refused_apply_that_leaves_changes_is_noticed_at_closes() {
    let kind = Sabotage::RefusalLeavesNames;
    let story = first_failure(0..400, 50, &|setup, ops| sweep_failed_closes(setup, ops, Some(kind)));
    assert!(story.is_some(), "{kind:?} was not noticed");
}

struct Sweep<'s> {
    ran: Ran<'s>,
}

impl Sweep<'_> {
    fn check_prefixes(&mut self) -> Check {
        let mut map = Map::new();
        let mut split = false;
        for cut in 1..=self.ran.log.len() {
            let applied = &self.ran.log[cut - 1];
            applied.replay(&mut map);
            split = (split || applied.is_stage()) && !applied.ends_commit();
            if cut < self.ran.first() {
                continue;
            }
            CUTS.fetch_add(1, Ordering::Relaxed);
            self.check_cut(cut, &map, split)
                .map_err(|what| format!("cut after apply {cut} of {}: {what}", self.ran.log.len()))?;
        }
        Ok(())
    }

    fn open(&self, map: &Map) -> Result<(TestStore, Volume), String> {
        let store = TestStore::from_map(map.clone(), self.ran.setup.limits);
        store.0.borrow_mut().scan_entries_max = self.ran.setup.scan_entries_max;
        let volume = self.ran.open(&store)?;
        Ok((store, volume))
    }

    fn check_cut(&mut self, cut: usize, map: &Map, split: bool) -> Check {
        check_sound(map, self.ran.setup, "as it is found")?;
        let (store, mut volume) = self.open(map)?;
        let found = tree::of_volume(&mut volume).map_err(|error| format!("reading: {error:?}"))?;
        let (lowest, highest) = self.ran.bounds(cut);
        self.ran.check_found(&found, split, lowest, highest)?;
        if split {
            SPLIT_CUTS.fetch_add(1, Ordering::Relaxed);
        }
        // Cuts with a journal, to be applied or left over, are checked as closely.
        let journal = map.keys().any(|key| tag_of(key) == 0x02);
        if journal {
            JOURNAL_CUTS.fetch_add(1, Ordering::Relaxed);
        }
        if split || (journal && cut.is_multiple_of(2)) || cut.is_multiple_of(4) {
            grow_everything(&mut volume, &found, self.ran.setup)?;
            check_sound(&store.0.borrow().map, self.ran.setup, "after files grew")?;
        }
        if split || (journal && cut.is_multiple_of(3)) || cut.is_multiple_of(7) {
            self.check_recovery(map, &found)?;
        }
        Ok(())
    }

    /// Cuts the opener after a cut while it cleans up.
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
            check_sound(&map, self.ran.setup, "after a cut of the recovery")?;
            let (_, mut volume) = self.open(&map)?;
            let mut again = tree::of_volume(&mut volume).map_err(|error| format!("recovering: {error:?}"))?;
            if let (Some(root), Some(before)) = (again.get_mut(""), found.get("")) {
                root.times = before.times;
            }
            if let Some(what) = tree::difference(found, &again) {
                return Err(format!("recovery changed the volume: {what}"));
            }
        }
        Ok(())
    }
}

fn check_sound(map: &Map, setup: &Setup, when: &str) -> Check {
    moments::check_sound(&TestStore::from_map(map.clone(), setup.limits), setup, when)
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
    assert!(std::env::var("KVFS_SEED").is_ok() || count(&SPLIT_CUTS) > 100, "too few cuts in split commits");
    assert!(std::env::var("KVFS_SEED").is_ok() || count(&JOURNAL_CUTS) > 1000, "too few cuts with a journal");
}

/// A suite that cannot fail proves nothing: each sabotage must be noticed.
#[test]
fn every_sabotage_is_noticed() {
    let kinds = [
        Sabotage::NoOrphanRecords,
        Sabotage::MiscountsNames,
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

/// Checks the reference's trees: a tree lists every object that has a name.
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
        .map(|object| match &object.content {
            Content::Directory { entries, .. } => entries.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(tree::of_model(&runner.model).len(), names + 1);
}
