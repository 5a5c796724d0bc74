//! Several openers of one bucket, their calls in every order.

use crate::bucket::{Contents, SimBucket};
use kvfs_bucket_store::{BucketStore, StoreError};
use std::collections::BTreeSet;

const APPLIES: usize = 12;

/// Counts up under a guard, with a mark for each step, and opens anew whenever it is told that it was replaced.
fn count_up(bucket: &SimBucket, thread: usize) -> Vec<Vec<u8>> {
    let mut acknowledged = Vec::new();
    let mut store = None;
    for step in 0..APPLIES {
        let Some(open) = &mut store else {
            store = BucketStore::open(bucket.clone(), thread as u64).ok();
            continue;
        };
        let mark = format!("mark {thread} {step}").into_bytes();
        let count = match open.get(b"count") {
            Ok(count) => count,
            Err(StoreError::Fenced) => {
                store = None;
                continue;
            }
            Err(error) => panic!("thread {thread}, step {step}: {error}"),
        };
        let next = count.as_deref().map_or(0, number) + 1;
        let guard: (&[u8], Option<&[u8]>) = (b"count", count.as_deref());
        let next = next.to_be_bytes();
        // Pages to be removed with the next step, and changes that do not fit a log for long.
        let ballast = vec![step as u8; if step % 2 == 0 { 3000 } else { 2000 }];
        let mutations: [(&[u8], Option<&[u8]>); 4] = [
            (b"count", Some(&next)),
            (&mark, Some(b"")),
            (b"ballast", Some(&ballast)),
            (&[b'z'; 1000], Some(&ballast[..2000])),
        ];
        match open.apply(&[guard], &mutations) {
            Ok(()) => acknowledged.push(mark),
            Err(StoreError::Fenced | StoreError::UnknownOutcome) => store = None,
            Err(error) => panic!("thread {thread}, step {step}: {error}"),
        }
    }
    acknowledged
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
}

#[test]
fn openers_that_race_lose_no_acknowledged_step_and_take_none_twice() {
    let mut acknowledged_in_all = 0;
    for seed in 0..600 {
        let threads = 2 + seed as usize / 4 % 3;
        let buckets = SimBucket::taking_turns(Contents::default(), threads, seed);
        let acknowledged: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let running: Vec<_> = buckets
                .iter()
                .enumerate()
                .map(|(thread, bucket)| {
                    scope.spawn(move || {
                        let steps = std::panic::catch_unwind(|| count_up(bucket, thread));
                        bucket.done();
                        steps.unwrap_or_else(|_| panic!("seed {seed}"))
                    })
                })
                .collect();
            running.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
        });
        acknowledged_in_all += acknowledged.len();

        let values = buckets[0].contents(|contents| contents.values.clone());
        let mut store = BucketStore::open(SimBucket::new(Contents::new(values)), 99)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let count = store.get(b"count").unwrap().as_deref().map_or(0, number);
        let marks: BTreeSet<Vec<u8>> =
            store.scan(b"mark", b"n", |_| true).unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(count, marks.len() as u64, "seed {seed}: steps and their marks");
        for mark in acknowledged {
            assert!(marks.contains(&mark), "seed {seed}: {} is lost", String::from_utf8_lossy(&mark));
        }
    }
    assert!(acknowledged_in_all > 1000, "they only got {acknowledged_in_all} steps done");
}

#[test]
fn the_newer_opener_has_the_store_and_the_older_is_told() {
    let bucket = SimBucket::new(Contents::default());
    let mut older = BucketStore::open(bucket.clone(), 1).unwrap();
    older.apply(&[], &[(b"a", Some(b"1"))]).unwrap();
    let mut newer = BucketStore::open(bucket.clone(), 2).unwrap();
    assert_eq!(newer.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(older.apply(&[], &[(b"a", Some(b"2"))]), Err(StoreError::UnknownOutcome));
    assert_eq!(older.apply(&[], &[(b"a", Some(b"2"))]), Err(StoreError::Fenced));
    newer.apply(&[(b"a", Some(b"1"))], &[(b"b", Some(b"1"))]).unwrap();
    // What the older one wrote too late is not found by anybody.
    let mut third = BucketStore::open(bucket, 3).unwrap();
    assert_eq!(third.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn an_older_opener_that_would_write_pages_finds_out_before() {
    let bucket = SimBucket::new(Contents::default());
    let mut older = BucketStore::open(bucket.clone(), 1).unwrap();
    let _newer = BucketStore::open(bucket.clone(), 2).unwrap();
    let before = bucket.contents(|contents| contents.values.clone());
    assert_eq!(older.apply(&[], &[(b"a", Some(&[1; 5000]))]), Err(StoreError::Fenced));
    assert!(bucket.contents(|contents| contents.values == before));
}
