//! Several hosts on one store.

use crate::servers::{Store, at, open, try_open};
use kvfs_contract::StoreError;
use kvfs_store_rig::{Handle, Race, State, the_newer_host_has_the_volume};
use kvfs_test_servers::Etcd;
use std::net::SocketAddr;

#[test]
fn of_two_hosts_on_one_volume_the_newer_has_it() {
    let server = Etcd::start_unsynced();
    the_newer_host_has_the_volume(|| open(at(server.address(), "agents")));
}

const RACE: Race<SocketAddr, Store> = Race {
    open: |handle, _| try_open(at(handle.look(|address| *address), "race")).map_err(StoreError::from),
    ballast: |step| State::from([(b"ballast".to_vec(), vec![step as u8; 400])]),
    may_be_overtaken: |_| false,
    takes_turns: true,
};

#[test]
fn hosts_that_race_lose_no_acknowledged_step_and_take_none_twice() {
    let server = Etcd::start_unsynced();
    let hosts: Vec<_> = (0..4).map(|_| Handle::new(server.address())).collect();
    let acknowledged = RACE.run(&hosts, 0, || open(at(server.address(), "race")));
    assert!(acknowledged > 11, "they only got {acknowledged} steps done");
}
