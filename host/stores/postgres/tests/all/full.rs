//! A disk that is full at the server.

use std::time::Duration;

use kvfs_contract::StoreError;
use kvfs_store_rig::{Calls, Random};
use kvfs_test_servers::{Postgres, SmallDisk};

use crate::common::{Store, config, make, open_config, own_url};

/// Bytes that cannot be made smaller.
fn noise(random: &mut Random) -> Vec<u8> {
    (0..500_000).map(|_| random.below(256) as u8).collect()
}

/// Puts values, each durably, until one is refused. Returns how many there are, and the error.
fn fill(store: &mut Store, random: &mut Random) -> (u32, StoreError) {
    for number in 0..2000_u32 {
        let key = number.to_be_bytes();
        if let Err(error) = store.set(&[], &[(&key, Some(&noise(random))), (b"count", Some(&key))], true) {
            return (number, error);
        }
    }
    panic!("the disk is never full");
}

#[test]
fn a_table_without_room_refuses_growth_whole_and_goes_on_when_there_is_room() {
    let postgres = Postgres::start();
    let space = postgres.own_directory("small");
    let Some(disk) = SmallDisk::over(&space, 24 << 20) else { return };
    postgres.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", space.display()));
    postgres.sql("postgres", "ALTER DATABASE postgres SET default_tablespace = small");
    let mut store = make(&own_url(postgres.address()));
    let mut random = Random::new(5);
    let (kept, error) = fill(&mut store, &mut random);
    assert_eq!(error, StoreError::QuotaExceeded);
    assert!(kept > 10, "{kept}");
    // Nothing of the refused apply is there, one that removes and puts is refused whole, and one that
    // removes is made.
    assert_eq!(store.entries(b"", b"").unwrap().len() as u32, kept + 1);
    let first = 0_u32.to_be_bytes();
    let mixed = store.set(&[], &[(&first, None), (b"new", Some(&noise(&mut random)))], true);
    assert_eq!(mixed, Err(StoreError::QuotaExceeded));
    assert!(store.value_of(&first).unwrap().is_some());
    store.set(&[], &[(&first, None)], true).unwrap();
    disk.resize(64 << 20);
    store.set(&[(&first, None)], &[(b"new", Some(&noise(&mut random)))], true).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap().len() as u32, kept + 1);
    drop(store);
    assert_eq!(make(&own(&postgres)).entries(b"", b"").unwrap().len() as u32, kept + 1);
    drop(disk);
}

/// Returns the URL of the only store at a server.
fn own(postgres: &Postgres) -> String {
    let names = "SELECT relname FROM pg_class WHERE relname ~ '^t[0-9]+$'";
    let table = postgres.sql("postgres", names);
    format!("postgres://postgres@{}/postgres?sslmode=disable&table={table}", postgres.address())
}

#[test]
fn a_log_without_room_stops_the_server_and_loses_nothing_durable() {
    let mut postgres = Postgres::start();
    let url = own_url(postgres.address());
    drop(make(&url));
    postgres.server().stop("INT");
    let log = postgres.data().join("pg_wal");
    let Some(disk) = SmallDisk::over(&log, 48 << 20) else { return };
    postgres.server().restart();
    let mut patient = config(&url);
    patient.patience = Duration::from_secs(6);
    let mut store = open_config(patient).unwrap();
    let (kept, error) = fill(&mut store, &mut Random::new(6));
    let text = error.to_string();
    assert!(
        matches!(error, StoreError::Unavailable(_) | StoreError::UnknownOutcome | StoreError::QuotaExceeded),
        "{text}"
    );
    assert!(!text.contains('\n'), "{text}");
    let read = store.value_of(b"count").map(drop);
    println!("{kept} kept; {text}; {read:?}");
    disk.resize(1 << 30);
    postgres.server().restart();
    let mut store = make(&url);
    let found = store.entries(b"", b"").unwrap().len() as u32;
    // The one without an answer may be there.
    assert!(found == kept + 1 || found == kept + 2, "{found} entries, {kept} kept");
    store.set(&[], &[(b"new", Some(b"room"))], true).unwrap();
    drop(disk);
}
