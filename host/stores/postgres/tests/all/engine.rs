//! The engine's own crash test on this store: sequences of its operations, connections that break,
//! and a kill of the host after each apply.

use crate::common::{open_within, server};
use kvfs_contract::StoreError;
use kvfs_store_rig::sweep_server;
use std::net::SocketAddr;
use std::time::Duration;

#[test]
fn every_kill_of_the_host_leaves_all_that_was_acknowledged_and_a_dropped_apply_is_noticed() {
    let open = |address: SocketAddr, name: &str| {
        let url = format!("postgres://postgres@{address}/postgres?sslmode=disable&table={name}");
        open_within(&url, Duration::from_secs(30)).map_err(StoreError::from)
    };
    sweep_server(open, server().address());
}
