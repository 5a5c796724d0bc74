//! Connections that are cut, at every place of an apply.

use std::time::{Duration, Instant};

use kvfs_contract::{KvStore, StoreError};
use kvfs_store_rig::{
    Calls, an_apply_that_is_cut_anywhere_is_made_once,
    an_apply_that_is_cut_off_for_good_is_unknown_or_unavailable, apply_bytes, counted, step,
};
use kvfs_test_servers::{Direction, How, Proxy, SOON, wait_until};

use crate::common::{make, open_within, own_url, server};

#[test]
fn every_cut_of_an_apply_is_found_out() {
    let proxy = Proxy::start(server().address());
    let cuts = an_apply_that_is_cut_anywhere_is_made_once(&proxy, make(&own_url(proxy.address())));
    assert!(cuts > 150, "{cuts} cuts");
}

#[test]
fn what_is_said_of_an_apply_is_so() {
    let proxy = Proxy::start(server().address());
    let store = open_within(&own_url(proxy.address()), Duration::from_millis(1500)).unwrap();
    an_apply_that_is_cut_off_for_good_is_unknown_or_unavailable(&proxy, store);
}

#[test]
fn an_apply_that_stands_still_in_the_middle_is_made_once() {
    let proxy = Proxy::start(server().address());
    let mut store = open_within(&own_url(proxy.address()), Duration::from_secs(6)).unwrap();
    let (up, _) = apply_bytes(&proxy, &mut store);
    let mut steps = counted(&mut store);
    for place in [0, up / 2, up - 150] {
        proxy.cut_after(Direction::Up, place, How::Stall);
        let (_, outcome) = step(&mut store, true);
        outcome.unwrap_or_else(|error| panic!("{place}: {error}"));
        steps += 1;
        assert_eq!(counted(&mut store), steps, "{place}");
    }
}

#[test]
fn reads_are_repeated_and_end_in_one_line() {
    let proxy = Proxy::start(server().address());
    let url = own_url(proxy.address());
    let mut store = make(&url);
    let value = vec![1; 400_000];
    store.set(&[], &[(b"a", Some(&value))], true).unwrap();
    for place in [0, 3, 70_000, 399_000] {
        for how in [How::Reset, How::Close] {
            proxy.cut_after(Direction::Down, place, how);
            assert_eq!(store.value_of(b"a").unwrap().as_ref(), Some(&value), "{place}");
            assert!(!proxy.cancel_cut(), "{place}");
            proxy.cut_after(Direction::Down, place, how);
            assert_eq!(store.scan(b"", b"", 9, 1 << 20).unwrap().len(), 1, "{place}");
            assert!(!proxy.cancel_cut(), "{place}");
        }
    }
    let mut store = open_within(&url, Duration::from_secs(3)).unwrap();
    proxy.set_refusing(true);
    proxy.reset_all();
    let begun = Instant::now();
    let read = store.value_of(b"a").map(drop);
    let Err(StoreError::Unavailable(why)) = read else { panic!("{read:?}") };
    assert!(why.contains(&proxy.address().to_string()) && why.contains("check"), "{why}");
    assert!(!why.contains('\n') && begun.elapsed() < SOON, "{why}");
    proxy.set_refusing(false);
    wait_until("the server is back", || store.value_of(b"a") == Ok(Some(value.clone())));
}
