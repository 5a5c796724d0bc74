//! The store on an object store that is not started here: a service, or an emulator of one.
//!
//! ```sh
//! KVFS_TEST_OBJECTS=slatedb:az://agents/tests AZURE_… \
//!     cargo test -p kvfs-slatedb-store --test all -- --ignored elsewhere
//! ```

use crate::objects::{open, try_open};
use kvfs_contract::{AsyncKvStore, StoreError};
use kvfs_slatedb_store::{Config, OpenError};
use kvfs_store_rig::{Calls, rules};

/// Returns the configuration of a store below the path that the environment names.
fn at(part: &str) -> Config {
    let url = std::env::var("KVFS_TEST_OBJECTS").expect("KVFS_TEST_OBJECTS, the URL of an empty path");
    let mut config = Config::from_url(&format!("{url}/{part}")).unwrap();
    config.create = true;
    config
}

#[test]
#[ignore = "needs an object store, which KVFS_TEST_OBJECTS names"]
fn the_contract_holds_there() {
    let mut missing = at("none");
    missing.create = false;
    assert!(matches!(try_open(missing), Err(OpenError::MissingStore)));
    rules::keys_are_bytes_in_order(&mut open(at("keys")));
    rules::guards_hold_or_nothing_changes(&mut open(at("guards")));
    rules::limits_are_kept(&mut open(at("limits")));
    rules::pages_end_at_their_bounds(&mut open(at("pages")));
}

#[test]
#[ignore = "needs an object store, which KVFS_TEST_OBJECTS names"]
fn the_newer_host_has_the_store_there_and_loses_nothing_durable() {
    let mut older = open(at("hosts"));
    for number in 0..10u32 {
        older.set(&[], &[(&number.to_be_bytes(), Some(&[7; 3000]))], true).unwrap();
    }
    let mut newer = open(at("hosts"));
    let refused = older.set(&[], &[(b"late", Some(b""))], true);
    assert!(matches!(refused, Err(StoreError::UnknownOutcome | StoreError::AccessDenied)), "{refused:?}");
    assert_eq!(newer.entries(b"", b"").unwrap().len(), 10);
    newer.wait(newer.store.close()).unwrap();
    assert_eq!(open(at("hosts")).entries(b"", b"").unwrap().len(), 10);
}
