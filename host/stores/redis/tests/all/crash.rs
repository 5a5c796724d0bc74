//! Servers that are killed.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kvfs_contract::{KvStore, StoreError};
use kvfs_store_rig::{Calls, counted, step};
use kvfs_test_servers::Redis;

use crate::common::{Store, own_url};

#[test]
fn a_killed_server_with_a_log_loses_nothing_and_is_not_noticed() {
    let mut redis = Redis::start_durable();
    let url = own_url(redis.address());
    for round in 0..4_u64 {
        let mut store = Store::make(&url);
        let before = counted(&mut store);
        let (begun, steps) = mpsc::channel();
        let working = thread::spawn(move || {
            for number in 1..=60 {
                let (next, outcome) = step(&mut store, number % 5 == 0);
                outcome.unwrap_or_else(|error| panic!("step {number}: {error}"));
                assert_eq!(next, before + number);
                let _ = begun.send(());
            }
        });
        for _ in 0..5 + 10 * round {
            steps.recv().unwrap();
        }
        redis.server().kill();
        thread::sleep(Duration::from_millis(100 * round));
        redis.server().restart();
        working.join().unwrap();
        assert_eq!(counted(&mut Store::make(&url)), before + 60, "round {round}");
    }
}

#[test]
fn a_killed_server_without_a_log_is_not_called_durable_and_its_loss_is_told() {
    let mut redis = Redis::start();
    let url = own_url(redis.address());
    let mut store = Store::make(&url);
    assert!(!store.limits().unwrap().durable);
    step(&mut store, true).1.unwrap();
    redis.server().kill();
    redis.server().restart();
    for _ in 0..2 {
        for outcome in [
            store.value_of(b"count").map(drop),
            store.set(&[], &[(b"k", Some(b"v"))], true),
            store.set(&[], &[], true),
        ] {
            let Err(StoreError::Other(why)) = outcome else { panic!("{outcome:?}") };
            assert!(why.contains("lost changes"), "{why}");
        }
    }
    assert_eq!(counted(&mut Store::make(&url)), 0);
}

#[test]
fn a_server_that_stops_keeping_its_log_is_not_trusted_any_more() {
    let mut redis = Redis::start_durable();
    let mut store = Store::make(&own_url(redis.address()));
    step(&mut store, true).1.unwrap();
    redis.cli(&["CONFIG", "SET", "appendfsync", "no"]);
    let killed_clients = redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert_ne!(killed_clients, "0");
    let refused = store.set(&[], &[(b"k", None)], true);
    // The apply itself may be on its way, and its fate cannot be found out on such a server.
    assert!(matches!(refused, Err(StoreError::Other(_) | StoreError::UnknownOutcome)), "{refused:?}");
    assert!(store.value_of(b"k").is_err_and(|error| error.to_string().contains("appendfsync")));
    redis.cli(&["CONFIG", "SET", "appendfsync", "always"]);
    store.set(&[], &[(b"k", None)], true).unwrap();
    redis.server().kill();
}
