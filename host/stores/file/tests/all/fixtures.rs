//! Directories that older versions of this crate wrote.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{Directory, File, FileReader, FileStore};
use kvfs_store_rig::{Calls, State};
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
