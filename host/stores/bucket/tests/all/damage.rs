//! A bucket whose values are damaged, lost, or another program's.

use crate::bucket::{Contents, SimBucket, Values};
use kvfs_bucket_store::{BucketStore, OpenError, StoreError};
use kvfs_store_rig::{Calls, Changes};

/// The bucket of a store with a tree, a log and large values.
fn values() -> Values {
    let bucket = SimBucket::new(Contents::default());
    let mut store = BucketStore::open(bucket.clone(), 1).unwrap();
    for step in 0..60u8 {
        let changes: Changes = vec![
            (vec![step; 700], Some(vec![step; 1500])),
            (vec![b'b', step], Some(vec![step; if step % 20 == 0 { 66_000 } else { 10 }])),
        ];
        store.make(&changes, true).unwrap();
    }
    bucket.contents(|contents| contents.values.clone())
}

fn open(values: Values) -> Result<BucketStore<SimBucket>, OpenError> {
    BucketStore::open(SimBucket::new(Contents::new(values)), 9)
}

#[test]
fn what_is_damaged_or_missing_is_an_error_and_never_other_keys() {
    let whole = values();
    let expected = open(whole.clone()).unwrap().entries(b"", b"").unwrap();
    assert!(whole.keys().filter(|name| name.contains(".page.")).count() > 15, "{:?}", whole.keys());
    let (mut found_out, mut in_values) = (0, 0);
    for name in whole.keys() {
        let length = whole[name].len();
        let places = (0..length).step_by(1 + length / 7).chain([length - 1]);
        let mut damaged: Vec<Values> = places
            .map(|at| {
                let mut values = whole.clone();
                values.get_mut(name).unwrap()[at] ^= 0x10;
                values
            })
            .collect();
        let mut short = whole.clone();
        short.get_mut(name).unwrap().pop();
        let mut missing = whole.clone();
        missing.remove(name);
        damaged.extend([short, missing]);
        for values in damaged {
            let read = open(values).and_then(|mut store| Ok(store.entries(b"", b"")?));
            match read {
                Err(OpenError::Store(StoreError::Corrupt(text))) => {
                    assert!(text.contains("kvfs.") && text.contains("restore"), "{text}");
                    found_out += 1;
                }
                Err(error) => panic!("{name}: {error}"),
                Ok(found) if name.contains(".page.") => {
                    // In a large value: all keys are there, and readers of values have checksums of
                    // their own.
                    assert!(found.keys().eq(expected.keys()), "{name}");
                    in_values += 1;
                }
                // A root that looks torn: the one before it is a commit older, or has the same
                // contents.
                Ok(found) => assert!(found.len().abs_diff(expected.len()) <= 2, "{name}"),
            }
        }
    }
    assert!(found_out > 100 && in_values > 10, "{found_out} and {in_values}");
}

#[test]
fn a_store_that_lost_all_its_roots_or_its_claims_is_not_an_empty_one() {
    for lost in ["kvfs.root.", "kvfs.claim.", "kvfs.head"] {
        let mut values = values();
        values.retain(|name, _| !name.starts_with(lost));
        let opened = open(values);
        if lost != "kvfs.root." {
            // The head or a claim still names the opener.
            assert_eq!(opened.unwrap().entries(b"", b"").unwrap().len(), 120);
        } else {
            assert!(matches!(&opened, Err(OpenError::Store(StoreError::Corrupt(_)))), "{opened:?}");
        }
    }
}

#[test]
fn values_of_others_are_left_alone() {
    let others = ["mine", "kvf", "kvfsx", "0"].map(|name| (name.to_owned(), b"mine".to_vec()));
    let bucket = SimBucket::new(Contents::new(others.clone().into()));
    for opening in 0..80 {
        let mut store = BucketStore::open(bucket.clone(), opening).unwrap();
        store.set(&[], &[(b"a", Some(&[1; 3000]))], true).unwrap();
    }
    for (name, value) in others {
        assert_eq!(bucket.contents(|contents| contents.values.get(&name).cloned()), Some(value));
    }
}
