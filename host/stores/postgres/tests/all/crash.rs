//! A server that is killed under a stream of applies.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kvfs_contract::StoreError;
use kvfs_store_rig::{Calls, Random, number};
use kvfs_test_servers::Postgres;

use crate::common::{Store, config, make, open_config, own_url};

/// Counts up with a mark for each step, every seventh durably, until a call fails. Returns the last
/// durable step, the last acknowledged one, and the error.
pub(crate) fn stream(store: &mut Store, begun: &mpsc::Sender<()>) -> (u64, u64, StoreError) {
    let mut count = store.value_of(b"count").unwrap().as_deref().map_or(0, number);
    let mut durable = count;
    loop {
        let next = count + 1;
        let mark = [b"mark ", &next.to_be_bytes()[..]].concat();
        let outcome = store.set(
            &[(b"count", (count > 0).then_some(&count.to_be_bytes()[..]))],
            &[(b"count", Some(&next.to_be_bytes())), (&mark, Some(&vec![next as u8; 2000]))],
            next.is_multiple_of(7),
        );
        if let Err(error) = outcome {
            return (durable, count, error);
        }
        count = next;
        durable = if next.is_multiple_of(7) { next } else { durable };
        let _ = begun.send(());
    }
}

/// Returns the number of steps that are there. They must be the first ones, each whole.
pub(crate) fn steps(store: &mut Store) -> u64 {
    let count = store.value_of(b"count").unwrap().as_deref().map_or(0, number);
    let marks = store.entries(b"mark ", b"mark!").unwrap();
    assert_eq!(marks.len() as u64, count);
    for (at, (key, value)) in (1..).zip(&marks) {
        assert_eq!(number(&key[5..]), at);
        assert!(*value == vec![at as u8; 2000], "step {at}");
    }
    count
}

/// Kills servers that write their log as rarely as they may, so that buffered applies are lost.
#[test]
fn a_killed_server_loses_nothing_durable_and_at_most_a_suffix_of_the_buffered() {
    let mut postgres = Postgres::start_with(&[("wal_writer_delay", "10s"), ("wal_writer_flush_after", "0")]);
    let url = own_url(postgres.address());
    let mut random = Random::new(3);
    let mut lost = 0;
    for round in 0..6 {
        let mut config = config(&url);
        config.patience = Duration::from_secs(60);
        let mut store = open_config(config).unwrap();
        let (begun, steps_begun) = mpsc::channel();
        let working = thread::spawn(move || {
            let end = stream(&mut store, &begun);
            (store, end)
        });
        // If all that was acknowledged is there, the stream goes on until a kill loses some of it.
        while (0..10 + random.below(90)).all(|_| steps_begun.recv().is_ok()) {
            postgres.server().kill();
            steps_begun.try_iter().for_each(drop);
            thread::sleep(Duration::from_millis(random.below(300)));
            postgres.server().restart();
        }
        let (mut store, (durable, acknowledged, error)) = working.join().unwrap();
        assert!(error.to_string().contains("lost changes"), "round {round}: {error}");
        let mut again = make(&url);
        let found = steps(&mut again);
        assert!(found >= durable, "round {round}: {found} of {durable} durable steps");
        assert!(found <= acknowledged + 1, "round {round}: {found} of {acknowledged} steps");
        assert!(found < acknowledged, "round {round}: {found} of {acknowledged}, and {error}");
        lost += 1;
        // Whoever has read what is lost is never again answered as if it were not.
        for _ in 0..2 {
            assert!(store.value_of(b"count").is_err_and(|error| error.to_string().contains("lost")));
            assert!(store.set(&[], &[(b"x", None)], false).is_err());
            assert!(store.set(&[], &[], true).is_err());
        }
    }
    assert_eq!(lost, 6);
}

#[test]
fn a_server_that_ends_in_order_and_comes_back_is_not_noticed() {
    let mut postgres = Postgres::start();
    let mut store = make(&own_url(postgres.address()));
    for (round, signal) in ["INT", "TERM", "INT"].into_iter().enumerate() {
        store.set(&[], &[(b"k", Some(&[round as u8]))], false).unwrap();
        if signal == "TERM" {
            // It waits for its clients to go.
            postgres.server().kill();
        } else {
            postgres.server().stop(signal);
        }
        postgres.server().restart();
        match store.value_of(b"k") {
            Ok(value) => assert_eq!(value, Some(vec![round as u8])),
            Err(error) => {
                assert!(signal == "TERM" && error.to_string().contains("lost"), "{signal}: {error}");
                store = make(&own_url(postgres.address()));
            }
        }
    }
}
