//! A disk that is full at the server.

use std::time::Duration;

use kvfs_contract::StoreError;
use kvfs_store_rig::Calls;
use kvfs_test_servers::{Redis, SmallDisk, wait_until};

use crate::common::{Store, make, open_within, own_url};

static VALUE: [u8; 500_000] = [7; 500_000];

/// Puts values until one is refused. Returns how many there are, and the error.
fn fill(store: &mut Store) -> (u32, StoreError) {
    for number in 0..500_u32 {
        let key = number.to_be_bytes();
        if let Err(error) = store.set(&[], &[(&key, Some(&VALUE)), (b"count", Some(&key))], true) {
            return (number, error);
        }
    }
    panic!("the disk is never full");
}

/// Starts a server whose log is on a small disk, with a store that is there already.
fn start(appendfsync: &str) -> Option<(Redis, String, SmallDisk)> {
    let mut redis = Redis::start_with(&[("appendonly", "yes"), ("appendfsync", appendfsync)]);
    let url = own_url(redis.address());
    drop(make(&url));
    redis.server().stop("TERM");
    let disk = SmallDisk::over(&redis.server().directory().join("appendonlydir"), 16 << 20)?;
    redis.server().restart();
    Some((redis, url, disk))
}

#[test]
fn a_log_without_room_refuses_changes_and_goes_on_when_there_is_room() {
    let Some((mut redis, url, disk)) = start("everysec") else { return };
    let mut store = make(&url);
    let (kept, error) = fill(&mut store);
    assert_eq!(error, StoreError::QuotaExceeded);
    assert!(kept > 10, "{kept}");
    // Nothing of the refused apply is there, and what is there is read.
    assert_eq!(store.entries(b"", b"").unwrap().len() as u32, kept + 1);
    assert_eq!(store.set(&[], &[(b"count", None)], true), Err(StoreError::QuotaExceeded));
    disk.resize(64 << 20);
    // The server notices by itself.
    wait_until("there is room", || store.set(&[], &[(b"new", Some(&VALUE))], true).is_ok());
    redis.wait_for_log();
    redis.server().restart();
    assert_eq!(make(&url).entries(b"", b"").unwrap().len() as u32, kept + 2);
    drop(disk);
}

#[test]
fn a_server_that_syncs_always_ends_and_loses_nothing_durable() {
    let Some((mut redis, url, disk)) = start("always") else { return };
    let mut store = open_within(&url, Duration::from_secs(2)).unwrap();
    let (kept, error) = fill(&mut store);
    let text = error.to_string();
    let is_told = matches!(error, StoreError::Unavailable(_) | StoreError::UnknownOutcome);
    assert!(is_told && !text.contains('\n'), "{text}");
    assert!(redis.server().log().contains("AOF write error"), "{}", redis.server().log());
    disk.resize(64 << 20);
    redis.server().restart();
    let mut store = make(&url);
    let found = store.entries(b"", b"").unwrap().len() as u32;
    assert!(found == kept + 1 || found == kept + 2, "{found} entries, {kept} kept");
    store.set(&[], &[(b"new", Some(&VALUE))], true).unwrap();
    drop(disk);
}
