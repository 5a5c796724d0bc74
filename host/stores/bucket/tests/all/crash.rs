//! Cut at every call, then killed or crashed, again and again on what is left.

use crate::bucket::{Contents, SimBucket, Values};
use crate::model::{Changes, Model, apply, change, contents, pages_of_an_empty_store};
use crate::random::Random;
use kvfs_bucket_store::{BucketStore, StoreError};

/// What is known of the store: the states after each apply, from the first of a round to the last that was begun, and
/// how many of them were acknowledged.
struct Known {
    states: Vec<Model>,
    acknowledged: usize,
}

impl Known {
    fn certain(state: Model) -> Self {
        Self { states: vec![state], acknowledged: 0 }
    }
}

/// Works until the power goes.
fn work(store: &mut BucketStore<SimBucket>, known: &mut Known, random: &mut Random, applies: usize) {
    for _ in 0..applies {
        let changes: Changes = (0..random.below(6))
            .map(|_| {
                // Long keys, so that the log is full now and then, and the tree has two levels.
                let key = vec![b'a' + random.below(40) as u8; 3 + 300 * random.below(3) as usize];
                let large = if random.chance(30) { 70_000 } else { 3000 };
                let length = [0, 3, 200, 2040, large][random.below(5) as usize];
                (key, (!random.chance(3)).then(|| vec![random.below(256) as u8; length]))
            })
            .collect();
        let mut state = known.states.last().unwrap().clone();
        change(&mut state, &changes);
        known.states.push(state);
        match apply(store, &changes) {
            Ok(()) => known.acknowledged = known.states.len() - 1,
            Err(StoreError::UnknownOutcome) => return,
            Err(_) => {
                known.states.pop();
                return;
            }
        }
    }
}

/// Opens, and compares with what is known: from the state number `least` on any will do.
fn open_and_check(values: Values, known: &Known, least: usize, what: &str) -> (SimBucket, Model) {
    let bucket = SimBucket::new(Contents::new(values));
    let mut store = match BucketStore::open(bucket.clone(), 77) {
        Ok(store) => store,
        Err(error) => panic!("{what}: {error}"),
    };
    let found = contents(&mut store);
    let number = known.states.iter().skip(least).position(|state| *state == found);
    assert!(
        number.is_some(),
        "{what}: {} states are possible, found {} keys",
        known.states.len() - least,
        found.len()
    );
    // It takes changes, and they are there.
    apply(&mut store, &vec![(b"after".to_vec(), Some(b"1".to_vec()))]).unwrap();
    apply(&mut store, &vec![(b"after".to_vec(), None)]).unwrap();
    assert_eq!(contents(&mut store), found, "{what}");
    (bucket, found)
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes() {
    let (mut cuts, mut rounds) = (0, 0);
    for seed in 0..6 {
        for cut in 1.. {
            let mut random = Random::new(seed);
            let mut values = Values::new();
            let mut known = Known::certain(Model::new());
            let mut finished = false;
            // The first cut is everywhere; the later ones hit openings and what is left of openings.
            for round in 0..4 {
                rounds += 1;
                let cut = if round == 0 { cut } else { 1 + random.below(40) };
                let bucket = SimBucket::new(Contents {
                    calls_left: Some(cut),
                    torn: cut + random.below(40),
                    ..Contents::new(values)
                });
                if let Ok(mut store) = BucketStore::open(bucket.clone(), round) {
                    work(&mut store, &mut known, &mut random, 100);
                    finished |= round == 0 && bucket.contents(|contents| contents.calls_left != Some(0));
                }
                let what = format!("seed {seed}, cut {cut}, round {round}");
                let killed = bucket.contents(|contents| contents.values.clone());
                let (looked_at, state) = open_and_check(killed, &known, known.acknowledged, &what);
                // A bucket that does not keep what it acknowledged loses the end of it.
                let lost = bucket.contents(|contents| {
                    let calls = random.below(1 + contents.log.len() as u64) as usize;
                    contents.after_losing(calls, random.chance(2).then(|| random.below(40)))
                });
                open_and_check(lost, &known, 0, &format!("{what}, a suffix lost"));
                (values, known) =
                    (looked_at.contents(|contents| contents.values.clone()), Known::certain(state));
            }
            cuts += 1;
            if cuts % 37 == 0 {
                let bucket = SimBucket::new(Contents::new(values));
                let mut store = BucketStore::open(bucket.clone(), 5).unwrap();
                let left = pages_of_an_empty_store(&bucket, &mut store);
                assert_eq!(left, 0, "seed {seed}, cut {cut}: pages that nobody removes");
            }
            if finished {
                break;
            }
        }
    }
    assert!(cuts > 800 && rounds > 3200, "only {cuts} cuts in {rounds} rounds");
}

#[test]
fn openers_in_a_row_that_are_cut_short_lock_nobody_out() {
    let mut whole = SimBucket::new(Contents::default());
    let state = Model::from([(b"a".to_vec(), b"1".to_vec())]);
    for tag in 0..2 {
        let mut store = BucketStore::open(whole.clone(), tag).unwrap();
        apply(&mut store, &vec![(b"a".to_vec(), Some(b"1".to_vec()))]).unwrap();
        whole = SimBucket::new(Contents::new(whole.contents(|contents| contents.values.clone())));
    }
    // Nothing, a half, and a half before the end of the old value.
    let torn = [3, 22, 24];
    let opening = |values: &Values, cut: u64, torn: u64, tag: u64| {
        let contents = Contents { calls_left: Some(cut), torn, ..Contents::new(values.clone()) };
        let bucket = SimBucket::new(contents);
        let _ = BucketStore::open(bucket.clone(), tag);
        bucket.contents(|contents| contents.values.clone())
    };
    let values = whole.contents(|contents| contents.values.clone());
    for (cut, kind) in (1..14).flat_map(|cut| torn.map(|kind| (cut, kind))) {
        let once = opening(&values, cut, kind, 10);
        for (again, kind_again) in (1..14).flat_map(|cut| torn.map(|kind| (cut, kind))) {
            let twice = opening(&once, again, kind_again, 11);
            let what = format!("cut {cut} ({kind}), then {again} ({kind_again})");
            open_and_check(twice, &Known::certain(state.clone()), 0, &what);
        }
    }
}

#[test]
fn openers_in_a_row_leave_few_names() {
    let mut values = Values::new();
    let mut random = Random::new(7);
    let mut state = Model::new();
    for opening in 0..300 {
        let bucket = SimBucket::new(Contents::new(values));
        let mut store = BucketStore::open(bucket.clone(), opening).unwrap();
        assert_eq!(contents(&mut store), state, "opening {opening}");
        let mut known = Known::certain(state);
        // Some change nothing.
        work(&mut store, &mut known, &mut random, (opening % 4) as usize);
        state = known.states.pop().unwrap();
        values = bucket.contents(|contents| contents.values.clone());
        let others = values.keys().filter(|name| !name.starts_with("kvfs.page.")).count();
        // The head and its copy, the mark, two roots, and claims.
        assert!(others <= 3 + 2 + 65, "{others} names at opening {opening}");
    }
    let bucket = SimBucket::new(Contents::new(values));
    let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
    assert_eq!(pages_of_an_empty_store(&bucket, &mut store), 0);
}
