//! Cut at every call, then killed or crashed, again and again on what is left.

use crate::bucket::{Contents, SimBucket, Values};
use crate::model::pages_of_an_empty_store;
use kvfs_bucket_store::BucketStore;
use kvfs_store_rig::{Calls, Changes, Known, Random, State};

fn changes(random: &mut Random) -> Changes {
    (0..random.below(6))
        .map(|_| {
            // Long keys, so that the log is full now and then, and the tree has two levels.
            let key = vec![b'a' + random.below(40) as u8; 3 + 300 * random.below(3) as usize];
            let large = if random.chance(30) { 70_000 } else { 3000 };
            let length = [0, 3, 200, 2040, large][random.below(5) as usize];
            (key, (!random.chance(3)).then(|| vec![random.below(256) as u8; length]))
        })
        .collect()
}

/// Works until the power goes.
fn work(store: &mut BucketStore<SimBucket>, known: &mut Known, random: &mut Random, applies: usize) {
    known.work(store, random, applies, None, changes);
}

/// Opens the store, which must have a known state, and checks that it takes changes.
fn open_and_check(
    values: Values,
    what: &str,
    check: impl FnOnce(&mut BucketStore<SimBucket>, &str) -> State,
) -> (SimBucket, State) {
    let bucket = SimBucket::new(Contents::new(values));
    let opened = BucketStore::open(bucket.clone(), 77);
    let mut store = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = check(&mut store, what);
    for value in [Some(&b"1"[..]), None] {
        store.set(&[], &[(b"after", value)], true).unwrap();
    }
    assert_eq!(store.entries(b"", b"").unwrap(), found, "{what}");
    (bucket, found)
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes() {
    let (mut cuts, mut rounds) = (0, 0);
    for seed in 0..6 {
        for cut in 1.. {
            let mut random = Random::new(seed);
            let mut values = Values::new();
            let mut known = Known::certain(State::new());
            let mut finished = false;
            // The first cut is everywhere; later cuts hit openings and what they left.
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
                let (looked_at, state) =
                    open_and_check(killed, &what, |store, what| known.check_killed(store, what));
                // A bucket that does not keep what it acknowledged loses the end of the calls.
                let lost = bucket.contents(|contents| {
                    let calls = random.below(1 + contents.log.len() as u64) as usize;
                    contents.after_losing(calls, random.chance(2).then(|| random.below(40)))
                });
                open_and_check(lost, &format!("{what}, a suffix lost"), |store, what| {
                    known.check_crashed(store, what)
                });
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
    let known = Known::certain(State::from([(b"a".to_vec(), b"1".to_vec())]));
    for tag in 0..2 {
        let mut store = BucketStore::open(whole.clone(), tag).unwrap();
        store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
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
            open_and_check(twice, &what, |store, what| known.check_killed(store, what));
        }
    }
}

#[test]
fn openers_in_a_row_leave_few_names() {
    let mut values = Values::new();
    let mut random = Random::new(7);
    let mut state = State::new();
    for opening in 0..300 {
        let bucket = SimBucket::new(Contents::new(values));
        let mut store = BucketStore::open(bucket.clone(), opening).unwrap();
        assert_eq!(store.entries(b"", b"").unwrap(), state, "opening {opening}");
        let mut known = Known::certain(state);
        // Some change nothing.
        work(&mut store, &mut known, &mut random, (opening % 4) as usize);
        state = known.last();
        values = bucket.contents(|contents| contents.values.clone());
        let others = values.keys().filter(|name| !name.starts_with("kvfs.page.")).count();
        // The head and its copy, the last opener, two roots, and claims.
        assert!(others <= 3 + 2 + 65, "{others} names at opening {opening}");
    }
    let bucket = SimBucket::new(Contents::new(values));
    let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
    assert_eq!(pages_of_an_empty_store(&bucket, &mut store), 0);
}
