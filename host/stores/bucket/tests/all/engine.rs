//! The engine's own crash test on this store: sequences of its operations, and at every call of the bucket that
//! changes something the program killed, with any part of a last set there.
//!
//! A bucket that does not keep what it acknowledged loses the end of the calls, and leaves what an earlier cut
//! leaves: nothing more is to be looked at for it.

use crate::bucket::{Contents, SimBucket, Values, change, part};
use crate::random::Random;
use kvfs::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_bucket_store::BucketStore;
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

const LIMITS: Limits = Limits {
    max_key_bytes: MAX_KEY_BYTES,
    max_value_bytes: MAX_VALUE_BYTES,
    max_batch_entries: MAX_BATCH_ENTRIES,
    max_batch_bytes: MAX_BATCH_BYTES,
    durable: true,
};

const SEQUENCES: u64 = 400;
const OPERATIONS: usize = 40;

/// How the store, or its bucket, breaks what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// Every seventh apply is acknowledged and not made.
    DropsAnApply,
    /// At a cut the bucket has lost two calls from the end, though it is to keep what it acknowledged.
    LosesTheEnd,
    /// At a cut the bucket has made the call under way, and lost the one before.
    Reorders,
}

/// The store as the engine wants one.
struct InBucket {
    bucket: SimBucket,
    store: BucketStore<SimBucket>,
    sabotage: Option<Sabotage>,
}

fn to_engine(error: kvfs_bucket_store::StoreError) -> StoreError {
    match error {
        kvfs_bucket_store::StoreError::Conflict => StoreError::Conflict,
        kvfs_bucket_store::StoreError::UnknownOutcome => StoreError::UnknownOutcome,
        other => StoreError::Corrupt(other.to_string()),
    }
}

impl InBucket {
    fn open(bucket: SimBucket, sabotage: Option<Sabotage>) -> Result<Self, StoreError> {
        let store = BucketStore::open(bucket.clone(), 1).map_err(to_engine)?;
        Ok(Self { bucket, store, sabotage })
    }
}

impl Below for InBucket {
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.store = BucketStore::open(self.bucket.clone(), 2).map_err(to_engine)?;
        Ok(())
    }
}

impl KvStore for InBucket {
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
        _: Durability,
    ) -> Result<(), StoreError> {
        let (guards, mutations) = pairs(guards, mutations);
        let begun = self.bucket.contents(|contents| {
            contents.mark.begun += 1;
            contents.mark.begun
        });
        if self.sabotage != Some(Sabotage::DropsAnApply) || !begun.is_multiple_of(7) {
            self.store.apply(&guards, &mutations).map_err(to_engine)?;
        }
        self.bucket.contents(|contents| contents.mark.acknowledged = begun);
        Ok(())
    }
}

/// Runs a sequence, then looks at every cut of it.
fn sweep(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Result<Met, String> {
    let setup = within(setup, &LIMITS);
    let bucket = SimBucket::new(Contents::default());
    let open = |bucket| {
        let store = InBucket::open(bucket, sabotage).map_err(|error| format!("opening: {error:?}"))?;
        Ok::<_, String>(Box::new(store))
    };
    let below = open(bucket.clone())?;
    let ran = Ran::new(&setup, ops, TestStore::over(Map::new(), setup.limits, below))?;
    let made = bucket.contents(|contents| contents.clone());
    let calls = made.log.len();
    let mut cuts = Cuts::new(ran);
    let mut values = Values::new();
    // What was there before each of the last two calls.
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
            // Openers that are killed, most of them before they are done.
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
    let all = Mutex::new(Met::default());
    let check = |setup: &Setup, ops: &[Op]| -> Check {
        let met = sweep(setup, ops, None)?;
        all.lock().unwrap().add(met);
        Ok(())
    };
    no_seed_fails(SEQUENCES, OPERATIONS, &check);
    let all = all.into_inner().unwrap();
    println!("{all:?}");
    let enough = all.cuts > 10_000 && all.split > 100 && all.journal > 100;
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
fn every_sabotage_of_the_store_and_its_bucket_is_noticed() {
    for kind in [Sabotage::DropsAnApply, Sabotage::LosesTheEnd, Sabotage::Reorders] {
        let check = |setup: &Setup, ops: &[Op]| sweep(setup, ops, Some(kind)).map(drop);
        let story = first_failure(0..40, OPERATIONS, &check);
        let story = story.unwrap_or_else(|| panic!("{kind:?} was not noticed"));
        println!("{kind:?}: {}", story.lines().next().unwrap_or_default());
    }
}
