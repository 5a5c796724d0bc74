//! The four functions, and how many rounds each takes.

use std::time::Duration;

use kvfs_contract::{KvStore, StoreError};
use kvfs_store_rig::{
    Calls, Handle, Pair, Race, State, calls_at_the_limits_work_and_calls_over_them_do_not,
    guards_are_checked_before_and_changes_are_made_in_order, random_calls_agree_with_an_ordered_map,
    the_newer_host_fences_the_older,
};
use kvfs_test_servers::{Proxy, Redis};

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
fn openers_at_once_take_each_step_once() {
    let url = own_url(server().address());
    let race = Race {
        open: |url: &Handle<String>, _| Ok(Store::make(&url.look(|url| url.clone()))),
        ballast: |step| State::from([(format!("ballast {}", step % 3).into_bytes(), vec![1; 5000])]),
        may_be_overtaken: |_: &StoreError| false,
        takes_turns: true,
    };
    let steps = race.run(&vec![Handle::new(url.clone()); 6], 1, || Store::make(&url));
    assert!(steps >= 12, "{steps} steps");
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

#[test]
fn a_server_without_memory_refuses_growth_and_takes_removals() {
    let redis = Redis::start_with(&[("maxmemory", "30mb"), ("maxmemory-policy", "noeviction")]);
    let mut store = Store::make(&own_url(redis.address()));
    let value = vec![1; 500_000];
    let mut kept = 0_u32;
    let error = loop {
        match store.set(
            &[],
            &[(&kept.to_be_bytes(), Some(&value)), (b"count", Some(&kept.to_be_bytes()))],
            false,
        ) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, StoreError::QuotaExceeded);
    assert!(kept > 10, "{kept}");
    // Nothing of the refused apply is there, and an apply that removes and puts is refused whole.
    assert_eq!(store.entries(b"", b"").unwrap().len() as u32, kept + 1);
    let mixed = store.set(&[], &[(&0_u32.to_be_bytes(), None), (b"new", Some(&value))], false);
    assert_eq!(mixed, Err(StoreError::QuotaExceeded));
    assert!(store.value_of(&0_u32.to_be_bytes()).unwrap().is_some());
    for number in 0..kept {
        store.set(&[], &[(&number.to_be_bytes(), None)], false).unwrap();
    }
    store.set(&[], &[(b"new", Some(&value))], false).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap().len(), 2);
}

#[test]
fn the_newer_of_two_hosts_with_one_volume_fences_the_older() {
    let url = own_url(server().address());
    the_newer_host_fences_the_older(|| Store::make(&url));
}
