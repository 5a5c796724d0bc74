//! Random calls, compared with an ordered map.

use crate::bucket::{Contents, SimBucket};
use kvfs_bucket_store::{BucketStore, MAX_KEY_BYTES, MAX_VALUE_BYTES, StoreError};
use kvfs_contract::Mutation;
use kvfs_store_rig::{Calls, Changes, Random, State, change};

/// Removes everything, until the removals are in the tree too, and returns how many pages are left.
pub(crate) fn pages_of_an_empty_store(bucket: &SimBucket, store: &mut BucketStore<SimBucket>) -> usize {
    let keys: Vec<_> = store.entries(b"", b"").unwrap().into_keys().map(|key| (key, None)).collect();
    for part in keys.chunks(1000) {
        store.make(part, true).unwrap();
    }
    // More changes than a root holds, so that they go to the tree.
    for _ in 0..40 {
        store.set(&[], &[(&[b'x'; MAX_KEY_BYTES], None)], true).unwrap();
    }
    bucket.contents(|contents| contents.pages())
}

/// Keys of a length: long ones make nodes of few entries, so a few hundred keys make a tree of
/// several levels.
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
        let mut model = State::new();
        let mut most_pages = 0;
        for step in 0..2500 {
            // First more puts than removals, later more removals than puts.
            let growing = step % 1000 < 600;
            let changes: Changes = (0..random.below(8))
                .map(|_| {
                    let key = key(&mut random, key_bytes);
                    let length = [0, 10, 700, 2048, 2049, 5000][random.below(6) as usize];
                    let puts = random.below(10) < if growing { 8 } else { 2 };
                    (key, puts.then(|| vec![random.below(256) as u8; length]))
                })
                .collect();
            store.make(&changes, true).unwrap();
            change(&mut model, &changes);
            most_pages = most_pages.max(bucket.contents(|contents| contents.pages()));
            let asked = key(&mut random, key_bytes);
            assert_eq!(
                store.value_of(&asked).unwrap().as_ref(),
                model.get(&asked),
                "seed {seed}, step {step}"
            );
            if step % 50 == 0 {
                let (start, end) = (key(&mut random, key_bytes), key(&mut random, key_bytes));
                let mut left = random.below(100);
                let page = store.page(&start, &end, |_| {
                    left = left.saturating_sub(1);
                    left > 0
                });
                let in_range = |key: &Vec<u8>| *key >= start && (end.is_empty() || *key < end);
                let expected = model.iter().filter(|(key, _)| in_range(key));
                let page = page.unwrap();
                assert!(
                    page.iter().map(|entry| (&entry.key, &entry.value)).eq(expected.take(page.len())),
                    "seed {seed}, step {step}: from {start:?} to {end:?}"
                );
                assert_eq!(store.entries(b"", b"").unwrap(), model, "seed {seed}, step {step}");
            }
            if random.chance(400) {
                store = BucketStore::open(bucket.clone(), step).unwrap();
                assert_eq!(
                    store.entries(b"", b"").unwrap(),
                    model,
                    "seed {seed}, opened again at step {step}"
                );
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
        store.change(&[], &[Mutation::Put { key: b"big", value: &value }]).unwrap();
        assert!(store.value(b"big").unwrap() == Some(value.clone()), "{length}");
        store = BucketStore::open(bucket.clone(), length as u64).unwrap();
        assert!(store.value(b"big").unwrap() == Some(value), "{length}, opened again");
    }
    let too_long = [
        Mutation::Put { key: &b"a"[..], value: &[0; MAX_VALUE_BYTES + 1] },
        Mutation::Delete { key: &[0; MAX_KEY_BYTES + 1] },
    ];
    for mutation in too_long {
        assert_eq!(store.change(&[], &[mutation]), Err(StoreError::TooLarge));
    }
    assert_eq!(pages_of_an_empty_store(&bucket, &mut store), 0);
}

#[test]
fn a_large_batch_is_one_commit_and_its_garbage_is_removed_whole() {
    let bucket = SimBucket::new(Contents::default());
    let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
    // Written in two orders, so that the garbage is not in a few runs.
    let names = |number: u64| (number * 7919 % 4001).to_be_bytes().to_vec();
    for round in 0..3 {
        let puts: Changes =
            (0..4000).map(|number| (names(number), Some(vec![round; 2100 + number as usize % 3]))).collect();
        for part in puts.chunks(if round == 0 { 4000 } else { 37 }) {
            store.make(part, true).unwrap();
        }
    }
    assert!(bucket.contents(|contents| contents.pages()) > 4000);
    let every_other: Changes = (0..4000).step_by(2).map(|number| (names(number), None)).collect();
    store.make(&every_other, true).unwrap();
    let all: Changes = (0..4000).map(|number| (names(number), None)).collect();
    store.make(&all, true).unwrap();
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
        store.set(&[], &[(&key, Some(&[1; 100]))], true).unwrap();
        calls.push(bucket.contents(|contents| contents.calls) - before);
    }
    let least = calls.iter().filter(|calls| **calls == 2).count();
    assert!(least > 1900, "{least} of 2000 took two calls");
    assert!(calls.iter().sum::<u64>() < 2 * 2000 + 600, "{} calls", calls.iter().sum::<u64>());
    // Opening costs the same whatever the store holds.
    let before = bucket.contents(|contents| contents.calls);
    BucketStore::open(bucket.clone(), 2).unwrap();
    let opening = bucket.contents(|contents| contents.calls) - before;
    assert!(opening < 40, "{opening} calls to open");
}
