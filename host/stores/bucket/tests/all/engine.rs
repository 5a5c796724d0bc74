//! The engine's own crash test on this store: sequences of its operations. At every call of the
//! bucket that changes something the program is killed, with any part of the last set there.
//!
//! A bucket that does not keep what it acknowledged loses the end of the calls. That leaves what an
//! earlier cut leaves, so it needs no cuts of its own.

use crate::bucket::{Contents, SimBucket, Values, change, part};
use kvfs_bucket_store::{BucketStore, OpenError};
use kvfs_contract::{Limits, StoreError};
use kvfs_store_rig::{DropsApplies, Medium, OnTrial, Random, Sweep};
use kvfs_trust::cuts::{Cuts, Loss, Mark, Met, within};
use kvfs_trust::moments::Ran;
use kvfs_trust::ops::{Op, Setup};
use kvfs_trust::store::{Map, TestStore};

const SEQUENCES: u64 = 400;
const OPERATIONS: usize = 40;

/// A broken promise of the store or its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// Every seventh apply is acknowledged and not made.
    DropsAnApply,
    /// At a cut the bucket has lost the last two calls, though it promises to keep what it
    /// acknowledged.
    LosesTheEnd,
    /// At a cut the bucket has made the call under way, and lost the one before.
    Reorders,
}

impl Medium for SimBucket {
    type Store = BucketStore<Self>;

    fn open(&self, opening: u64) -> Result<Self::Store, StoreError> {
        BucketStore::open(self.clone(), opening).map_err(|error| match error {
            OpenError::Store(error) => error,
            OpenError::Overtaken => StoreError::AccessDenied,
        })
    }

    fn mark<T>(&self, change: impl FnOnce(&mut Mark) -> T) -> T {
        self.contents(|contents| change(&mut contents.mark))
    }
}

/// Runs a sequence, then checks every cut of it.
fn sweep(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Result<Met, String> {
    let setup = within(setup, &Limits::standard(true));
    let bucket = SimBucket::new(Contents::default());
    let drops = DropsApplies(sabotage == Some(Sabotage::DropsAnApply));
    let open =
        |bucket| OnTrial::open(bucket, drops).map(Box::new).map_err(|error| format!("opening: {error:?}"));
    let below = open(bucket.clone())?;
    let ran = Ran::new(&setup, ops, TestStore::over(Map::new(), setup.limits, below))?;
    let made = bucket.contents(|contents| contents.clone());
    let calls = made.log.len();
    let mut cuts = Cuts::new(ran);
    let mut values = Values::new();
    // The values before each of the last two calls.
    let mut before = [values.clone(), values.clone()];
    for call in 0..=calls {
        let mut random = Random::new(call as u64);
        let mark = made.marks.get(call).copied().unwrap_or(made.mark);
        let mut left = vec![match sabotage {
            Some(Sabotage::LosesTheEnd) => before[0].clone(),
            Some(Sabotage::Reorders) if call > 0 => {
                let mut values = before[1].clone();
                if let Some((name, value)) = made.log.get(call) {
                    change(&mut values, name, value.clone());
                }
                values
            }
            _ => values.clone(),
        }];
        if let Some((name, Some(value))) = made.log.get(call) {
            let mut torn = values.clone();
            let value = part(random.below(40), torn.get(name), value);
            change(&mut torn, name, value);
            left.push(torn);
        }
        for (mut left, how) in left.into_iter().zip(["before", "in the middle of"]) {
            // Openers that are killed, mostly before they are done.
            for _ in 0..random.below(3) {
                let calls_left = Some(1 + random.below(20));
                let torn = random.below(40);
                let bucket = SimBucket::new(Contents { calls_left, torn, ..Contents::new(left) });
                let _ = BucketStore::open(bucket.clone(), random.below(u64::MAX));
                left = bucket.contents(|contents| contents.values.clone());
            }
            open(SimBucket::new(Contents::new(left)))
                .and_then(|store| cuts.check(mark, Loss::Nothing, store))
                .map_err(|what| format!("cut {how} call {call} of {calls}: {what}"))?;
        }
        if let Some((name, value)) = made.log.get(call) {
            before = [before[1].clone(), values.clone()];
            change(&mut values, name, value.clone());
        }
    }
    Ok(cuts.met)
}

#[test]
fn every_cut_of_the_bucket_leaves_a_volume_of_a_moment_not_before_the_last_promise() {
    let all = Sweep(sweep).many(SEQUENCES, OPERATIONS);
    println!("{all:?}");
    let enough = all.cuts > 10_000 && all.split > 100 && all.journal > 100;
    assert!(std::env::var("KVFS_SEED").is_ok() || enough, "these must be among them: {all:?}");
}

#[test]
fn every_cut_above_an_image_leaves_a_volume_of_a_moment_not_before_the_last_promise() {
    Sweep(sweep).above_images(60, OPERATIONS + OPERATIONS / 2);
}

#[test]
fn every_sabotage_of_the_store_and_its_bucket_is_noticed() {
    let kinds = [Sabotage::DropsAnApply, Sabotage::LosesTheEnd, Sabotage::Reorders];
    Sweep(sweep).notices(kinds, OPERATIONS);
}
