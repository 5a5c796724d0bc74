//! Kills, cuts, stalls, a full server, and a leader that dies.

use crate::servers::{at, open};
use kvfs_contract::{AsyncKvStore, Durability, KvStore, StoreError};
use kvfs_etcd_store::Config;
use kvfs_store_rig::Calls;
use kvfs_test_servers::{Direction, Etcd, EtcdCluster, How, Proxy, SOON, wait_until};
use std::time::{Duration, Instant};

#[test]
fn a_kill_of_the_server_loses_nothing() {
    let mut server = Etcd::start();
    let mut store = open(at(server.address(), "agents"));
    for number in 0..40u32 {
        if number % 10 == 9 {
            server.server().kill();
        }
        let key = number.to_be_bytes();
        if number % 10 == 9 {
            let refused = {
                let mut config = at(server.address(), "agents");
                config.patience = Duration::from_millis(300);
                crate::servers::try_open(config).is_err()
            };
            assert!(refused, "the server is gone");
            server.server().restart();
        }
        store.set(&[(&key, None)], &[(&key, Some(&[1; 3000]))], number % 3 == 0).unwrap();
    }
    server.server().restart();
    assert_eq!(store.entries(b"", b"").unwrap().len(), 40);
    let mut store = open(at(server.address(), "agents"));
    assert_eq!(store.entries(b"", b"").unwrap().len(), 40);
}

#[test]
fn without_a_server_calls_end_and_say_that_nothing_changed() {
    let mut server = Etcd::start();
    let mut config = at(server.address(), "agents");
    config.patience = Duration::from_secs(3);
    let mut store = open(config);
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    server.server().kill();
    // The connection may break under the first; the second knows that nobody listens.
    let _ = store.value_of(b"a");
    let begun = Instant::now();
    let refused = store.set(&[], &[(b"a", Some(b"2"))], true);
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let refused = store.value_of(b"a");
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(begun.elapsed() < SOON);
    server.server().restart();
    wait_until("the server is back", || store.value_of(b"a") == Ok(Some(b"1".to_vec())));
}

#[test]
fn a_connection_cut_anywhere_in_an_apply_loses_and_doubles_nothing() {
    let server = Etcd::start_unsynced();
    let proxy = Proxy::start(server.address());
    let mut store = open(at(proxy.address(), "agents"));
    let mut look = open(at(server.address(), "agents"));
    let (mut count, mut cuts) = (0u64, 0);
    store.set(&[], &[(b"count", Some(&count.to_be_bytes()))], true).unwrap();
    for direction in [Direction::Up, Direction::Down] {
        for bytes in [0, 1, 9, 20, 40, 60, 80, 100, 130, 160, 200] {
            for how in [How::Reset, How::Close] {
                proxy.cut_after(direction, bytes, how);
                let (before, after) = (count.to_be_bytes(), (count + 1).to_be_bytes());
                let guard = (&b"count"[..], Some(&before[..]));
                // Settled: a second attempt would find that its guard does not hold.
                store.set(&[guard], &[(b"count", Some(&after))], true).unwrap();
                count += 1;
                assert_eq!(look.value_of(b"count").unwrap(), Some(after.to_vec()));
                cuts += u32::from(!proxy.cancel_cut());
            }
        }
    }
    assert!(cuts >= 30, "{cuts} cuts");
}

#[test]
fn an_apply_that_only_removes_is_unknown_and_does_not_happen_later() {
    let server = Etcd::start_unsynced();
    let proxy = Proxy::start(server.address());
    let mut store = open(at(proxy.address(), "agents"));
    let (mut unknown, mut made) = (0, 0);
    for bytes in [0, 10, 30, 60, 100] {
        for direction in [Direction::Up, Direction::Down] {
            store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
            proxy.cut_after(direction, bytes, How::Reset);
            match store.set(&[(b"a", Some(b"1"))], &[(b"a", None)], true) {
                Ok(()) => made += 1,
                Err(StoreError::UnknownOutcome) => unknown += 1,
                Err(error) => panic!("{error}"),
            }
            let found = store.value_of(b"a").unwrap();
            proxy.cancel_cut();
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(store.value_of(b"a").unwrap(), found, "it does not change later");
        }
    }
    assert!(unknown > 2, "{unknown} unknown, {made} made");
}

