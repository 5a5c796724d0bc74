//! The rules of the four functions.

use crate::servers::{at, open};
use kvfs_contract::{AsyncKvStore, KvStore, StoreError};
use kvfs_store_rig::{Calls, Random, State, rules};
use kvfs_test_servers::Etcd;

#[test]
fn the_rules_of_the_contract_hold() {
    let server = Etcd::start();
    rules::keys_are_bytes_in_order(&mut open(at(server.address(), "keys")));
    rules::guards_hold_or_nothing_changes(&mut open(at(server.address(), "guards")));
    rules::limits_are_kept(&mut open(at(server.address(), "limits")));
    rules::pages_end_at_their_bounds(&mut open(at(server.address(), "pages")));
    // A hundred guards are within what one apply takes.
    let mut store = open(at(server.address(), "many"));
    let keys: Vec<[u8; 1]> = (0..200).map(|number| [number]).collect();
    let guards: Vec<_> = keys.iter().map(|key| (&key[..], None)).collect();
    store.set(&guards[..120], &[(b"a", Some(b"1"))], true).unwrap();
    assert_eq!(store.set(&guards, &[(b"a", Some(b"1"))], true), Err(StoreError::TooLarge));
}

#[test]
fn random_calls_agree_with_an_ordered_map() {
    let server = Etcd::start_unsynced();
    let mut random = Random::new(5);
    let (mut model, mut other) = (State::new(), State::new());
    // Prefixes that continue each other, in one key space.
    let mut store = open(at(server.address(), "a"));
    let mut beside = open(at(server.address(), "a/d"));
    for round in 0..4 {
        rules::random_calls(&mut store, &mut model, &mut random, 60);
        rules::random_calls(&mut beside, &mut other, &mut random, 30);
        if round % 2 == 0 {
            store.wait(store.store.close()).unwrap();
        }
        store = open(at(server.address(), "a"));
        assert_eq!(store.entries(b"", b"").unwrap(), model);
    }
}

#[test]
fn large_entries_are_scanned_in_pages_that_fit() {
    let server = Etcd::start_unsynced();
    let mut store = open(at(server.address(), "large"));
    for number in 0..200u8 {
        store.set(&[], &[(&[number], Some(&[1; 100]))], false).unwrap();
    }
    // The next page is guessed by these, and every entry is ten thousand times as large.
    assert_eq!(store.scan(b"", &[100], u32::MAX, u32::MAX).unwrap().len(), 100);
    for number in 100..120u8 {
        store.set(&[], &[(&[number], Some(&vec![2; 1 << 20]))], false).unwrap();
    }
    let found = store.entries(&[100], b"").unwrap();
    assert_eq!(found.len(), 100);
    assert!(found.iter().take(20).all(|(_, value)| value.len() == 1 << 20));
}

#[test]
fn a_page_keeps_to_its_bytes_where_entries_are_larger_than_those_before() {
    let server = Etcd::start_unsynced();
    let mut store = open(at(server.address(), "grows"));
    for number in 0..60u8 {
        let value = vec![7; if number < 50 { 10 } else { 1000 }];
        store.set(&[], &[(&[number], Some(&value))], false).unwrap();
    }
    // The next page is guessed by these.
    assert_eq!(store.scan(b"", &[50], 50, 1 << 20).unwrap().len(), 50);
    // Four of 1,001 bytes.
    assert_eq!(store.scan(&[50], b"", 50, 4500).unwrap().len(), 4);
}

#[test]
fn two_handles_see_each_other_at_once() {
    let server = Etcd::start_unsynced();
    let mut one = open(at(server.address(), "both"));
    let mut two = open(at(server.address(), "both"));
    for number in 0..50u8 {
        let before = (number > 0).then(|| [number - 1]);
        let before = before.as_ref().map(|before| &before[..]);
        let (first, second) = if number % 2 == 0 { (&mut one, &mut two) } else { (&mut two, &mut one) };
        first.set(&[(b"count", before)], &[(b"count", Some(&[number]))], false).unwrap();
        let late = second.set(&[(b"count", before)], &[(b"count", Some(&[0]))], true);
        assert_eq!(late, Err(StoreError::Conflict));
        assert_eq!(second.value_of(b"count").unwrap(), Some(vec![number]));
    }
}
