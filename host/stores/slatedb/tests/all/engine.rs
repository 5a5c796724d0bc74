//! The engine's own crash test on this store: sequences of its operations, and a kill at every change
//! of the object store.

use crate::objects::{Objects, Store, over, try_open};
use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_slatedb_store::OpenError;
use kvfs_store_rig::{DropsApplies, Medium, OnTrial, Sweep};
use kvfs_trust::cuts::{Cuts, Loss, Mark, Met, within};
use kvfs_trust::moments::Ran;
use kvfs_trust::ops::{Op, Setup};
use kvfs_trust::store::{Map, TestStore};
use std::sync::{Arc, Mutex};

/// Fewer than on other stores: each cut opens a database anew, which asks for some 30 objects.
const SEQUENCES: u64 = 60;
const OPERATIONS: usize = 30;

/// A broken promise of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// Every seventh apply is acknowledged and not made.
    DropsAnApply,
    /// Durable applies are buffered.
    NothingIsDurable,
}

/// An object store, and the store on it that was opened last.
#[derive(Clone)]
struct Bucket {
    objects: Arc<Objects>,
    sabotage: Option<Sabotage>,
    open: Arc<Mutex<Option<Opened>>>,
}

impl Bucket {
    fn new(objects: Arc<Objects>, sabotage: Option<Sabotage>) -> Self {
        Self { objects, sabotage, open: Arc::default() }
    }
}

impl Medium for Bucket {
    type Store = Opened;

    fn open(&self, _opening: u64) -> Result<Opened, StoreError> {
        // A program that ends closes its store.
        let mut open = self.open.lock().unwrap();
        if let Some(last) = open.take() {
            last.0.wait(last.0.store.close())?;
        }
        let store = try_open(over(&self.objects)).map_err(|error| match error {
            OpenError::Store { source } => source,
            other => StoreError::Other(other.to_string()),
        })?;
        Ok(open.insert(Opened(Arc::new(store))).clone())
    }

    fn mark<T>(&self, change: impl FnOnce(&mut Mark) -> T) -> T {
        self.objects.marks(|marks| change(&mut marks.now))
    }

    fn level(&self, level: Durability, _number: usize) -> Durability {
        if self.sabotage == Some(Sabotage::NothingIsDurable) { Durability::Buffered } else { level }
    }
}

/// A handle on an open store.
#[derive(Clone)]
struct Opened(Arc<Store>);

impl KvStore for Opened {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.0.wait(self.0.store.limits())
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = self.0.wait(self.0.store.get(keys))?;
        Ok(values.into_iter().map(|value| value.map(|value| value.to_vec())).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let entries = self.0.wait(self.0.store.scan(start, end, max_entries, max_bytes))?;
        Ok(entries.into_iter().map(|entry| entry.map(|bytes| bytes.to_vec())).collect())
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.0.wait(self.0.store.apply(guards, mutations, level))
    }
}

/// Runs a sequence, then checks every cut of it.
fn sweep(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Result<Met, String> {
    let setup = within(setup, &Limits::standard(true));
    let objects = Objects::new();
    let drops = DropsApplies(sabotage == Some(Sabotage::DropsAnApply));
    let open = |objects, sabotage| {
        let on_trial = OnTrial::open(Bucket::new(objects, sabotage), drops);
        on_trial.map(Box::new).map_err(|error| format!("opening: {error:?}"))
    };
    let below = open(objects.clone(), sabotage)?;
    let ran = Ran::new(&setup, ops, TestStore::over(Map::new(), setup.limits, below))?;
    let (log, marks) = (objects.log(), objects.marks(|marks| marks.clone()));
    let mut cuts = Cuts::new(ran);
    for cut in 0..=log.len() {
        let mark = marks.before.get(cut).copied().unwrap_or(marks.now);
        open(Objects::after(&log[..cut]), None)
            .and_then(|store| cuts.check(mark, Loss::NotDurable, store))
            .map_err(|what| format!("cut before change {cut} of {}: {what}", log.len()))?;
    }
    Ok(cuts.met)
}

#[test]
fn every_cut_leaves_a_volume_of_a_moment_not_before_the_last_durable_apply() {
    let all = Sweep(sweep).many(SEQUENCES, OPERATIONS);
    println!("{all:?}");
    let enough = all.cuts > 400 && all.lost > 40;
    assert!(std::env::var("KVFS_SEED").is_ok() || enough, "these must be among them: {all:?}");
}

#[test]
fn every_sabotage_of_the_store_is_noticed() {
    Sweep(sweep).notices([Sabotage::DropsAnApply, Sabotage::NothingIsDurable], OPERATIONS);
}