#[test]
fn a_server_that_answers_nothing_makes_the_outcome_unknown_until_it_does() {
    let server = Etcd::start_unsynced();
    let proxy = Proxy::start(server.address());
    let mut config = at(proxy.address(), "agents");
    config.patience = Duration::from_secs(3);
    let mut store = open(config);
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    proxy.set_stalled(true);
    assert_eq!(store.set(&[], &[(b"a", Some(b"2"))], true), Err(StoreError::UnknownOutcome));
    // What is read must not change afterwards, so nothing is read.
    let open_still = store.value_of(b"a");
    assert!(matches!(open_still, Err(StoreError::Unavailable(_))), "{open_still:?}");
    let barrier = store.apply(&[], &[], Durability::Durable);
    assert!(matches!(barrier, Err(StoreError::Unavailable(_))), "{barrier:?}");
    proxy.set_stalled(false);
    let mut found = None;
    wait_until("the server is back", || {
        found = store.value_of(b"a").ok().flatten();
        found.is_some()
    });
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(store.value_of(b"a").unwrap(), found);
    store.set(&[(b"a", found.as_deref())], &[(b"a", Some(b"3"))], true).unwrap();
}

#[test]
fn a_full_server_takes_no_more_and_still_reads_and_removes() {
    let server = Etcd::start_with(&["--unsafe-no-fsync", "--quota-backend-bytes", "16777216"]);
    let mut store = open(at(server.address(), "agents"));
    let mut number = 0u32;
    let full = loop {
        let key = number.to_be_bytes();
        match store.set(&[], &[(&key, Some(&vec![1; 500_000]))], true) {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
        assert!(number < 100, "it never gets full");
    };
    assert_eq!(full, StoreError::QuotaExceeded);
    assert_eq!(store.entries(b"", b"").unwrap().len(), number as usize);
    store.set(&[(&[0; 4], Some(&vec![1; 500_000]))], &[(&[0; 4], None)], true).unwrap();
    assert_eq!(store.value_of(&[0; 4]).unwrap(), None);
    assert_eq!(store.set(&[], &[(b"a", Some(b"1"))], true), Err(StoreError::QuotaExceeded));
}

#[test]
fn a_handle_leaves_nothing_behind_when_it_is_closed() {
    let server = Etcd::start_unsynced();
    let mut store = open(at(server.address(), "agents"));
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    let keys = || server.ctl(&["get", "", "--from-key", "--keys-only"]);
    let keys = || keys().split("agents").count() - 1;
    assert_eq!(keys(), 3, "the mark, the entry and the record");
    store.wait(store.store.close()).unwrap();
    store.wait(store.store.close()).unwrap();
    assert_eq!(keys(), 2);
    store.set(&[(b"a", Some(b"1"))], &[(b"a", Some(b"2"))], true).unwrap();
}

#[test]
fn when_the_leader_of_three_dies_the_others_go_on() {
    let mut cluster = EtcdCluster::start();
    let hosts: Vec<_> = cluster.addresses().iter().map(ToString::to_string).collect();
    let mut config = Config::from_url(&format!("etcd://{}/agents", hosts.join(","))).unwrap();
    config.create = true;
    let mut store = open(config);
    for number in 0..30u32 {
        if number == 10 {
            cluster.kill_leader();
        }
        let (before, after) = (number.to_be_bytes(), (number + 1).to_be_bytes());
        let before = (number > 0).then_some(&before[..]);
        store.set(&[(b"count", before)], &[(b"count", Some(&after))], true).unwrap();
        assert_eq!(store.value_of(b"count").unwrap().as_deref(), Some(&after[..]));
    }
}
