//! Two openers of one store.

use crate::objects::{Faults, Objects, open, over};
use kvfs_contract::{AsyncKvStore, Durability, KvStore, StoreError};
use kvfs_store_rig::Calls;
use kvfs_test_servers::wait_until;
use std::time::Duration;

#[test]
fn the_newer_opener_has_the_store_and_the_older_is_told() {
    let objects = Objects::new();
    let mut older = open(over(&objects));
    older.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    older.set(&[], &[(b"a", Some(b"2"))], false).unwrap();
    let mut newer = open(over(&objects));
    let found = newer.value_of(b"a").unwrap();
    // The buffered one may have got there by the clock.
    assert!([Some(&b"1"[..]), Some(b"2")].contains(&found.as_deref()), "{found:?}");
    // It may not know yet, and nothing of this is ever seen.
    let _ = older.set(&[], &[(b"b", Some(b"2"))], false);
    let told = older.set(&[], &[(b"a", Some(b"3"))], true);
    assert!(matches!(told, Err(StoreError::UnknownOutcome | StoreError::AccessDenied)), "{told:?}");
    assert_eq!(older.set(&[], &[(b"a", Some(b"3"))], true), Err(StoreError::AccessDenied));
    assert_eq!(older.apply(&[], &[], Durability::Durable), Err(StoreError::AccessDenied));
    assert_eq!(older.value_of(b"a"), Err(StoreError::AccessDenied));
    assert_eq!(older.wait(older.store.close()), Err(StoreError::AccessDenied));
    newer.set(&[(b"a", found.as_deref()), (b"b", None)], &[(b"c", Some(b"1"))], true).unwrap();
    let mut third = open(over(&objects));
    assert_eq!(third.entries(b"", b"").unwrap().len(), 2);
}

#[test]
fn a_writer_that_slept_until_its_fence_was_garbage_acknowledges_nothing() {
    let objects = Objects::new();
    let mut config = over(&objects);
    config.idle = Duration::ZERO;
    let mut older = open(config);
    older.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    let mut newer = open(over(&objects));
    newer.set(&[], &[(b"a", Some(b"2"))], true).unwrap();
    assert!(objects.remove_fences() > 1);
    let late = older.set(&[], &[(b"a", Some(b"3"))], true);
    assert!(matches!(late, Err(StoreError::UnknownOutcome | StoreError::AccessDenied)), "{late:?}");
    assert_eq!(older.set(&[], &[(b"a", Some(b"3"))], true), Err(StoreError::AccessDenied));
    assert_eq!(newer.value_of(b"a").unwrap().as_deref(), Some(&b"2"[..]));
}

/// SlateDB itself learns of the newer opener in steps.
#[test]
fn an_older_opener_that_was_told_once_is_told_by_every_call() {
    for round in 0..30 {
        let objects = Objects::new();
        let mut older = open(over(&objects));
        older.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
        let mut newer = open(over(&objects));
        newer.set(&[], &[(b"a", Some(b"2"))], true).unwrap();
        assert!(older.set(&[], &[(b"a", Some(b"3"))], true).is_err());
        let late = match round % 3 {
            0 => older.value_of(b"a").map(drop),
            1 => older.scan(b"", b"", 1, 1000).map(drop),
            _ => older.set(&[], &[(b"b", Some(b"3"))], false),
        };
        assert_eq!(late, Err(StoreError::AccessDenied), "round {round}");
    }
}

#[test]
fn a_reader_changes_nothing_and_ends_no_writer() {
    let objects = Objects::new();
    let mut writer = open(over(&objects));
    writer.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    let changes = objects.log().len();
    let mut config = over(&objects);
    config.read_only = true;
    let mut reader = open(config);
    assert_eq!(reader.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(reader.entries(b"", b"").unwrap().len(), 1);
    for durable in [false, true] {
        assert_eq!(reader.set(&[], &[(b"a", None)], durable), Err(StoreError::ReadOnly));
    }
    reader.wait(reader.store.close()).unwrap();
    assert_eq!(objects.log().len(), changes);
    writer.set(&[], &[(b"a", Some(b"2"))], true).unwrap();
}

#[test]
fn a_put_whose_answer_was_lost_is_found_out_and_fences_nobody() {
    let objects = Objects::new();
    let mut store = open(over(&objects));
    objects.set(Faults { loses_answers: true, ..Faults::default() });
    let back = {
        let objects = objects.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            objects.set(Faults::default());
        })
    };
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    back.join().unwrap();
    store.set(&[(b"a", Some(b"1"))], &[(b"a", Some(b"2"))], true).unwrap();
}

#[test]
fn without_the_object_store_calls_end_and_nothing_is_lost_when_it_is_back() {
    let objects = Objects::new();
    let mut config = over(&objects);
    config.patience = Duration::from_secs(3);
    let mut store = open(config);
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    objects.set(Faults { unreachable: true, ..Faults::default() });
    assert_eq!(store.set(&[], &[(b"a", Some(b"2"))], true), Err(StoreError::UnknownOutcome));
    // In memory: the caller that reads finds out that it was applied.
    assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"2"[..]));
    let barrier = store.apply(&[], &[], Durability::Durable);
    let Err(StoreError::Unavailable(why)) = barrier else { panic!("{barrier:?}") };
    assert!(why.contains("connection refused"), "{why}");
    objects.set(Faults::default());
    // SlateDB waits up to two seconds between its attempts.
    wait_until("the object store is back", || store.apply(&[], &[], Durability::Durable).is_ok());
    store.set(&[(b"a", Some(b"2"))], &[(b"b", Some(b"1"))], true).unwrap();
    store.kill();
    let mut store = open(over(&objects));
    assert_eq!(store.entries(b"", b"").unwrap().len(), 2);
}

#[test]
fn an_object_store_without_room_is_full_and_goes_on_with_room() {
    let objects = Objects::new();
    let mut config = over(&objects);
    config.patience = Duration::from_secs(3);
    let mut store = open(config);
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    objects.set(Faults { full: true, ..Faults::default() });
    assert_eq!(store.set(&[], &[(b"a", Some(b"2"))], true), Err(StoreError::UnknownOutcome));
    assert_eq!(store.apply(&[], &[], Durability::Durable), Err(StoreError::QuotaExceeded));
    assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"2"[..]));
    objects.set(Faults::default());
    wait_until("there is room", || store.apply(&[], &[], Durability::Durable).is_ok());
}
