//! Tables: what is in them and what is not makes no difference to a reader, nor does their damage.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileReader, FileStore, Options};
use kvfs_store_rig::{Calls, Random, State};

const OPTIONS: Options = Options {
    min_garbage_bytes: 4 << 10,
    reserve_bytes: 256,
    min_segment_bytes: 8 << 10,
    max_recent_changes: 64,
    max_cache_bytes: 16 << 10,
    ..Options::DEFAULT
};

/// The tables that are whole: one in the making has nothing yet.
fn tables(disk: &Disk) -> Vec<String> {
    let is_table = |name: &String| name.ends_with(".table") && !disk.content(name).is_empty();
    disk.names().into_iter().filter(is_table).collect()
}

fn step(store: &mut FileStore<SimDirectory>, state: &mut State, random: &mut Random, number: u32) {
    let key = format!("key {:04}", random.below(800)).into_bytes();
    if random.chance(4) {
        store.set(&[], &[(&key, None)], false).unwrap();
        state.remove(&key);
    } else {
        let value = vec![number as u8; random.below(60) as usize];
        let again = vec![number as u8; random.below(400) as usize];
        // One key twice in one call: the later one counts.
        store.set(&[], &[(&key, Some(&again)), (&key, Some(&value))], number.is_multiple_of(40)).unwrap();
        state.insert(key, value);
    }
}

/// A store with some tables, and its entries.
fn written(steps: u32) -> (Disk, State) {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    let (mut state, mut random) = (State::new(), Random::new(11));
    // More than one block of keys.
    for number in 0..600u32 {
        let key = number.to_be_bytes();
        store.set(&[], &[(&key, Some(&key))], false).unwrap();
        state.insert(key.to_vec(), key.to_vec());
    }
    for number in 0..steps {
        step(&mut store, &mut state, &mut random, number);
    }
    store.set(&[], &[], true).unwrap();
    (directory.disk(|disk| disk.after_kill()), state)
}

fn read(disk: Disk) -> State {
    let reader = FileReader::open(&SimDirectory::new(disk)).unwrap().unwrap();
    let page = reader.page(b"", b"", |_| true).unwrap();
    for entry in page.iter().step_by(7) {
        assert_eq!(reader.value(&entry.key).unwrap().as_ref(), Some(&entry.value));
    }
    page.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

#[test]
fn a_store_beyond_memory_is_what_a_map_is() {
    let mut disk = Disk::default();
    let (mut state, mut random) = (State::new(), Random::new(5));
    let mut most = 0;
    for opening in 0..12u32 {
        let directory = SimDirectory::new(disk);
        let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
        assert_eq!(store.entries(b"", b"").unwrap(), state, "opening {opening}");
        for number in 0..400 {
            step(&mut store, &mut state, &mut random, number);
            let key = format!("key {:04}", random.below(800)).into_bytes();
            assert_eq!(store.value_of(&key).unwrap().as_ref(), state.get(&key));
            if number % 50 == 0 {
                let end = format!("key {:04}", random.below(800)).into_bytes();
                let found = store.entries(&key, &end).unwrap();
                let expected = state.iter().filter(|(it, _)| **it >= key && **it < end);
                assert_eq!(found, expected.map(|(k, v)| (k.clone(), v.clone())).collect::<State>());
            }
            most = most.max(directory.disk(|disk| tables(disk).len()));
        }
        assert_eq!(store.rebuilt(), 0, "nothing was damaged");
        disk = directory.disk(|disk| disk.after_kill());
        assert_eq!(read(disk.clone()), state, "a reader after opening {opening}");
    }
    assert!((2..40).contains(&most), "{most} tables");
}

#[test]
fn a_damaged_or_missing_table_costs_time_and_nothing_else() {
    let (whole, state) = written(900);
    let names = tables(&whole);
    assert!(!names.is_empty());
    assert_eq!(read(whole.clone()), state);
    let mut rebuilt = 0;
    let mut check = |disk: Disk, what: &str| {
        let mut store = FileStore::open_with(SimDirectory::new(disk.clone()), OPTIONS).unwrap();
        assert_eq!(store.entries(b"", b"").unwrap(), state, "{what}");
        store.set(&[], &[(b"more", Some(b"1"))], true).unwrap();
        rebuilt += store.rebuilt();
        assert_eq!(read(disk), state, "a reader: {what}");
    };
    for name in &names {
        let mut gone = whole.clone();
        gone.forget(name);
        check(gone, &format!("{name} is gone"));
        let length = whole.content(name).len();
        for at in (0..length).step_by(length / 60) {
            let mut damaged = whole.clone();
            damaged.edit(name, |bytes| bytes[at] ^= 4);
            check(damaged, &format!("byte {at} of {name}"));
            let mut cut = whole.clone();
            cut.edit(name, |bytes| bytes.truncate(at));
            check(cut, &format!("{name} is cut at {at}"));
        }
    }
    // A table that no list has any more may be among them.
    assert!(rebuilt > 100, "only {rebuilt} times was the index made anew");
}

#[test]
fn a_table_that_gets_damaged_while_the_store_is_open_is_made_anew() {
    let (disk, mut state) = written(900);
    let directory = SimDirectory::new(disk);
    let options = Options { max_cache_bytes: 0, ..OPTIONS };
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    let mut random = Random::new(77);
    for round in 0..6u32 {
        directory.disk(|disk| {
            for name in tables(disk) {
                disk.edit(&name, |bytes| bytes[40] ^= 1 << round);
            }
        });
        match round % 3 {
            0 => {
                for (key, value) in &state {
                    assert_eq!(store.value_of(key).unwrap().as_ref(), Some(value));
                }
            }
            1 => assert_eq!(store.entries(b"", b"").unwrap(), state),
            _ => {}
        }
        for number in 0..200 {
            step(&mut store, &mut state, &mut random, number);
        }
        assert_eq!(store.entries(b"", b"").unwrap(), state, "round {round}");
        assert_eq!(store.rebuilt(), u64::from(round) + 1);
    }
    let disk = directory.disk(|disk| disk.after_kill());
    assert_eq!(read(disk), state);
}

#[test]
fn an_orderly_end_leaves_little_to_replay() {
    let directory = SimDirectory::new(Disk::default());
    let options = Options { reserve_bytes: 256, ..Options::DEFAULT };
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    for number in 0..6000u32 {
        store.set(&[], &[(&number.to_be_bytes(), Some(&[1; 20]))], false).unwrap();
    }
    assert_eq!(directory.disk(|disk| tables(disk).len()), 0);
    store.end().unwrap();
    assert_eq!(directory.disk(|disk| tables(disk).len()), 1);
    store.end().unwrap();
    let disk = directory.disk(|disk| disk.after_kill());
    assert_eq!(tables(&disk).len(), 1, "there is nothing new");
    assert_eq!(read(disk).len(), 6000);
}
