//! Kills, crashes, openings, full disks and lost tables in any order, at sizes so small that every
//! other apply rolls, collects or makes a checkpoint.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileReader, FileStore, IoKind, Options, StoreError};
use kvfs_store_rig::{Calls, Changes, Random, State, change};

/// What happened in a storm.
struct Storm {
    crashes: u64,
    /// How often an index was made anew while the store was used.
    rebuilt: u64,
}

/// What the store may have: the state that is certain first, then one for each apply since.
struct Model {
    states: Vec<State>,
    /// The state after the last acknowledged apply.
    acknowledged: usize,
}

impl Model {
    /// Checks what was found against what may be there, and goes on from it.
    fn settle(&mut self, found: &State, least: usize, what: &str) {
        let last = self.states.iter().rposition(|state| state == found);
        let Some(last) = last.filter(|&last| last >= least) else {
            let missing: Vec<_> =
                self.states[least].iter().filter(|(key, _)| !found.contains_key(*key)).collect();
            let back: Vec<_> = found.keys().filter(|key| !self.states[least].contains_key(*key)).collect();
            panic!(
                "{what}: state {last:?} of {least}..{} was found: {} keys, missing {missing:?}, more {back:?}",
                self.states.len(),
                found.len()
            )
        };
        self.states.truncate(last + 1);
        self.acknowledged = last;
    }

    fn now(&self) -> &State {
        &self.states[self.acknowledged]
    }

    fn is_certain(&mut self) {
        self.states.drain(..self.acknowledged);
        self.acknowledged = 0;
    }
}

fn options(random: &mut Random) -> Options {
    let mut pick = |from: &[u64]| from[random.below(from.len() as u64) as usize];
    Options {
        min_garbage_bytes: pick(&[256, 1 << 10, 4 << 10]),
        reserve_bytes: 256,
        min_segment_bytes: pick(&[400, 1 << 10, 4 << 10]),
        max_segment_bytes: 8 << 10,
        max_recent_changes: pick(&[4, 12, 40, 400]) as usize,
        max_replay_bytes: pick(&[600, 3 << 10, 1 << 20]),
        max_cache_bytes: pick(&[0, 4 << 10]) as usize,
        accept_loss: false,
        alone: false,
    }
}

fn changes(random: &mut Random, step: u32, keys: u64) -> Changes {
    let some = |random: &mut Random| {
        let key = vec![b'k'; 1 + random.below(keys) as usize];
        let mut value = vec![0; [0, 4, 40, 200, 700][random.below(5) as usize]];
        for (place, byte) in value.iter_mut().zip(step.to_le_bytes()) {
            *place = byte;
        }
        (key, (!random.chance(3)).then_some(value))
    };
    (0..1 + random.below(4)).map(|_| some(random)).collect()
}

/// Reads a disk in each of the ways that must agree.
fn found(disk: &Disk, options: Options, random: &mut Random, what: &str) -> (State, SimDirectory) {
    let read = |disk: Disk, what: &str| {
        let directory = SimDirectory::new(disk);
        let mut store = FileStore::open_with(directory.clone(), options)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let entries = store.entries(b"", b"").unwrap_or_else(|error| panic!("{what}, reading: {error}"));
        for (key, value) in entries.iter().step_by(3) {
            assert_eq!(store.value_of(key).unwrap().as_ref(), Some(value), "{what}: {} k", key.len());
        }
        (entries, directory)
    };
    let (entries, opened) = read(disk.clone(), what);
    let (mut all, mut some) = (disk.clone(), disk.clone());
    for name in disk.names().iter().filter(|name| name.ends_with(".table")) {
        all.forget(name);
        match random.below(3) {
            0 => some.forget(name),
            1 if !some.content(name).is_empty() => {
                let at = random.below(some.content(name).len() as u64) as usize;
                some.edit(name, |bytes| bytes[at] ^= 16);
            }
            _ => {}
        }
    }
    assert_eq!(read(all, &format!("{what}, without tables")).0, entries, "{what}: tables make a difference");
    assert_eq!(read(some, &format!("{what}, damaged tables")).0, entries, "{what}: damaged tables");
    let reader = FileReader::open(&SimDirectory::new(disk.clone())).unwrap_or_else(|e| panic!("{what}: {e}"));
    let page = reader.map(|reader| reader.page(b"", b"", |_| true).unwrap()).unwrap_or_default();
    let seen: State = page.into_iter().map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(seen, entries, "{what}: a reader");
    (entries, opened)
}

