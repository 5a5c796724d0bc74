//! The engine's own crash test on this store: sequences of its operations, and at every call of the disk
//! the program killed, or the machine down with any part lost of what was not durable.

use crate::disk::{Disk, LIES_AFTER, SimDirectory};
use crate::random::Random;
use kvfs::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_file_store::{FileStore, Options};
use kvfs_provider_kit::limits::{
    MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_KEY_BYTES, MAX_VALUE_BYTES, ScanBudget,
};
use kvfs_trust::below::{Below, pairs};
use kvfs_trust::cuts::{Cuts, Loss, Met, within};
use kvfs_trust::layered::split;
use kvfs_trust::moments::Ran;
use kvfs_trust::ops::{Op, Setup};
use kvfs_trust::run::Check;
use kvfs_trust::shrink::{first_failure, no_seed_fails};
use kvfs_trust::store::{Map, TestStore};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

static COMPACTIONS: AtomicU64 = AtomicU64::new(0);

const LIMITS: Limits = Limits {
    max_key_bytes: MAX_KEY_BYTES,
    max_value_bytes: MAX_VALUE_BYTES,
    max_batch_entries: MAX_BATCH_ENTRIES,
    max_batch_bytes: MAX_BATCH_BYTES,
    durable: true,
};

const SEQUENCES: u64 = 200;
const OPERATIONS: usize = 40;

/// How the store, or its disk, breaks what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// A durable apply is acknowledged without a sync, once the volume is there.
    NoSync,
    /// Every seventh apply is acknowledged and not made.
    DropsAnApply,
    /// The disk acknowledges a call of this kind and does nothing.
    Disk(&'static str),
}

/// The store as the engine wants one.
struct OnDisk {
    directory: SimDirectory,
    options: Options,
    store: FileStore<SimDirectory>,
    sabotage: Option<Sabotage>,
}

fn to_engine(error: kvfs_file_store::StoreError) -> StoreError {
    match error {
        kvfs_file_store::StoreError::Conflict => StoreError::Conflict,
        kvfs_file_store::StoreError::UnknownOutcome => StoreError::UnknownOutcome,
        other => StoreError::Corrupt(other.to_string()),
    }
}

impl OnDisk {
    fn open(
        directory: SimDirectory,
        options: Options,
        sabotage: Option<Sabotage>,
    ) -> Result<Self, StoreError> {
        let store = FileStore::open_with(directory.clone(), options).map_err(to_engine)?;
        Ok(Self { directory, options, store, sabotage })
    }
}

impl Below for OnDisk {
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.store = FileStore::open_with(self.directory.clone(), self.options).map_err(to_engine)?;
        Ok(())
    }
}

impl KvStore for OnDisk {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.store.get(key).map_err(to_engine)).collect()
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut budget = ScanBudget::new(max_entries, max_bytes);
        let found = self.store.scan(start, end, |bytes| budget.take(bytes)).map_err(to_engine)?;
        Ok(found.into_iter().map(|(key, value)| Entry { key, value }).collect())
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let (guards, mutations) = pairs(guards, mutations);
        let begun = self.directory.disk(|disk| {
            disk.mark.begun += 1;
            disk.mark.begun
        });
        let broken = self.sabotage == Some(Sabotage::NoSync) && begun > LIES_AFTER;
        let durable = level == Durability::Durable && !broken;
        let before = self.store.size_bytes();
        if self.sabotage != Some(Sabotage::DropsAnApply) || !begun.is_multiple_of(7) {
            self.store.apply(&guards, &mutations, durable).map_err(to_engine)?;
        }
        COMPACTIONS.fetch_add(u64::from(self.store.size_bytes() < before), Ordering::Relaxed);
        self.directory.disk(|disk| disk.mark.acknowledged = begun);
        Ok(())
    }
}

/// Runs a sequence, then looks at every cut of it.
fn sweep(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Result<Met, String> {
    let setup = within(setup, &LIMITS);
    // Some compact at nearly every apply, some now and then; by the setup, which a shorter sequence has too.
    let min_garbage_bytes = if setup.scan_entries_max == 1 { 4 << 10 } else { 32 << 10 };
    let options = Options { min_garbage_bytes, reserve_bytes: 256 };
    let lies = match sabotage {
        Some(Sabotage::Disk(what)) => Some(what),
        _ => None,
    };
    let directory = SimDirectory::new(Disk::default());
    directory.disk(|disk| (disk.cuts, disk.lies) = (Some(Vec::new()), lies));
    let open = |directory| {
        let store =
            OnDisk::open(directory, options, sabotage).map_err(|error| format!("opening: {error:?}"))?;
        Ok::<_, String>(Box::new(store))
    };
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
                // Openers that are killed, most of them before they are done.
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
    let all = Mutex::new(Met::default());
    let check = |setup: &Setup, ops: &[Op]| -> Check {
        let met = sweep(setup, ops, None)?;
        all.lock().unwrap().add(met);
        Ok(())
    };
    no_seed_fails(SEQUENCES, OPERATIONS, &check);
    let all = all.into_inner().unwrap();
    let compactions = COMPACTIONS.load(Ordering::Relaxed);
    println!("{all:?}, {compactions} compactions");
    let enough =
        all.cuts > 10_000 && all.split > 100 && all.journal > 100 && all.lost > 100 && compactions > 100;
    assert!(std::env::var("KVFS_SEED").is_ok() || enough, "these must be among them: {all:?}");
}

#[test]
fn every_cut_above_an_image_leaves_a_volume_of_a_moment_not_before_the_last_promise() {
    no_seed_fails(60, OPERATIONS + OPERATIONS / 2, &|setup, ops| {
        let (setup, ops) = split(setup, ops)?;
        sweep(&setup, ops, None).map(drop)
    });
}

/// A suite that cannot fail proves nothing: each way to break the promises must be noticed.
#[test]
fn every_sabotage_of_the_store_and_its_disk_is_noticed() {
    let disk = ["sync", "sync names", "write"].map(Sabotage::Disk);
    for kind in [Sabotage::NoSync, Sabotage::DropsAnApply].into_iter().chain(disk) {
        let check = |setup: &Setup, ops: &[Op]| sweep(setup, ops, Some(kind)).map(drop);
        let story = first_failure(0..40, OPERATIONS, &check);
        let story = story.unwrap_or_else(|| panic!("{kind:?} was not noticed"));
        println!("{kind:?}: {}", story.lines().next().unwrap_or_default());
    }
}
