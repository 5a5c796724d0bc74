//! Stores in layers with records that somebody wrote to do harm: with right checksums and any content.
//! Whatever is done with the volumes ends, without a panic and without growing for ever.

use crate::ops::{Op, Setup};
use crate::rng::Rng;
use crate::run::{Runner, TestClock};
use crate::shrink::{case, seeds};
use crate::store::{LARGE, Map, TestStore, tag_of};
use crate::tools::Tools;
use crate::tree;
use kvfs::fuzzing::framed;
use kvfs::volumes::{self, Doing, Side, Taken};
use kvfs::{Options, RepairOptions, Volume, fsck, repair};

/// A store with a volume, and forks of it that tools have made and changed.
fn layered(seed: u64) -> Map {
    let (setup, ops): (Setup, Vec<Op>) = case(seed, 40);
    let setup = Setup { limits: LARGE, quota: None, base: None, ..setup };
    let store = TestStore::new(LARGE);
    let _tools = Tools::on(&store, &setup, seed);
    let mut runner = Runner::new(&setup, store.clone(), false).unwrap();
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op).unwrap();
    }
    runner.volume().sync_all().unwrap();
    drop(runner);
    std::mem::take(&mut store.0.borrow_mut().map)
}

/// Changes some records: heads more often than others.
fn forge(map: &mut Map, rng: &mut Rng) {
    let is_head = |key: &&Vec<u8>| tag_of(key) <= 0x04;
    for _ in 0..1 + rng.below(3) {
        let heads: Vec<Vec<u8>> = map.keys().filter(is_head).cloned().collect();
        let all: Vec<Vec<u8>> = map.keys().cloned().collect();
        let from = if rng.chance(3) || heads.is_empty() { &all } else { &heads };
        let key = from[rng.below(from.len() as u64) as usize].clone();
        let mut body = map[&key].get(16..).unwrap_or_default().to_vec();
        match rng.below(8) {
            0 => drop(map.remove(&key)),
            // The value of another record of the kind.
            1 => {
                let alike: Vec<&Vec<u8>> = all.iter().filter(|other| tag_of(other) == tag_of(&key)).collect();
                let other = alike[rng.below(alike.len() as u64) as usize];
                let body = map.get(other).and_then(|value| value.get(16..)).unwrap_or_default().to_vec();
                map.insert(key.clone(), framed(&key, tag_of(&key), &body).into());
            }
            2 => {
                body.truncate(rng.below(body.len() as u64 + 1) as usize);
                map.insert(key.clone(), framed(&key, tag_of(&key), &body).into());
            }
            _ => {
                for _ in 0..1 + rng.below(4) {
                    if body.is_empty() {
                        break;
                    }
                    let at = rng.below(body.len() as u64) as usize;
                    body[at] = rng.pick(&[0, 1, 2, 3, 4, 0x20, 0x7f, 0x80, 0xff]);
                }
                map.insert(key.clone(), framed(&key, tag_of(&key), &body).into());
            }
        }
    }
}

/// Does everything with every volume. Only its end counts.
fn use_everything(map: &Map) {
    let store = TestStore::from_map(map.clone(), LARGE);
    let limit = |calls: u64| store.0.borrow_mut().calls_left = calls;
    let calls = &mut store.clone();
    let clock = &mut TestClock::default();
    clock.0.set(1 << 41);
    limit(2_000);
    let mut names = Vec::new();
    let _ = volumes::list(calls, &mut |name, _| {
        names.push(name.to_owned());
        Ok(())
    });
    let _ = volumes::check_layers(calls);
    for (number, name) in names.iter().enumerate() {
        limit(20_000);
        let _ = volumes::info(calls, name);
        let _ = fsck(calls, name);
        let _ = volumes::fork(calls, clock, name, &format!("new {number}"), Taken::Writable);
        let _ = volumes::diff(calls, name, &names[0], None);
        for side in [None, Some(Side::Ours), Some(Side::Theirs)] {
            limit(20_000);
            let other = &names[(number + 1) % names.len()];
            let _ = volumes::merge(calls, clock, name, other, None, Doing::Merge, &mut |_| side);
        }
        limit(20_000);
        let options = Options { volume: name.clone(), ..Options::default() };
        let outcome = Volume::open(Box::new(store.clone()), Box::new(clock.clone()), options);
        if let Ok(mut volume) = outcome {
            let _ = tree::of_volume(&mut volume);
            if let Ok(root) = volume.root() {
                let _ = volume.create_directory_at(&root, "hostile");
                let _ = volume.unlink_file_at(&root, "a");
                let _ = volume.sync_all();
            }
        }
        limit(20_000);
        let _ = repair(calls, clock, name, RepairOptions { accept_loss: true });
        let _ = volumes::flatten(calls, clock, name);
        let _ = volumes::restore(calls, clock, name, &names[names.len() - 1]);
        let _ = volumes::rename(calls, clock, name, &format!("renamed {number}"));
        let _ = volumes::freeze(calls, &format!("renamed {number}"));
        if number % 2 == 0 {
            let _ = volumes::remove(calls, &format!("renamed {number}"));
        }
        let _ = volumes::collect_garbage(calls, 1_000);
    }
    // Nothing that is done with a few volumes makes many records.
    let after = store.0.borrow().map.len();
    assert!(after < 20 * map.len() + 1_000, "{} records became {after}", map.len());
}

#[test]
fn whatever_a_store_in_layers_says_everything_ends() {
    let maps: Vec<Map> = (0..12).map(layered).collect();
    assert!(maps.iter().any(|map| map.keys().filter(|key| tag_of(key) == 0x03).count() > 5));
    for seed in seeds(3_000) {
        let mut rng = Rng::new(seed);
        let mut map = maps[rng.below(maps.len() as u64) as usize].clone();
        forge(&mut map, &mut rng);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| use_everything(&map)));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
