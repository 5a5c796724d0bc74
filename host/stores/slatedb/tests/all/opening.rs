//! Places that are not there, hold something else, or cannot hold writers apart; clocks.

use crate::objects::{Faults, Objects, open, over, try_open};
use futures_util::FutureExt;
use kvfs_contract::AsyncKvStore;
use kvfs_slatedb_store::{Config, OpenError};
use kvfs_store_rig::Calls;
use kvfs_test_servers::SOON;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn refusal(config: Config) -> OpenError {
    match try_open(config) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

fn put(objects: &Arc<impl ObjectStore>, path: &str) {
    objects.put(&Path::from(path), "?".into()).now_or_never().unwrap().unwrap();
}

#[test]
fn a_reader_makes_no_store() {
    let objects = Objects::new();
    let mut config = over(&objects);
    config.read_only = true;
    assert!(matches!(refusal(config), OpenError::MissingStore));
    assert_eq!(objects.log().len(), 0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none");
    let mut config = Config::from_url(&format!("slatedb:file://{}", path.display())).unwrap();
    config.read_only = true;
    assert!(matches!(refusal(config), OpenError::MissingStore));
    assert!(!path.exists());
}

#[test]
fn a_writer_makes_a_store_only_if_asked_to() {
    let objects = Objects::new();
    let mut config = over(&objects);
    config.create = false;
    let error = refusal(config.clone());
    assert!(matches!(error, OpenError::MissingStore), "{error:?}");
    assert!(error.to_string().contains("--create") && objects.log().is_empty());
    open(over(&objects));
    open(config);
}

#[test]
fn a_path_that_holds_something_else_is_left_alone() {
    for other in ["agents/photo.jpg", "agents/manifest/00000000000000000001.manifest", "agents/kvfs-store"] {
        let objects = Arc::new(InMemory::new());
        put(&objects, other);
        let error = refusal(over(&objects));
        assert!(matches!(error, OpenError::NotAStore { .. }), "{other}: {error:?}");
        let mut config = over(&objects);
        config.read_only = true;
        assert!(matches!(refusal(config), OpenError::NotAStore { .. }), "{other}");
    }
    // Beside it there is room.
    let objects = Arc::new(InMemory::new());
    put(&objects, "agents-of-others/photo.jpg");
    open(over(&objects));
}

#[test]
fn an_object_store_that_ignores_conditions_is_refused_new_and_old() {
    let objects = Objects::new();
    let ignoring = Faults { ignores_conditions: true, ..Faults::default() };
    objects.set(ignoring);
    let error = refusal(over(&objects));
    assert!(matches!(error, OpenError::Unconditional), "{error:?}");
    assert!(!error.to_string().contains('\n'));
    let made = objects.log();
    assert!(made.iter().all(|(path, _)| path.as_ref() == "agents/kvfs-store"), "{made:?}");
    objects.set(Faults::default());
    let mut store = open(over(&objects));
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    objects.set(ignoring);
    assert!(matches!(refusal(over(&objects)), OpenError::Unconditional));
}

#[test]
fn opening_ends_when_nothing_answers() {
    let objects = Objects::new();
    objects.set(Faults { unreachable: true, ..Faults::default() });
    let mut config = over(&objects);
    config.patience = Duration::from_millis(300);
    let begun = Instant::now();
    let error = refusal(config);
    assert!(begun.elapsed() < SOON);
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[test]
fn a_host_whose_clock_is_behind_writes_at_once() {
    const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
    for (closes, only_deletes) in [(false, false), (true, false), (false, true), (true, true)] {
        let objects = Objects::new();
        let mut ahead = over(&objects);
        ahead.clock_ahead_millis = DAY_MILLIS;
        let mut store = open(ahead);
        store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
        if only_deletes {
            store.set(&[], &[(b"a", None), (b"b", None)], true).unwrap();
        }
        if closes {
            store.wait(store.store.close()).unwrap();
        }
        drop(store);
        let begun = Instant::now();
        let mut store = open(over(&objects));
        store.set(&[], &[(b"a", Some(b"2"))], true).unwrap();
        store.set(&[], &[(b"a", Some(b"3"))], true).unwrap();
        assert!(begun.elapsed() < SOON, "{closes} {only_deletes}: it waited for its clock");
    }
}
