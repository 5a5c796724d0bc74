//! Directories that older versions of this crate wrote.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{Directory, File, FileReader, FileStore, Options};
use kvfs_store_rig::{Calls, Random, State};
use std::fs;
use std::path::Path;

/// Copies a fixture to a simulated disk.
fn fixture(name: &str) -> SimDirectory {
    let directory = SimDirectory::new(Disk::default());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let file = directory.create(entry.file_name().to_str().unwrap()).unwrap();
        file.write(0, &fs::read(entry.path()).unwrap()).unwrap();
        file.sync().unwrap();
    }
    directory.sync().unwrap();
    directory
}

/// Keys of three openers and four steps; each opener removed its first key again.
fn of_openers() -> State {
    let keys = (0..3u8).flat_map(|opener| (1..4u8).map(move |step| [b'k', opener, step]));
    let mut state: State = keys.map(|key| (key.to_vec(), vec![key[2] + 10 * key[1]; 40])).collect();
    state.insert(b"last".into(), vec![b'k', 2, 3]);
    state
}

/// The same after a snapshot, and changes behind it.
fn of_compacted() -> State {
    let mut state = of_openers();
    state.insert(b"ballast".into(), vec![7; 200]);
    state.insert(b"kx".into(), b"after the snapshot".into());
    state.insert(b"ky".into(), b"buffered".into());
    state.remove(&[b'k', 1, 1][..]);
    state
}

#[test]
fn stores_of_the_first_form_open_and_are_carried_over() {
    for (name, expected) in [("first-form-openers", of_openers()), ("first-form-compacted", of_compacted())] {
        let directory = fixture(name);
        let reader = FileReader::open(&directory).unwrap().unwrap();
        assert_eq!(reader.page(b"", b"", |_| true).unwrap().len(), expected.len(), "{name}");
        let mut expected = expected;
        for opening in 0..30u8 {
            let mut store = FileStore::open(directory.clone()).unwrap();
            assert_eq!(store.entries(b"", b"").unwrap(), expected, "{name}, opening {opening}");
            store.set(&[], &[(&[opening], Some(&[opening]))], opening % 3 == 0).unwrap();
            expected.insert(vec![opening], vec![opening]);
        }
        let first = directory.disk(|disk| disk.names());
        assert!(!first.contains(&"0000000000000001.kvfs".into()), "old segments are collected: {first:?}");
    }
}

#[test]
fn durable_damage_to_a_store_of_the_first_form_is_an_error() {
    let directory = fixture("first-form-openers");
    for name in ["0000000000000001.kvfs", "0000000000000002.kvfs"] {
        let mut disk = directory.disk(|disk| disk.after_kill());
        disk.edit(name, |bytes| bytes[80] ^= 1);
        let error = FileStore::open(SimDirectory::new(disk)).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// 200 steps of two openers, with tables, collected segments and a last change that is not durable.
fn of_second_form() -> State {
    let mut state = State::new();
    for step in 0..200u8 {
        let key = vec![b'k', step % 37];
        match step % 5 {
            4 => drop(state.remove(&key)),
            _ => drop(state.insert(key, vec![step; usize::from(step % 50)])),
        }
    }
    state.insert(b"behind".into(), b"durable".into());
    state.insert(b"last".into(), b"buffered".into());
    state
}

#[test]
fn a_store_of_the_second_form_opens_beside_new_segments_and_is_carried_over() {
    let directory = fixture("second-form");
    let old: Vec<_> =
        directory.disk(|disk| disk.names()).into_iter().filter(|it| it.ends_with(".kvfs")).collect();
    assert!(directory.disk(|disk| disk.names()).iter().any(|name| name.ends_with(".table")));
    let mut expected = of_second_form();
    let reader = FileReader::open(&directory).unwrap().unwrap();
    assert_eq!(reader.page(b"", b"", |_| true).unwrap().len(), expected.len());
    let mut random = Random::new(4);
    let (mut beside, options) =
        (0, Options { min_segment_bytes: 2 << 10, min_garbage_bytes: 8 << 10, ..Options::DEFAULT });
    for opening in 0..30u8 {
        // A crash during the carry-over loses what was not durable, and nothing of the old form.
        let crashed = SimDirectory::new(directory.disk(|disk| disk.after_crash(&mut random)));
        let mut crashed = FileStore::open_with(crashed, options).unwrap();
        let found = crashed.entries(b"", b"").unwrap();
        assert!(found.contains_key(&b"behind"[..]), "opening {opening}");
        let mut store = FileStore::open_with(directory.clone(), options).unwrap();
        assert_eq!(store.rebuilt(), 0, "its tables are good ones");
        assert_eq!(store.entries(b"", b"").unwrap(), expected, "opening {opening}");
        let value = vec![opening; 100];
        for key in [[b'k', opening], [b'n', opening]] {
            store.set(&[], &[(&key, Some(&value))], opening % 3 == 0).unwrap();
            expected.insert(key.to_vec(), value.clone());
        }
        let names = directory.disk(|disk| disk.names());
        beside += usize::from(old.iter().any(|name| names.contains(name)));
    }
    assert!((2..30).contains(&beside), "old segments were there {beside} times");
}

#[test]
fn durable_damage_to_a_store_of_the_second_form_is_an_error() {
    let directory = fixture("second-form");
    let names = directory.disk(|disk| disk.names());
    let newest = names.iter().rfind(|name| name.ends_with(".kvfs")).unwrap();
    for with_mark in [true, false] {
        // In the magic number, so that what is left tells nothing, and elsewhere in its start.
        for at in [0, 20, 90] {
            let mut disk = directory.disk(|disk| disk.after_kill());
            disk.edit(newest, |bytes| bytes[at] ^= 1);
            if !with_mark {
                names.iter().filter(|name| name.ends_with(".mark")).for_each(|name| disk.forget(name));
            }
            let error = FileStore::open(SimDirectory::new(disk)).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(newest.as_str()), "byte {at}: {error}");
        }
    }
}
