//! The engine's own crash test on this store: sequences of its operations, connections that break,
//! and a kill of the host after each apply.

use crate::servers::{at, try_open};
use kvfs_contract::StoreError;
use kvfs_store_rig::sweep_server;
use kvfs_test_servers::Etcd;

#[test]
fn every_kill_of_the_host_leaves_all_that_was_acknowledged_and_a_dropped_apply_is_noticed() {
    let server = Etcd::start_unsynced();
    let open = |address, name: &str| try_open(at(address, name)).map_err(StoreError::from);
    sweep_server(open, server.address());
}
