//! Random calls, compared with an ordered map.

use crate::objects::{Objects, open, over};
use kvfs_contract::AsyncKvStore;
use kvfs_slatedb_store::Config;
use kvfs_store_rig::{Calls, Changes, Random, State, change};

fn key(random: &mut Random) -> Vec<u8> {
    let mut key = (random.below(400) * 0x0101_0101_0101).to_be_bytes().to_vec();
    key.truncate(if random.chance(20) { random.below(9) as usize } else { 8 });
    key
}

/// Makes random calls, and closes or kills the store now and then.
fn compare(config: &Config, seed: u64, steps: usize) {
    let mut random = Random::new(seed);
    let mut store = open(config.clone());
    let mut model = State::new();
    for step in 0..steps {
        let changes: Changes = (0..1 + random.below(8))
            .map(|_| {
                let length = [0, 10, 700, 5000, 40_000][random.below(5) as usize];
                let value = vec![random.below(256) as u8; length];
                (key(&mut random), (!random.chance(3)).then_some(value))
            })
            .collect();
        store.make(&changes, random.chance(10)).unwrap();
        change(&mut model, &changes);
        let asked = key(&mut random);
        assert_eq!(store.value_of(&asked).unwrap().as_ref(), model.get(&asked), "seed {seed}, step {step}");
        if random.chance(60) {
            let (start, end) = (key(&mut random), key(&mut random));
            let expected = model.iter().filter(|(key, _)| **key >= start && (end.is_empty() || **key < end));
            let found = store.entries(&start, &end).unwrap();
            assert!(found.iter().eq(expected), "seed {seed}, step {step}: from {start:?} to {end:?}");
        }
        if random.chance(100) {
            if random.chance(2) {
                store.wait(store.store.close()).unwrap();
            } else {
                store.set(&[], &[], true).unwrap();
                store.kill();
            }
            store = open(config.clone());
            assert_eq!(store.entries(b"", b"").unwrap(), model, "seed {seed}, opened again at step {step}");
        }
    }
}

#[test]
fn random_calls_over_memory_agree_with_an_ordered_map() {
    for seed in 1..4 {
        compare(&over(&Objects::new()), seed, 600);
    }
}

#[test]
fn random_calls_over_a_directory_agree_with_an_ordered_map() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("slatedb:file://{}/new", directory.path().display());
    compare(&Config::from_url(&url).unwrap(), 7, 300);
}
