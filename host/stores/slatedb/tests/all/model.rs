//! Random calls, compared with an ordered map.

use crate::objects::{Objects, open, over};
use kvfs_contract::AsyncKvStore;
use kvfs_slatedb_store::Config;
use kvfs_store_rig::{Calls, Random, State, rules};

/// Makes random calls, and closes or kills the store now and then.
fn compare(config: &Config, seed: u64, rounds: u64) {
    let mut random = Random::new(seed);
    let mut store = open(config.clone());
    let mut model = State::new();
    for round in 0..rounds {
        assert_eq!(store.entries(b"", b"").unwrap(), model, "seed {seed}, round {round}");
        rules::random_calls(&mut store, &mut model, &mut random, 80);
        if round % 2 == 0 {
            store.wait(store.store.close()).unwrap();
        } else {
            store.set(&[], &[], true).unwrap();
            store.kill();
        }
        store = open(config.clone());
    }
}

#[test]
fn random_calls_over_memory_agree_with_an_ordered_map() {
    for seed in 1..4 {
        compare(&over(&Objects::new()), seed, 6);
    }
}

#[test]
fn random_calls_over_a_directory_agree_with_an_ordered_map() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("slatedb:file://{}/new", directory.path().display());
    compare(&Config::from_url(&url).unwrap(), 7, 4);
}
