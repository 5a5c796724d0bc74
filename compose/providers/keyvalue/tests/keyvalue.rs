//! The store of the provider, natively: the contract, on a bucket in memory that outlives the
//! store.

use kvfs_bucket_store::{Bucket, BucketError, BucketStore};
use kvfs_host::conformance;
use kvfs_provider_kit::native::Native;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl Bucket for Memory {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }

    fn set(&self, name: &str, value: &[u8]) -> Result<(), BucketError> {
        self.0.lock().unwrap().insert(name.into(), value.into());
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), BucketError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

#[test]
fn it_conforms_and_keeps_what_was_applied() {
    let bucket = Memory::default();
    let mut tag = 0;
    let mut open = || {
        tag += 1;
        Native::new(BucketStore::open(bucket.clone(), tag).unwrap())
    };
    let report = conformance::check(&open());
    assert!(report.passed() && report.outcomes.len() > 20, "\n{report}");
    let report = conformance::check_reopening(&mut || Ok(Box::new(open())));
    assert!(report.passed(), "\n{report}");
}
