//! The four functions, and how many rounds each takes.

use kvfs_contract::StoreError;
use kvfs_store_rig::{
    Calls, Handle, Race, State, calls_at_the_limits_work_and_calls_over_them_do_not, each_call_is_one_round,
    guards_are_checked_before_and_changes_are_made_in_order, random_calls_agree_with_an_ordered_map,
    the_newer_host_fences_the_older,
};
use kvfs_test_servers::Proxy;

use crate::server::{Server, at, open};

#[test]
fn calls_do_what_the_contract_says() {
    let server = Server::start();
    let all = random_calls_agree_with_an_ordered_map(|| server.open());
    assert_eq!(server.memory.dump().len(), all.len());
    guards_are_checked_before_and_changes_are_made_in_order(Server::start().open());
    calls_at_the_limits_work_and_calls_over_them_do_not(Server::start().open());
}

#[test]
fn openers_at_once_take_each_step_once() {
    let server = Server::start();
    let address = server.address;
    let race = Race {
        open: |address: &Handle<std::net::SocketAddr>, _| {
            Ok(open(at(address.look(|address| *address))).unwrap())
        },
        ballast: |step| State::from([(format!("ballast {}", step % 3).into_bytes(), vec![1; 5000])]),
        may_be_overtaken: |_: &StoreError| false,
        takes_turns: true,
    };
    let steps = race.run(&vec![Handle::new(address); 4], 1, || server.open());
    assert!(steps >= 8, "{steps} steps");
}

#[test]
fn a_call_is_one_round() {
    let server = Server::start();
    let proxy = Proxy::start(server.address);
    each_call_is_one_round(&proxy, open(at(proxy.address())).unwrap());
}

#[test]
fn the_newer_of_two_hosts_with_one_volume_fences_the_older() {
    let server = Server::start();
    the_newer_host_fences_the_older(|| server.open());
}

#[test]
fn a_store_that_is_opened_for_reading_only_sends_no_change() {
    let server = Server::start();
    server.open().set(&[], &[(b"k", Some(b"v"))], true).unwrap();
    let mut config = at(server.address);
    config.read_only = true;
    let mut reader = open(config).unwrap();
    server.requests();
    assert_eq!(reader.set(&[], &[(b"k", None)], true), Err(StoreError::ReadOnly));
    assert_eq!(reader.set(&[(b"k", None)], &[], true), Err(StoreError::ReadOnly));
    reader.set(&[], &[], true).unwrap();
    assert_eq!(server.requests(), 0);
    assert_eq!(reader.value_of(b"k").unwrap().as_deref(), Some(&b"v"[..]));
}
