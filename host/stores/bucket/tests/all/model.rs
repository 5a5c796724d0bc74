//! Random calls, against an ordered map.

use crate::bucket::{Contents, SimBucket};
use crate::random::Random;
use kvfs_bucket_store::{BucketStore, MAX_KEY_BYTES, MAX_VALUE_BYTES, StoreError};
use std::collections::BTreeMap;

pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;
pub(crate) type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

pub(crate) fn change(model: &mut Model, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(model.insert(key.clone(), value.clone())),
            None => drop(model.remove(key)),
        }
    }
}

pub(crate) fn apply(store: &mut BucketStore<SimBucket>, changes: &Changes) -> Result<(), StoreError> {
    let mutations: Vec<_> = changes.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
    store.apply(&[], &mutations)
}

pub(crate) fn contents(store: &mut BucketStore<SimBucket>) -> Model {
    store.scan(b"", b"", |_| true).expect("scanning").into_iter().collect()
}

/// Removes everything, until that is in the tree too, and returns how many pages are left.
pub(crate) fn pages_of_an_empty_store(bucket: &SimBucket, store: &mut BucketStore<SimBucket>) -> usize {
    let keys: Vec<_> = contents(store).into_keys().map(|key| (key, None)).collect();
    for part in keys.chunks(1000) {
        apply(store, &part.to_vec()).unwrap();
    }
    // More changes than a root holds.
    for _ in 0..40 {
        apply(store, &vec![(vec![b'x'; MAX_KEY_BYTES], None)]).unwrap();
    }
    bucket.contents(|contents| contents.pages())
}

/// Keys of a length make nodes of few entries, so that a few hundred keys make a tree of several levels.
fn key(random: &mut Random, key_bytes: usize) -> Vec<u8> {
    let number = random.below(600);
    let mut key = vec![b'k'; key_bytes.max(8)];
    key[..8].copy_from_slice(&(number * 0x0101_0101_0101).to_be_bytes());
    key.truncate(if random.chance(20) { random.below(9) as usize } else { key.len() });
    key
}

#[test]
fn random_calls_agree_with_an_ordered_map_and_nothing_is_left_behind() {
    for (seed, key_bytes) in [(1, 8), (2, 300), (3, MAX_KEY_BYTES), (4, MAX_KEY_BYTES), (5, 40)] {
        let mut random = Random::new(seed);
        let bucket = SimBucket::new(Contents::default());
        let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
        let mut model = Model::new();
        let mut most_pages = 0;
        for step in 0..2500 {
            // More puts than removals, and later the other way round.
            let growing = step % 1000 < 600;
            let changes: Changes = (0..random.below(8))
                .map(|_| {
                    let key = key(&mut random, key_bytes);
                    let length = [0, 10, 700, 2048, 2049, 5000][random.below(6) as usize];
                    let puts = random.below(10) < if growing { 8 } else { 2 };
                    (key, puts.then(|| vec![random.below(256) as u8; length]))
                })
                .collect();
            apply(&mut store, &changes).unwrap();
            change(&mut model, &changes);
            most_pages = most_pages.max(bucket.contents(|contents| contents.pages()));
            let asked = key(&mut random, key_bytes);
            assert_eq!(store.get(&asked).unwrap().as_ref(), model.get(&asked), "seed {seed}, step {step}");
            if step % 50 == 0 {
                let (start, end) = (key(&mut random, key_bytes), key(&mut random, key_bytes));
                let mut left = random.below(100);
                let page = store.scan(&start, &end, |_| {
                    left = left.saturating_sub(1);
                    left > 0
                });
                let in_range = |key: &Vec<u8>| *key >= start && (end.is_empty() || *key < end);
                let expected = model.iter().filter(|(key, _)| in_range(key));
                let page = page.unwrap();
                assert!(
                    page.iter().map(|(k, v)| (k, v)).eq(expected.take(page.len())),
                    "seed {seed}, step {step}: from {start:?} to {end:?}"
                );
                assert_eq!(contents(&mut store), model, "seed {seed}, step {step}");
            }
            if random.chance(400) {
                store = BucketStore::open(bucket.clone(), step).unwrap();
                assert_eq!(contents(&mut store), model, "seed {seed}, opened again at step {step}");
            }
        }
        assert!(most_pages > 100, "seed {seed}: only {most_pages} pages");
        assert_eq!(pages_of_an_empty_store(&bucket, &mut store), 0, "seed {seed}");
        assert!(bucket.contents(|contents| contents.values.len()) < 3 + 2 + 70);
    }
}

#[test]
fn large_values_are_kept_in_parts_and_removed_with_them() {
    let bucket = SimBucket::new(Contents::default());
    let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
    for length in [65535, 65536, 65537, 1 << 20, MAX_VALUE_BYTES] {
        let value: Vec<u8> = (0..length).map(|at| (at / 7) as u8).collect();
        store.apply(&[], &[(b"big", Some(&value))]).unwrap();
        assert!(store.get(b"big").unwrap() == Some(value.clone()), "{length}");
        store = BucketStore::open(bucket.clone(), length as u64).unwrap();
        assert!(store.get(b"big").unwrap() == Some(value), "{length}, opened again");
    }
    let too_long = store.apply(&[], &[(b"a", Some(&vec![0; MAX_VALUE_BYTES + 1]))]);
    assert_eq!(too_long, Err(StoreError::TooLarge));
    assert_eq!(store.apply(&[], &[(&[0; MAX_KEY_BYTES + 1], None)]), Err(StoreError::TooLarge));
    assert_eq!(pages_of_an_empty_store(&bucket, &mut store), 0);
}

#[test]
fn a_large_batch_is_one_commit_and_its_garbage_is_removed_whole() {
    let bucket = SimBucket::new(Contents::default());
    let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
    // Written in two orders, so that the pages to remove are not in few runs.
    let names = |number: u64| (number * 7919 % 4001).to_be_bytes().to_vec();
    for round in 0..3 {
        let puts: Changes =
            (0..4000).map(|number| (names(number), Some(vec![round; 2100 + number as usize % 3]))).collect();
        for part in puts.chunks(if round == 0 { 4000 } else { 37 }) {
            apply(&mut store, &part.to_vec()).unwrap();
        }
    }
    assert!(bucket.contents(|contents| contents.pages()) > 4000);
    let every_other: Changes = (0..4000).step_by(2).map(|number| (names(number), None)).collect();
    apply(&mut store, &every_other).unwrap();
    apply(&mut store, &(0..4000).map(|number| (names(number), None)).collect()).unwrap();
    assert_eq!(pages_of_an_empty_store(&bucket, &mut store), 0);
}

#[test]
fn an_apply_costs_one_set_and_one_get_unless_the_log_is_full() {
    let bucket = SimBucket::new(Contents::default());
    let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
    let mut calls = Vec::new();
    for step in 0..2000u32 {
        let before = bucket.contents(|contents| contents.calls);
        let key = (step % 500).to_be_bytes();
        store.apply(&[], &[(&key, Some(&[1; 100]))]).unwrap();
        calls.push(bucket.contents(|contents| contents.calls) - before);
    }
    let least = calls.iter().filter(|calls| **calls == 2).count();
    assert!(least > 1900, "{least} of 2000 took two calls");
    assert!(calls.iter().sum::<u64>() < 2 * 2000 + 600, "{} calls", calls.iter().sum::<u64>());
    // Opening does not depend on what there is.
    let before = bucket.contents(|contents| contents.calls);
    BucketStore::open(bucket.clone(), 2).unwrap();
    let opening = bucket.contents(|contents| contents.calls) - before;
    assert!(opening < 40, "{opening} calls to open");
}
