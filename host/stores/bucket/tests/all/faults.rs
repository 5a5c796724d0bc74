//! Calls of the bucket that fail, before or after they did their work.

use crate::bucket::{Contents, Failing, SimBucket};
use crate::model::pages_of_an_empty_store;
use kvfs_bucket_store::{BucketStore, StoreError};
use kvfs_store_rig::{Calls, Random, State};

#[test]
fn what_is_said_of_a_call_is_so_whichever_calls_of_the_bucket_fail() {
    let (mut unknown, mut refused) = (0, 0);
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let bucket = SimBucket::new(Contents::default());
        let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
        let mut model = State::new();
        let fail: fn(&crate::bucket::Call<'_>) -> Failing = match seed % 3 {
            0 => |call| if call.number % 13 == 0 { Failing::Before } else { Failing::No },
            1 => |call| if call.number % 17 == 0 { Failing::After } else { Failing::No },
            // Two in a row, so that the call that would find out about the first fails too.
            _ => |call| match call.number % 31 {
                0 | 1 if call.what == "get" || call.name.contains("root") => Failing::After,
                2 => Failing::Before,
                _ => Failing::No,
            },
        };
        bucket.contents(|contents| contents.fail = Some(fail));
        for step in 0..200 {
            let key = vec![b'a' + random.below(20) as u8; 400];
            let value = vec![step as u8; [10, 1900, 2500][random.below(3) as usize]];
            let old = model.get(&key).cloned();
            match store.set(&[], &[(&key, Some(&value))], true) {
                Ok(()) => drop(model.insert(key, value)),
                Err(StoreError::UnknownOutcome) => {
                    unknown += 1;
                    // Reading tells, and tells the same from then on.
                    let found = loop {
                        match store.value_of(&key) {
                            Ok(found) => break found,
                            Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error}"),
                        }
                    };
                    assert!(found == old || found.as_ref() == Some(&value), "seed {seed}, step {step}");
                    if let Some(found) = found {
                        model.insert(key, found);
                    }
                }
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("seed {seed}, step {step}: {error}"),
            }
            if random.chance(30) {
                // The next opener finds what the store says.
                let values = bucket.contents(|contents| contents.values.clone());
                let mut next = BucketStore::open(SimBucket::new(Contents::new(values)), 2).unwrap();
                assert_eq!(next.entries(b"", b"").unwrap(), model, "seed {seed}, step {step}");
            }
        }
        bucket.contents(|contents| contents.fail = None);
        assert_eq!(store.entries(b"", b"").unwrap(), model, "seed {seed}");
        // A later commit overwrites the pages of one that failed, or the next opener removes them.
        let mut store = BucketStore::open(bucket.clone(), 2).unwrap();
        assert_eq!(pages_of_an_empty_store(&bucket, &mut store), 0, "seed {seed}");
    }
    assert!(unknown > 30 && refused > 30, "{unknown} unknown, {refused} refused");
}

#[test]
fn a_bucket_that_removes_nothing_takes_changes_for_long_and_is_cleaned_when_it_does() {
    let bucket = SimBucket::new(Contents::default());
    let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
    bucket.contents(|contents| {
        contents.fail = Some(|call| if call.what == "delete" { Failing::Before } else { Failing::No });
    });
    // Garbage in more extents than a root lists.
    for step in 0..1500u32 {
        let key = (step % 50).to_be_bytes();
        store.set(&[], &[(&key, Some(&[step as u8; 2500])), (&[7; 8], Some(&[1; 3000]))], true).unwrap();
    }
    let before = bucket.contents(|contents| contents.pages());
    assert!(before > 3000, "{before}");
    bucket.contents(|contents| contents.fail = None);
    let mut store = BucketStore::open(bucket.clone(), 2).unwrap();
    let after = bucket.contents(|contents| contents.pages());
    assert!(after < 150, "{after} of {before}");
    assert_eq!(store.entries(b"", b"").unwrap().len(), 51);
    assert_eq!(pages_of_an_empty_store(&bucket, &mut store), 0);
}
