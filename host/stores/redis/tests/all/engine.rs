//! The engine's own crash test on this store: sequences of its operations, connections that break,
//! and a kill of the host after each apply.

use crate::common::{Store, open_within, server};
use kvfs_contract::StoreError;
use kvfs_store_rig::{DropsApplies, Sweep, sweep_served};
use kvfs_trust::cuts::Met;
use kvfs_trust::ops::{Op, Setup};
use std::net::SocketAddr;
use std::time::Duration;

/// Fewer than on simulated media: after each apply a volume is opened on a real server.
const SEQUENCES: u64 = 8;
const OPERATIONS: usize = 30;

fn open_named(address: SocketAddr, name: &str) -> Result<Store, StoreError> {
    let url = format!("redis://{address}/?prefix={name}");
    open_within(&url, Duration::from_secs(10)).map_err(StoreError::from)
}

fn sweep(setup: &Setup, ops: &[Op], drops: Option<DropsApplies>) -> Result<Met, String> {
    sweep_served((open_named, server().address()), setup, ops, drops.unwrap_or(DropsApplies(false)))
}

#[test]
fn every_kill_of_the_host_leaves_a_volume_with_all_that_was_acknowledged() {
    let all = Sweep(sweep).many(SEQUENCES, OPERATIONS);
    println!("{all:?}");
    let enough = all.cuts > 120;
    assert!(std::env::var("KVFS_SEED").is_ok() || enough, "these must be among them: {all:?}");
}

#[test]
fn a_store_that_drops_an_apply_is_noticed() {
    Sweep(sweep).notices([DropsApplies(true)], OPERATIONS);
}
