//! The engine's own tests on this store: sequences against the reference, and sequences of which
//! every cut between two calls of the store below is looked at.

use crate::disk::{Disk, Sealed, key, open_with};
use kvfs_contract::{Limits, StoreError};
use kvfs_sealed_store::OpenError;
use kvfs_store_rig::{DropsApplies, Medium, OnTrial, State, Sweep};
use kvfs_trust::cuts::{Cuts, Loss, Mark, Met, within};
use kvfs_trust::moments::Ran;
use kvfs_trust::ops::{Op, Setup};
use kvfs_trust::run::{Check, Runner};
use kvfs_trust::shrink::no_seed_fails;
use kvfs_trust::store::{Map, TestStore};

const OPERATIONS: usize = 40;

/// A promise that the store, or the one below, breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// Every seventh apply is acknowledged and not made.
    DropsAnApply,
    /// At a cut the store below has lost the last apply that it acknowledged.
    LosesTheEnd,
}

impl Medium for Disk {
    type Store = Sealed;

    fn open(&self, _: u64) -> Result<Sealed, StoreError> {
        open_with(self, &key(1)).map_err(|error| match error {
            OpenError::Store(error) => error,
            error => StoreError::Corrupt(error.to_string()),
        })
    }

    fn mark<T>(&self, change: impl FnOnce(&mut Mark) -> T) -> T {
        self.contents(|contents| change(&mut contents.mark))
    }
}

fn on_trial(disk: Disk, sabotage: Option<Sabotage>) -> Result<Box<OnTrial<Disk>>, String> {
    let drops = DropsApplies(sabotage == Some(Sabotage::DropsAnApply));
    OnTrial::open(disk, drops).map(Box::new).map_err(|error| format!("opening: {error:?}"))
}

/// The limits of a sealed store over the project's usual ones.
fn limits() -> Limits {
    crate::disk::open(&Disk::empty()).limits()
}

/// Runs a sequence, then looks at every cut of it.
fn sweep(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Result<Met, String> {
    let setup = within(setup, &limits());
    let disk = Disk::empty();
    disk.contents(|contents| contents.log = Some(Vec::new()));
    let below = on_trial(disk.clone(), sabotage)?;
    let ran = Ran::new(&setup, ops, TestStore::over(Map::new(), setup.limits, below))?;
    let (log, last, mark) = disk.contents(|contents| {
        (contents.log.take().unwrap_or_default(), contents.entries.clone(), contents.mark)
    });
    let after: Vec<(&State, Mark)> =
        log.iter().map(|step| (&step.before, step.mark)).chain([(&last, mark)]).collect();
    let mut cuts = Cuts::new(ran);
    let mut durable = State::new();
    for (call, &(state, mark)) in after.iter().enumerate() {
        if call > 0 && log[call - 1].durable {
            durable.clone_from(state);
        }
        let killed = match sabotage {
            Some(Sabotage::LosesTheEnd) => after[call.saturating_sub(1)].0,
            _ => state,
        };
        for (left, loss) in [(killed, Loss::Nothing), (&durable, Loss::NotDurable)] {
            on_trial(Disk::new(left.clone(), Limits::standard(true)), None)
                .and_then(|store| cuts.check(mark, loss, store))
                .map_err(|what| format!("cut before call {call} of {}, {loss:?}: {what}", log.len()))?;
        }
    }
    Ok(cuts.met)
}

#[test]
fn every_cut_below_leaves_a_volume_of_a_moment_not_before_the_last_promise() {
    let all = Sweep(sweep).many(150, OPERATIONS);
    println!("{all:?}");
    let enough = all.cuts > 5_000 && all.split > 100 && all.journal > 100 && all.lost > 100;
    assert!(std::env::var("KVFS_SEED").is_ok() || enough, "these must be among them: {all:?}");
}

#[test]
fn every_cut_above_an_image_leaves_a_volume_of_a_moment_not_before_the_last_promise() {
    Sweep(sweep).above_images(40, OPERATIONS + OPERATIONS / 2);
}

#[test]
fn every_sabotage_of_the_store_is_noticed() {
    Sweep(sweep).notices([Sabotage::DropsAnApply, Sabotage::LosesTheEnd], OPERATIONS);
}

#[test]
fn every_sequence_matches_the_reference() {
    no_seed_fails(400, 60, &|setup: &Setup, ops: &[Op]| -> Check {
        let setup = within(setup, &limits());
        let below = on_trial(Disk::empty(), None)?;
        let mut runner = Runner::new(&setup, TestStore::over(Map::new(), setup.limits, below), false)?;
        for (index, op) in ops.iter().enumerate() {
            runner.step(index, op)?;
        }
        runner.finish()
    });
}
