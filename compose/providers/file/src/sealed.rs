//! The store of the directory, encrypted with a key file from another directory.
//!
//! The key is in a directory of its own, so that a copy of the store does not come with it. The
//! guest sees neither directory.

use crate::sealed::bindings::wasi::random::random::get_random_bytes;
use crate::wasi::WasiDirectory;
use kvfs_file_store::{Directory, File, FileStore};
use kvfs_provider_kit::StoreError;
use kvfs_sealed_store::{
    Blocking, Cost, MAX_SECRET_BYTES, OpenError, Random, Seal, SealedStore, UserKey, now,
};

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "kvfs:adapter/sealed-provider",
        generate_all,
    });
}

/// The name under which the host preopens the directory of the key.
const KEY_PATH: &str = "/kvfs-key";

/// The file of the key: 32 to 4,096 random bytes.
const KEY_NAME: &str = "key";

pub(crate) type Sealed = SealedStore<Blocking<FileStore<WasiDirectory>>>;

/// Encrypts a store. An empty one becomes an encrypted one.
pub(crate) fn seal(store: FileStore<WasiDirectory>) -> Result<Sealed, StoreError> {
    let key = key()?;
    let seal = Seal { key: &key, cost: Cost::DEFAULT, create: true };
    now(SealedStore::open(Blocking::new(store), seal, HostRandom)).map_err(|error| match error {
        OpenError::Store(error) => error,
        other => StoreError::Other(other.to_string()),
    })
}

fn key() -> Result<UserKey, StoreError> {
    let directory = WasiDirectory::find(KEY_PATH).ok_or_else(|| {
        StoreError::Unavailable(format!(
            "no directory is preopened as {KEY_PATH}; run with --dir DIR::{KEY_PATH}, and the key in DIR/{KEY_NAME}"
        ))
    })?;
    let content =
        directory.open(KEY_NAME).and_then(|file| file.read(0, MAX_SECRET_BYTES + 1)).map_err(|error| {
            StoreError::Unavailable(format!("cannot read {KEY_PATH}/{KEY_NAME}: {error}; put the key there"))
        })?;
    UserKey::from_key_file(content)
        .map_err(|error| StoreError::Other(format!("{KEY_PATH}/{KEY_NAME}: {error}")))
}

/// The random bytes of the host.
struct HostRandom;

impl Random for HostRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        let random = get_random_bytes(bytes.len() as u64);
        if random.len() != bytes.len() {
            return Err(StoreError::Other("the host gave another number of random bytes".into()));
        }
        bytes.copy_from_slice(&random);
        Ok(())
    }
}
