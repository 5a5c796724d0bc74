//! A server that syncs its log every second, and is asked to wait for it: Valkey, which passes for
//! Redis 7.2. Valkey 8.0 answers such questions before it has synced, so it is not called durable;
//! that the questions are asked, and what is made of the answers, it shows all the same.

use kvfs_contract::{KvStore, StoreError};
use kvfs_store_rig::{
    Calls, calls_at_the_limits_work_and_calls_over_them_do_not, counted, each_call_is_one_round,
    random_calls_agree_with_an_ordered_map, step,
};
use kvfs_test_servers::{Proxy, Redis};

use crate::common::{make, open_within, own_url};
use std::time::Duration;

fn valkey() -> Redis {
    Redis::start_valkey(&[("appendonly", "yes"), ("appendfsync", "everysec")])
}

/// Returns a proxy that passes Valkey for Redis 7.2.
fn as_redis(valkey: &Redis) -> Proxy {
    let proxy = Proxy::start(valkey.address());
    proxy.rewrite("valkey_version", "other_version_");
    proxy.rewrite("server_name:valkey", "server_name:redis_");
    proxy
}

/// Returns how often the server was asked to wait.
fn waits(valkey: &Redis) -> u64 {
    let stats = valkey.cli(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_waitaof:calls="));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn valkey_is_durable_if_it_syncs_always_and_not_if_it_syncs_every_second() {
    let sometimes = valkey();
    let url = own_url(sometimes.address());
    assert!(!make(&url).limits().unwrap().durable);
    random_calls_agree_with_an_ordered_map(|| make(&url));
    assert_eq!(waits(&sometimes), 0);
    let mut always = Redis::start_valkey(&[("appendonly", "yes"), ("appendfsync", "always")]);
    let url = own_url(always.address());
    let mut store = make(&url);
    assert!(store.limits().unwrap().durable);
    for number in 0..20 {
        step(&mut store, number % 3 == 0).1.unwrap();
    }
    always.server().restart();
    assert_eq!(counted(&mut store), 20);
    calls_at_the_limits_work_and_calls_over_them_do_not(make(&own_url(always.address())));
}

#[test]
fn each_durable_call_asks_the_server_to_wait_in_the_same_round() {
    let valkey = valkey();
    let proxy = as_redis(&valkey);
    let mut store = make(&own_url(proxy.address()));
    assert!(store.limits().unwrap().durable);
    for _ in 0..5 {
        step(&mut store, false).1.unwrap();
    }
    assert_eq!(waits(&valkey), 0);
    for number in 1..=3 {
        step(&mut store, true).1.unwrap();
        assert_eq!(waits(&valkey), number);
    }
    step(&mut store, false).1.unwrap();
    store.set(&[], &[], true).unwrap();
    assert_eq!(waits(&valkey), 4);
    assert_eq!(counted(&mut store), 9);
    let proxy = as_redis(&valkey);
    each_call_is_one_round(&proxy, make(&own_url(proxy.address())));
}

#[test]
fn a_log_that_does_not_reach_the_disk_is_not_called_durable() {
    let valkey = valkey();
    let proxy = as_redis(&valkey);
    let mut store = open_within(&own_url(proxy.address()), Duration::from_secs(9)).unwrap();
    step(&mut store, true).1.unwrap();
    // The server syncs no more, and the connection does not know.
    valkey.cli(&["CONFIG", "SET", "appendfsync", "no"]);
    let (next, outcome) = step(&mut store, true);
    assert_eq!(outcome, Err(StoreError::UnknownOutcome));
    // It was made, and buffered.
    assert_eq!(counted(&mut store), next);
    // The next connection is told that the server does not keep its promise.
    let barrier = store.set(&[], &[], true);
    let Err(StoreError::Other(why)) = barrier else { panic!("{barrier:?}") };
    assert!(why.contains("appendfsync") && !why.contains('\n'), "{why}");
    valkey.cli(&["CONFIG", "SET", "appendfsync", "everysec"]);
    store.set(&[], &[], true).unwrap();
    step(&mut store, true).1.unwrap();
    assert_eq!(counted(&mut store), next + 1);
}
