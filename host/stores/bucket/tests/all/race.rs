//! Several openers of one bucket, their calls in every order.

use crate::bucket::{Contents, SimBucket};
use kvfs_bucket_store::{BucketStore, OpenError, StoreError};
use kvfs_store_rig::{Calls, Handle, Race, State, the_newer_opener_has_the_store_and_the_older_is_told};

const RACE: Race<Contents, BucketStore<SimBucket>> = Race {
    open: |handle, tag| match BucketStore::open(SimBucket(handle.clone()), tag) {
        Ok(store) => Ok(store),
        Err(OpenError::Overtaken) => Err(StoreError::AccessDenied),
        Err(OpenError::Store(error)) => Err(error),
    },
    // Pages that are garbage after the next step, and changes that soon overflow a log.
    ballast: |step| {
        let ballast = vec![step as u8; if step % 2 == 0 { 3000 } else { 2000 }];
        let end = ballast[..2000].to_vec();
        State::from([(b"ballast".to_vec(), ballast), (vec![b'z'; 1000], end)])
    },
    may_be_overtaken: |error| *error == StoreError::AccessDenied,
    takes_turns: false,
};

#[test]
fn openers_that_race_lose_no_acknowledged_step_and_take_none_twice() {
    let mut acknowledged = 0;
    for seed in 0..600 {
        let threads = 2 + seed as usize / 4 % 3;
        let calls_per_turn = [1, 3, 10, 40][seed as usize % 4];
        let handles = Handle::taking_turns(Contents::default(), threads, seed, calls_per_turn);
        acknowledged += RACE.run(&handles, seed, || {
            let values = handles[0].look(|contents| contents.values.clone());
            BucketStore::open(SimBucket::new(Contents::new(values)), 99)
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"))
        });
    }
    assert!(acknowledged > 1000, "they only got {acknowledged} steps done");
}

#[test]
fn the_newer_opener_has_the_store() {
    let bucket = SimBucket::new(Contents::default());
    let mut tag = 0;
    the_newer_opener_has_the_store_and_the_older_is_told(|| {
        tag += 1;
        BucketStore::open(bucket.clone(), tag).unwrap()
    });
}

#[test]
fn an_older_opener_that_would_write_pages_finds_out_before() {
    let bucket = SimBucket::new(Contents::default());
    let mut older = BucketStore::open(bucket.clone(), 1).unwrap();
    let _newer = BucketStore::open(bucket.clone(), 2).unwrap();
    let before = bucket.contents(|contents| contents.values.clone());
    assert_eq!(older.set(&[], &[(b"a", Some(&[1; 5000]))], true), Err(StoreError::AccessDenied));
    assert!(bucket.contents(|contents| contents.values == before));
}
