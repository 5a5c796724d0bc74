//! A small apply costs little, whatever the store holds: counted in bytes.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileReader, FileStore, Options};
use kvfs_store_rig::{Calls, Random, State};

const OPTIONS: Options = Options {
    reserve_bytes: 256,
    min_segment_bytes: 64 << 10,
    max_recent_changes: 1_000,
    ..Options::DEFAULT
};

/// Puts so many keys, each in an apply. Returns the most bytes that one of the last quarter of them read
/// and wrote, and the mean of all.
fn bytes_of_applies(keys: u32) -> (u64, u64) {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    let bytes = || directory.disk(|disk| disk.read_bytes + disk.written_bytes);
    let (begun, mut most) = (bytes(), 0);
    for number in 0..keys {
        // Scattered among the others, so that tables have no key in the order of their coming.
        let key = format!("key {:08x}", number.wrapping_mul(0x9E37_79B9));
        let before = bytes();
        store.set(&[], &[(key.as_bytes(), Some(b"some value"))], false).unwrap();
        if number >= keys - keys / 4 {
            most = most.max(bytes() - before);
        }
    }
    for number in (0..keys).step_by(97) {
        let key = format!("key {:08x}", number.wrapping_mul(0x9E37_79B9));
        assert_eq!(store.value_of(key.as_bytes()).unwrap().as_deref(), Some(&b"some value"[..]));
    }
    (most, (bytes() - begun) / u64::from(keys))
}

#[test]
fn the_longest_apply_does_not_grow_with_the_keys_of_the_store() {
    let (few, many) = (bytes_of_applies(6_000), bytes_of_applies(24_000));
    println!("most bytes of an apply, and the mean: {few:?} with 6,000 keys, {many:?} with 24,000");
    assert!(many.0 < 2 * few.0, "{many:?} bytes with 24,000 keys, {few:?} with 6,000");
    assert!(many.0 < 160 << 10, "{many:?} bytes");
}

const SHORT: Options = Options { max_recent_changes: 64, min_segment_bytes: 8 << 10, ..OPTIONS };

/// The table in the making, which has nothing yet.
fn in_the_making(disk: &Disk) -> Option<String> {
    disk.names().into_iter().find(|name| name.ends_with(".table") && disk.content(name).is_empty())
}

fn put(store: &mut FileStore<SimDirectory>, state: &mut State, random: &mut Random, number: u32) {
    let key = format!("key {:04}", random.below(700)).into_bytes();
    if random.chance(5) {
        store.set(&[], &[(&key, None)], number.is_multiple_of(6)).unwrap();
        state.remove(&key);
    } else {
        let value = vec![number as u8; random.below(80) as usize];
        store.set(&[], &[(&key, Some(&value))], number.is_multiple_of(6)).unwrap();
        state.insert(key, value);
    }
}

#[test]
fn whoever_is_killed_over_a_table_leaves_it_to_nobody() {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), SHORT).unwrap();
    let (mut state, mut random, mut found) = (State::new(), Random::new(3), 0);
    for number in 0..900 {
        put(&mut store, &mut state, &mut random, number);
        let disk = directory.disk(|disk| disk.clone());
        let Some(name) = in_the_making(&disk) else { continue };
        found += 1;
        let mut after = vec![disk.after_kill()];
        if number.is_multiple_of(6) {
            after.push(disk.after_crash(&mut random));
        }
        for (way, disk) in after.into_iter().enumerate() {
            let directory = SimDirectory::new(disk);
            let mut store = FileStore::open_with(directory.clone(), SHORT).unwrap();
            assert_eq!(store.entries(b"", b"").unwrap(), state, "apply {number}, way {way}");
            // A crash may lose a table that was listed before.
            assert!(store.rebuilt() <= way as u64, "apply {number}, way {way}");
            store.set(&[], &[(b"more", Some(b"1"))], true).unwrap();
            assert!(!directory.disk(|disk| disk.names().contains(&name)), "apply {number}, way {way}");
        }
    }
    assert!(found > 200, "only {found} times was a table in the making");
}

