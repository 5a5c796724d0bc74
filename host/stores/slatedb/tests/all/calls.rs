//! The rules of the four functions.

use crate::objects::{Objects, open, over};
use kvfs_contract::{AsyncKvStore, Durability, KvStore, StoreError};
use kvfs_store_rig::{Calls, rules};

#[test]
fn the_rules_of_the_contract_hold() {
    rules::keys_are_bytes_in_order(&mut open(over(&Objects::new())));
    rules::guards_hold_or_nothing_changes(&mut open(over(&Objects::new())));
    rules::limits_are_kept(&mut open(over(&Objects::new())));
    rules::pages_end_at_their_bounds(&mut open(over(&Objects::new())));
}

#[test]
fn a_barrier_makes_what_waits_durable() {
    let objects = Objects::new();
    let mut store = open(over(&objects));
    store.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
    store.apply(&[], &[], Durability::Durable).unwrap();
    store.set(&[], &[(b"b", Some(b"1"))], false).unwrap();
    store.kill();
    let mut store = open(over(&objects));
    assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn what_was_closed_is_there_for_the_next_and_takes_no_calls() {
    let objects = Objects::new();
    let mut store = open(over(&objects));
    store.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
    store.wait(store.store.close()).unwrap();
    store.wait(store.store.close()).unwrap();
    let closed = "the database is closed; open it again".to_owned();
    assert_eq!(store.value_of(b"a"), Err(StoreError::Unavailable(closed.clone())));
    assert_eq!(store.set(&[], &[(b"a", None)], false), Err(StoreError::Unavailable(closed)));
    let mut next = open(over(&objects));
    assert_eq!(next.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}
