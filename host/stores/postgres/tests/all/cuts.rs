//! Connections that are cut, at every place of an apply.

use std::time::{Duration, Instant};

use kvfs_contract::{KvStore, StoreError};
use kvfs_store_rig::{
    Calls, an_apply_that_is_cut_anywhere_is_made_once,
    an_apply_that_is_cut_off_for_good_is_unknown_or_unavailable, apply_bytes, counted, step,
};
use kvfs_test_servers::{Direction, How, Proxy, SOON, wait_until};

use crate::common::{config, make, open_config, own_url, server};

#[test]
fn every_cut_of_an_apply_is_found_out() {
    let proxy = Proxy::start(server().address());
    let cuts = an_apply_that_is_cut_anywhere_is_made_once(&proxy, make(&own_url(proxy.address())));
    assert!(cuts > 200, "{cuts} cuts");
}

#[test]
fn what_is_said_of_an_apply_is_so() {
    let proxy = Proxy::start(server().address());
    let url = own_url(proxy.address());
    drop(make(&url));
    let mut config = config(&url);
    config.patience = Duration::from_millis(1500);
    an_apply_that_is_cut_off_for_good_is_unknown_or_unavailable(&proxy, open_config(config).unwrap());
}

#[test]
fn an_apply_that_stands_still_in_the_middle_is_made_once_and_holds_up_nobody() {
    let proxy = Proxy::start(server().address());
    let url = own_url(proxy.address());
    let mut other = make(&url.replace(&proxy.address().to_string(), &server().address().to_string()));
    let mut config = config(&url);
    config.patience = Duration::from_secs(6);
    let mut store = open_config(config).unwrap();
    let (up, _) = apply_bytes(&proxy, &mut store);
    let mut steps = counted(&mut store);
    for place in [0, up / 3, up / 2, up - 150] {
        proxy.cut_after(Direction::Up, place, How::Stall);
        let begun = Instant::now();
        let (_, outcome) = step(&mut store, true);
        // The read may meet the place instead, and is repeated.
        outcome.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert!(begun.elapsed() < SOON, "{place}: {:?}", begun.elapsed());
        steps += 1;
        assert_eq!(counted(&mut store), steps, "{place}");
        other.set(&[], &[(b"elsewhere", Some(b""))], true).unwrap();
    }
}

#[test]
fn reads_are_repeated_and_end_in_one_line_without_a_password() {
    let proxy = Proxy::start(server().address());
    let url = own_url(proxy.address()).replace("postgres@", "postgres:secret@");
    let mut store = make(&url);
    let value = vec![1; 400_000];
    store.set(&[], &[(b"a", Some(&value))], true).unwrap();
    for place in [0, 3, 100, 70_000, 399_000] {
        for how in [How::Reset, How::Close] {
            proxy.cut_after(Direction::Down, place, how);
            assert_eq!(store.value_of(b"a").unwrap().as_ref(), Some(&value), "{place}");
            assert!(!proxy.cancel_cut(), "{place}");
            proxy.cut_after(Direction::Down, place, how);
            assert_eq!(store.scan(b"", b"", 9, 1 << 20).unwrap().len(), 1, "{place}");
            assert!(!proxy.cancel_cut(), "{place}");
        }
    }
    let mut config = config(&url);
    config.patience = Duration::from_secs(3);
    let mut store = open_config(config).unwrap();
    store.value_of(b"a").unwrap();
    proxy.set_refusing(true);
    proxy.reset_all();
    let begun = Instant::now();
    for outcome in [store.value_of(b"a").map(drop), store.set(&[], &[(b"a", None)], false)] {
        let Err(StoreError::Unavailable(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains(&proxy.address().to_string()) && why.contains("check"), "{why}");
        assert!(!why.contains("secret") && !why.contains('\n'), "{why}");
    }
    assert!(begun.elapsed() < SOON);
    proxy.set_refusing(false);
    wait_until("the server is back", || store.value_of(b"a") == Ok(Some(value.clone())));
}