#[test]
fn an_opener_that_loses_the_store_over_a_table_loses_no_key() {
    let directory = SimDirectory::new(Disk::default());
    let (mut state, mut random, mut found) = (State::new(), Random::new(9), 0);
    let mut one = FileStore::open_with(directory.clone(), SHORT).unwrap();
    for number in 0..4_000 {
        put(&mut one, &mut state, &mut random, number);
        let is_making = directory.disk(|disk| in_the_making(disk)).is_some();
        if !is_making || !random.chance(4) {
            continue;
        }
        found += 1;
        let mut other = FileStore::open_with(directory.clone(), SHORT).unwrap();
        assert_eq!(other.entries(b"", b"").unwrap(), state, "apply {number}");
        put(&mut other, &mut state, &mut random, number);
        // It reads behind the other, takes the store back, and is as if it were new.
        assert_eq!(one.entries(b"", b"").unwrap(), state, "apply {number}");
        put(&mut one, &mut state, &mut random, number);
        assert_eq!(one.entries(b"", b"").unwrap(), state, "apply {number}");
        assert_eq!(other.entries(b"", b"").unwrap(), state, "apply {number}");
        drop(other);
        one = FileStore::open_with(directory.clone(), SHORT).unwrap();
    }
    assert!(found > 50, "only {found} times was a table in the making");
}

#[test]
fn a_full_disk_ends_a_table_in_the_making() {
    let (mut state, mut random, mut found) = (State::new(), Random::new(4), 0);
    let mut disk = Disk::default();
    for round in 0..60 {
        let directory = SimDirectory::new(disk);
        let mut store = FileStore::open_with(directory.clone(), SHORT).unwrap();
        let mut number = 1;
        while number < 300 && (number < 100 + round || directory.disk(|disk| in_the_making(disk)).is_none()) {
            put(&mut store, &mut state, &mut random, number);
            number += 1;
        }
        let Some(name) = directory.disk(|disk| in_the_making(disk)) else { break };
        found += 1;
        directory.disk(|disk| disk.no_room = Some((0..u64::MAX, 0)));
        let refused = store.set(&[], &[(b"large", Some(&[1; 500]))], false);
        assert!(refused.is_err(), "round {round}");
        assert_eq!(store.entries(b"", b"").unwrap(), state, "round {round}");
        // Either it says so again, or the table goes for the room's sake.
        let is_over = store.set(&[], &[(b"key", None)], false).is_err()
            || !directory.disk(|disk| disk.names().contains(&name));
        assert!(is_over, "round {round}");
        disk = directory.disk(|disk| disk.after_kill());
        disk.no_room = None;
        assert_eq!(read(disk.clone()), state, "round {round}");
    }
    assert!(found > 50, "only {found} times was a table in the making");
}

fn read(disk: Disk) -> State {
    let reader = FileReader::open(&SimDirectory::new(disk)).unwrap().unwrap();
    reader.page(b"", b"", |_| true).unwrap().into_iter().map(|entry| (entry.key, entry.value)).collect()
}

/// Copies in a store whose first segment has one value of so many bytes that counts, behind which are
/// segments with none.
fn collect_behind_a_value_of(bytes: usize) {
    let options = Options {
        min_segment_bytes: 256 << 10,
        min_garbage_bytes: 1 << 20,
        reserve_bytes: 256,
        ..Options::DEFAULT
    };
    let mut store = FileStore::open_with(SimDirectory::new(Disk::default()), options).unwrap();
    store.set(&[], &[(b"kept", Some(&vec![7; bytes]))], false).unwrap();
    for number in 0..100_u8 {
        store.set(&[], &[(b"other", Some(&vec![number; 16 << 10]))], false).unwrap();
    }
    assert_eq!(store.value_of(b"kept").unwrap().map(|value| value.len()), Some(bytes));
}

/// A step that had copied nearly as much as it may, by less than an empty record has, went on for ever.
#[test]
fn a_step_of_a_collection_ends_however_much_of_it_is_left() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for less in (0..1_200).step_by(8) {
            collect_behind_a_value_of((128 << 10) - less);
        }
        done.send(()).unwrap();
    });
    ended.recv_timeout(std::time::Duration::from_secs(120)).expect("a step that ends");
}
