//! Each function is one round trip.

use crate::servers::{Store, at, open};
use kvfs_contract::{Durability, KvStore};
use kvfs_store_rig::{Calls, Changes};
use kvfs_test_servers::{Etcd, Proxy};
use std::time::{Duration, Instant};

/// The way in one direction.
const WAY: Duration = Duration::from_millis(250);

/// Returns the round trips that `work` takes at least, by their time: the frames that HTTP/2 sends
/// of its own accord hide them from a count of messages.
fn rounds(store: &mut Store, work: impl Fn(&mut Store)) -> u128 {
    let time = |_| {
        let begun = Instant::now();
        work(store);
        begun.elapsed()
    };
    let least = (0..3).map(time).min().unwrap_or_default();
    least.as_micros() / (2 * WAY).as_micros()
}

#[test]
fn each_function_takes_one_round_trip() {
    let server = Etcd::start_unsynced();
    let proxy = Proxy::start(server.address());
    let mut store = open(at(proxy.address(), "agents"));
    let many: Changes = (0..100).map(|number| (vec![number], Some(vec![number; 100]))).collect();
    store.make(&many, true).unwrap();
    proxy.set_delay(WAY);
    let keys: Vec<_> = many.iter().map(|(key, _)| &key[..]).collect();
    let set = |store: &mut Store| store.set(&[(&[1], Some(&[1; 100]))], &[(&[2], Some(b"2"))], true).unwrap();
    assert_eq!(rounds(&mut store, set), 1, "an apply with a guard");
    assert_eq!(rounds(&mut store, |store| store.make(&many, true).unwrap()), 1, "an apply of a hundred");
    assert_eq!(rounds(&mut store, |store| drop(store.get(&keys).unwrap())), 1, "a hundred keys");
    let page = |store: &mut Store| assert_eq!(store.scan(&[], &[], 50, 1 << 20).unwrap().len(), 50);
    assert_eq!(rounds(&mut store, page), 1, "a page");
    let barrier = |store: &mut Store| store.apply(&[], &[], Durability::Durable).unwrap();
    assert_eq!(rounds(&mut store, barrier), 0, "a barrier");
    let large = vec![3; 100_000];
    store.set(&[], &[(b"large", Some(&large))], true).unwrap();
    let guarded =
        |store: &mut Store| store.set(&[(b"large", Some(&large))], &[(b"a", Some(b""))], true).unwrap();
    assert_eq!(rounds(&mut store, guarded), 2, "a large guard");
}
