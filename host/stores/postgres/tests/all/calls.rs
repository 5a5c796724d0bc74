//! The four functions, and how many rounds each takes.

use std::time::Duration;

use kvfs_contract::KvStore;
use kvfs_store_rig::{
    Calls, Pair, calls_at_the_limits_work_and_calls_over_them_do_not,
    guards_are_checked_before_and_changes_are_made_in_order, random_calls_agree_with_an_ordered_map,
};
use kvfs_test_servers::Proxy;

use crate::common::{Store, own_url, server};

#[test]
fn calls_do_what_the_contract_says() {
    let url = own_url(server().address());
    let all = random_calls_agree_with_an_ordered_map(|| Store::make(&url));
    let mut store = Store::make(&url);
    assert!(store.limits().unwrap().durable);
    store.set(&[], &[(b"last", Some(b""))], false).unwrap();
    store.0.close().unwrap();
    store.0.close().unwrap();
    assert_eq!(Store::make(&url).entries(b"", b"").unwrap().len(), all.len() + 1);
    let new = || Store::make(&own_url(server().address()));
    guards_are_checked_before_and_changes_are_made_in_order(new());
    calls_at_the_limits_work_and_calls_over_them_do_not(new());
}

#[test]
fn each_call_is_one_round() {
    let proxy = Proxy::start(server().address());
    let mut store = Store::make(&own_url(proxy.address()));
    let value = vec![1; 100_000];
    store.set(&[], &[(b"a", Some(&value))], true).unwrap();
    // Opens the connection for reads.
    store.value_of(b"a").unwrap();
    proxy.set_delay(Duration::from_millis(30));
    let mut rounds = |what: &str, call: &mut dyn FnMut(&mut Store)| {
        proxy.reset_counts();
        call(&mut store);
        let counts = proxy.counts();
        assert_eq!((counts.turns, counts.connections), (1, 0), "{what}");
        println!("{what}: {} bytes up, {} down", counts.up_bytes, counts.down_bytes);
    };
    rounds("get", &mut |store| drop(store.get(&[b"a", b"b"]).unwrap()));
    rounds("scan", &mut |store| drop(store.scan(b"", b"", 100, 1 << 20).unwrap()));
    let guard: Pair<'_> = (b"b", None);
    rounds("buffered", &mut |store| store.set(&[guard], &[(b"a", Some(b"1"))], false).unwrap());
    rounds("durable", &mut |store| store.set(&[guard], &[(b"a", Some(&value))], true).unwrap());
    rounds("barrier", &mut |store| store.set(&[], &[], true).unwrap());
    rounds("conflict", &mut |store| assert!(store.set(&[(b"a", None)], &[(b"c", None)], true).is_err()));
}
