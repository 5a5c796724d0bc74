//! The four functions, and how many rounds each takes.

use kvfs_contract::{AsyncKvStore, KvStore};
use kvfs_store_rig::{
    Calls, calls_at_the_limits_work_and_calls_over_them_do_not, each_call_is_one_round,
    guards_are_checked_before_and_changes_are_made_in_order, random_calls_agree_with_an_ordered_map,
};
use kvfs_test_servers::Proxy;

use crate::common::{make, own_url, server};

#[test]
fn calls_do_what_the_contract_says() {
    let url = own_url(server().address());
    let all = random_calls_agree_with_an_ordered_map(|| make(&url));
    let mut store = make(&url);
    assert!(store.limits().unwrap().durable);
    store.set(&[], &[(b"last", Some(b""))], false).unwrap();
    store.wait(store.store.close()).unwrap();
    store.wait(store.store.close()).unwrap();
    assert_eq!(make(&url).entries(b"", b"").unwrap().len(), all.len() + 1);
    let new = || make(&own_url(server().address()));
    guards_are_checked_before_and_changes_are_made_in_order(new());
    calls_at_the_limits_work_and_calls_over_them_do_not(new());
}

#[test]
fn a_call_is_one_round() {
    let proxy = Proxy::start(server().address());
    each_call_is_one_round(&proxy, make(&own_url(proxy.address())));
}
