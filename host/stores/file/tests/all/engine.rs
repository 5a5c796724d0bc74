//! The engine's own crash test on this store: sequences of its operations. At every call of the
//! disk the program is killed, or the machine goes down and any part of what was not durable is
//! lost.

use crate::disk::{Disk, LIES_AFTER, SimDirectory};
use kvfs_contract::{Durability, Limits, StoreError};
use kvfs_file_store::{FileStore, Options};
use kvfs_store_rig::{DropsApplies, Medium, OnTrial, Random, Sweep};
use kvfs_trust::cuts::{Cuts, Loss, Mark, Met, within};
use kvfs_trust::moments::Ran;
use kvfs_trust::ops::{Op, Setup};
use kvfs_trust::store::{Map, TestStore};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

static COLLECTIONS: AtomicU64 = AtomicU64::new(0);

const SEQUENCES: u64 = 200;
const OPERATIONS: usize = 40;

/// A broken promise of the store or its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// A durable apply is acknowledged without a sync, once the volume exists.
    NoSync,
    /// Every seventh apply is acknowledged and not made.
    DropsAnApply,
    /// The disk acknowledges a call of this kind and does nothing.
    Disk(&'static str),
}

/// A directory with the options of its store.
struct OnDisk {
    directory: SimDirectory,
    options: Options,
    sabotage: Option<Sabotage>,
    /// The size of the segments after the last apply.
    size_bytes: Cell<u64>,
}

impl OnDisk {
    fn open(
        directory: SimDirectory,
        options: Options,
        sabotage: Option<Sabotage>,
    ) -> Result<Box<OnTrial<Self>>, String> {
        let drops = DropsApplies(sabotage == Some(Sabotage::DropsAnApply));
        let medium = Self { directory, options, sabotage, size_bytes: Cell::new(0) };
        OnTrial::open(medium, drops).map(Box::new).map_err(|error| format!("opening: {error:?}"))
    }
}

impl Medium for OnDisk {
    type Store = FileStore<SimDirectory>;

    fn open(&self, _: u64) -> Result<Self::Store, StoreError> {
        let store = FileStore::open_with(self.directory.clone(), self.options)?;
        self.size_bytes.set(store.size_bytes());
        Ok(store)
    }

    fn mark<T>(&self, change: impl FnOnce(&mut Mark) -> T) -> T {
        self.directory.disk(|disk| change(&mut disk.mark))
    }

    fn level(&self, level: Durability, number: usize) -> Durability {
        let broken = self.sabotage == Some(Sabotage::NoSync) && number > LIES_AFTER;
        if broken { Durability::Buffered } else { level }
    }

    fn applied(&self, store: &Self::Store) {
        let before = self.size_bytes.replace(store.size_bytes());
        COLLECTIONS.fetch_add(u64::from(store.size_bytes() < before), Ordering::Relaxed);
    }
}

/// Runs a sequence, then checks every cut of it.
fn sweep(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Result<Met, String> {
    let setup = within(setup, &Limits::standard(true));
    // Some sequences roll and collect at nearly every apply, others now and then. The setup decides, because
    // a shortened sequence has the same one.
    let min_garbage_bytes = if setup.scan_entries_max == 1 { 4 << 10 } else { 32 << 10 };
    let max_recent_changes = if setup.scan_entries_max == 1 { 20 } else { 100 };
    let min_segment_bytes = min_garbage_bytes / 2;
    let options = Options {
        min_garbage_bytes,
        reserve_bytes: 256,
        min_segment_bytes,
        max_recent_changes,
        ..Options::DEFAULT
    };
    let lies = match sabotage {
        Some(Sabotage::Disk(what)) => Some(what),
        _ => None,
    };
    let directory = SimDirectory::new(Disk::default());
    directory.disk(|disk| (disk.cuts, disk.lies) = (Some(Vec::new()), lies));
    let open = |directory| OnDisk::open(directory, options, sabotage);
    let below = open(directory.clone())?;
    let ran = Ran::new(&setup, ops, TestStore::over(Map::new(), setup.limits, below))?;
    let taken = directory.disk(|disk| {
        disk.keep_cut();
        disk.cuts.take().unwrap_or_default()
    });
    let mut cuts = Cuts::new(ran);
    for (call, cut) in taken.iter().enumerate() {
        let mut random = Random::new(call as u64);
        let torn = cut.torn(&mut random);
        for (disk, how) in [(Some(&cut.disk), "before"), (torn.as_ref(), "in the middle")] {
            let Some(disk) = disk else { continue };
            for loss in [Loss::Nothing, Loss::NotDurable] {
                let mut disk = disk.clone();
                // Openers that are killed, mostly before they are done.
                for _ in 0..random.below(3) {
                    if loss == Loss::NotDurable && random.chance(3) {
                        disk = disk.after_crash(&mut random);
                    }
                    disk.calls_left = Some(1 + random.below(20));
                    let directory = SimDirectory::new(disk);
                    let _ = FileStore::open_with(directory.clone(), options);
                    disk = directory.disk(|disk| disk.after_kill());
                }
                if loss == Loss::NotDurable {
                    disk = disk.after_crash(&mut random);
                }
                open(SimDirectory::new(disk))
                    .and_then(|store| cuts.check(cut.mark, loss, store))
                    .map_err(|what| format!("cut {how} call {call} of {}, {loss:?}: {what}", taken.len()))?;
            }
        }
    }
    Ok(cuts.met)
}

#[test]
fn every_cut_of_the_disk_leaves_a_volume_of_a_moment_not_before_the_last_promise() {
    let all = Sweep(sweep).many(SEQUENCES, OPERATIONS);
    let collections = COLLECTIONS.load(Ordering::Relaxed);
    println!("{all:?}, {collections} collections");
    let enough =
        all.cuts > 10_000 && all.split > 100 && all.journal > 100 && all.lost > 100 && collections > 100;
    assert!(std::env::var("KVFS_SEED").is_ok() || enough, "these must be among them: {all:?}");
}

#[test]
fn every_cut_above_an_image_leaves_a_volume_of_a_moment_not_before_the_last_promise() {
    Sweep(sweep).above_images(60, OPERATIONS + OPERATIONS / 2);
}

#[test]
fn every_sabotage_of_the_store_and_its_disk_is_noticed() {
    let disk = ["sync", "sync names", "write"].map(Sabotage::Disk);
    let kinds = [Sabotage::NoSync, Sabotage::DropsAnApply].into_iter().chain(disk);
    Sweep(sweep).notices(kinds, OPERATIONS);
}