/// Works until the power goes or enough was done.
fn work(
    stores: &mut [FileStore<SimDirectory>],
    directory: &SimDirectory,
    model: &mut Model,
    random: &mut Random,
    applies: u64,
    what: &str,
) {
    let keys = [3, 12, 40][random.below(3) as usize];
    let durable_one_in = [2, 8, 40][random.below(3) as usize];
    let (mut writer, changes_hands_one_in) = (stores.len() - 1, [2, 10][random.below(2) as usize]);
    // Only the last writer has seen everything.
    let mut has_newest = false;
    for number in 0..applies {
        if random.chance(changes_hands_one_in) {
            writer = random.below(stores.len() as u64) as usize;
        }
        let store = &mut stores[writer];
        let durable = random.chance(durable_one_in);
        let changes = changes(random, model.states.len() as u32 * 1000 + number as u32, keys);
        if random.chance(30) {
            let kind = ["write", "write half", "create"][random.below(3) as usize];
            directory.disk(|disk| disk.fail = Some((kind, IoKind::NoSpace)));
        } else if random.chance(3) {
            directory.disk(|disk| disk.fail = None);
        }
        let mut state = model.now().clone();
        change(&mut state, &changes);
        model.states.truncate(model.acknowledged + 1);
        model.states.push(state);
        let result = store.make(&changes, durable);
        has_newest = result.is_ok();
        match result {
            Ok(()) => {
                model.acknowledged += 1;
                if durable {
                    model.is_certain();
                }
            }
            Err(StoreError::QuotaExceeded) => drop(model.states.pop()),
            Err(StoreError::UnknownOutcome) => return,
            Err(error) => {
                model.states.pop();
                let power_is_gone = directory.disk(|disk| disk.calls_left == Some(0));
                assert!(power_is_gone || directory.disk(|disk| disk.fail.is_some()), "{what}: {error}");
                return;
            }
        }
        if has_newest && random.chance(25) {
            match store.entries(b"", b"") {
                Ok(entries) => assert_eq!(entries, *model.now(), "{what}, apply {number}"),
                Err(error) => {
                    assert!(directory.disk(|disk| disk.calls_left == Some(0)), "{what}, {number}: {error}");
                    return;
                }
            }
        }
    }
    if random.chance(3) && has_newest && stores[writer].end().is_ok() {
        model.is_certain();
    }
}

fn storm(seed: u64) -> Storm {
    let mut random = Random::new(seed);
    let (mut disk, mut crashes, mut rebuilt) = (Disk::default(), 0, 0);
    let mut model = Model { states: vec![State::new()], acknowledged: 0 };
    for round in 0..2 + random.below(8) {
        let options = options(&mut random);
        let what = format!("seed {seed}, round {round}");
        disk.calls_left = random.chance(2).then(|| 1 + random.below(150));
        let directory = SimDirectory::new(disk);
        let mut stores = Vec::new();
        for opener in 0..1 + random.below(3) {
            let Ok(mut store) = FileStore::open_with(directory.clone(), options) else { break };
            let what = format!("{what}, opener {opener}");
            let Ok(entries) = store.entries(b"", b"") else { break };
            let acknowledged = model.acknowledged;
            model.settle(&entries, acknowledged, &what);
            if random.chance(4) {
                directory.disk(|disk| {
                    let tables = disk.names().into_iter().filter(|name| name.ends_with(".table"));
                    tables.for_each(|name| disk.make_unreadable(&name));
                });
            }
            let applies = random.below(80);
            rebuilt += store.rebuilt();
            stores.push(store);
            work(&mut stores, &directory, &mut model, &mut random, applies, &what);
            directory.disk(|disk| disk.fail = None);
        }
        rebuilt += stores.iter().map(FileStore::rebuilt).sum::<u64>();
        let crash = random.chance(2);
        let (what, least) = match crash {
            true => (format!("{what}, crash"), 0),
            false => (format!("{what}, kill"), model.acknowledged),
        };
        let image =
            directory.disk(|disk| if crash { disk.after_crash(&mut random) } else { disk.after_kill() });
        crashes += u64::from(crash);
        let (entries, opened) = found(&image, options, &mut random, &what);
        model.settle(&entries, least, &what);
        // Goes on as if nobody had looked, or behind who looked.
        disk = if random.chance(2) { image } else { opened.disk(|disk| disk.after_kill()) };
    }
    Storm { crashes, rebuilt }
}

#[test]
fn whatever_comes_in_whatever_order_a_prefix_is_there_and_tables_make_no_difference() {
    let (mut storms, mut crashes, mut rebuilt) = (0, 0, 0);
    for seed in kvfs_trust::shrink::seeds(300) {
        let of_seed = storm(seed);
        (storms, crashes, rebuilt) = (storms + 1, crashes + of_seed.crashes, rebuilt + of_seed.rebuilt);
    }
    let enough = crashes > 600 && rebuilt > 100;
    assert!(storms < 300 || enough, "{crashes} crashes, {rebuilt} indexes made anew");
}
