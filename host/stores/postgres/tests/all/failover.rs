//! A standby that takes over.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kvfs_contract::StoreError;
use kvfs_store_rig::{Calls, Random};
use kvfs_test_servers::{Postgres, wait_until};

use crate::common::{config, make, open_config};
use crate::crash::{steps, stream};

/// The primary, and a standby whose disk each durable apply waits for.
fn pair() -> (Postgres, Postgres) {
    let primary = Postgres::start();
    let standby = primary.standby(&[]);
    // Not before, or the standby would wait for one too once it is promoted.
    primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
    primary.sql("postgres", "SELECT pg_reload_conf()");
    let state = "SELECT sync_state FROM pg_stat_replication";
    wait_until("applies wait for the standby", || primary.sql("postgres", state) == "sync");
    (primary, standby)
}

fn url(primary: &Postgres, standby: &Postgres) -> String {
    let (one, other) = (primary.address(), standby.address());
    format!("postgres://postgres@{one},{other}/postgres?sslmode=disable")
}

#[test]
fn a_standby_that_takes_over_has_all_that_was_durable() {
    let mut random = Random::new(1);
    let (mut told, mut unnoticed) = (0, 0);
    for round in 0..4 {
        let (mut primary, standby) = pair();
        let url = url(&primary, &standby);
        let mut store = make(&url);
        let (begun, steps_begun) = mpsc::channel();
        let working = thread::spawn(move || {
            let end = stream(&mut store, &begun);
            (store, end)
        });
        for _ in 0..20 + random.below(60) {
            steps_begun.recv().unwrap();
        }
        primary.server().kill();
        thread::sleep(Duration::from_millis(random.below(1500)));
        standby.promote();
        // It goes on there, unless buffered applies are lost: then it is told, or is told to end. Either
        // comes, as its calls end.
        steps_begun.try_iter().for_each(drop);
        if steps_begun.recv().is_ok() {
            unnoticed += 1;
            standby.sql("postgres", "UPDATE kvfs_sessions SET applies = -9");
        } else {
            told += 1;
        }
        let (mut store, (durable, acknowledged, error)) = working.join().unwrap();
        assert!(error.to_string().contains("lost changes"), "round {round}: {error}");
        assert!(store.value_of(b"count").is_err() || store.set(&[], &[(b"x", None)], false).is_err());
        let found = steps(&mut make(&url));
        assert!(found >= durable, "round {round}: {found} of {durable} durable steps");
        assert!(found <= acknowledged + 1, "round {round}: {found} of {acknowledged} steps");
    }
    println!("{told} told of buffered losses, {unnoticed} went on");
}

#[test]
fn an_old_primary_that_comes_back_makes_nothing_durable_any_more() {
    let (mut primary, standby) = pair();
    let only = format!("postgres://postgres@{}/postgres?sslmode=disable", primary.address());
    let mut patient = config(&only);
    patient.patience = Duration::from_secs(5);
    let mut stale = open_config(patient).unwrap();
    stale.set(&[], &[(b"k", Some(b"1"))], true).unwrap();
    primary.server().kill();
    standby.promote();
    let mut newer = make(&url(&primary, &standby));
    newer.set(&[(b"k", Some(b"1"))], &[(b"k", Some(b"2"))], true).unwrap();
    // The old one runs again, as if nothing had happened. A host that knows no other server reaches
    // it, and its buffered changes are taken. No standby confirms them, so none is called durable.
    primary.server().restart();
    stale.set(&[], &[(b"k", Some(b"stale"))], false).unwrap();
    for _ in 0..2 {
        let outcome = stale.set(&[], &[(b"k", Some(b"stale too"))], true);
        let is_told = matches!(outcome, Err(StoreError::Unavailable(_) | StoreError::UnknownOutcome));
        assert!(is_told, "{outcome:?}");
    }
    let barrier = stale.set(&[], &[], true);
    assert!(matches!(barrier, Err(StoreError::Unavailable(_))), "{barrier:?}");
    // One whose URL names the old one first reads at the next connection from there: it is told.
    let error = newer.value_of(b"k").unwrap_err();
    assert!(error.to_string().contains("an older copy of it took over"), "{error}");
    let only = format!("postgres://postgres@{}/postgres?sslmode=disable", standby.address());
    assert_eq!(make(&only).value_of(b"k").unwrap().as_deref(), Some(&b"2"[..]));
}
