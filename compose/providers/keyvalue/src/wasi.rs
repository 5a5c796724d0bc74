//! A bucket of the host.

use crate::wasi::bindings::wasi::keyvalue::store as wit;
use crate::wasi::bindings::wasi::random::random::get_random_u64;
use kvfs_bucket_store::{Bucket, BucketError};

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "kvfs:adapter/keyvalue-provider",
        generate_all,
    });
}

pub(crate) struct WasiBucket(wit::Bucket);

impl WasiBucket {
    pub(crate) fn open(name: &str) -> Result<Self, BucketError> {
        wit::open(name).map(Self).map_err(to_error)
    }
}

impl Bucket for WasiBucket {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError> {
        self.0.get(name).map_err(to_error)
    }

    fn set(&self, name: &str, value: &[u8]) -> Result<(), BucketError> {
        self.0.set(name, value).map_err(to_error)
    }

    fn delete(&self, name: &str) -> Result<(), BucketError> {
        self.0.delete(name).map_err(to_error)
    }
}

pub(crate) fn random() -> u64 {
    get_random_u64()
}

fn to_error(error: wit::Error) -> BucketError {
    match error {
        wit::Error::NoSuchStore => BucketError::Failed("the host has no such bucket".into()),
        wit::Error::AccessDenied => BucketError::Denied,
        wit::Error::Other(why) => BucketError::Failed(why),
    }
}
