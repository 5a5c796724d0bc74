//! Bugs found by the fuzz targets: records with right checksums that no operation writes.

use crate::fixture::{WRITE, create, open_volume};
use crate::store::{LARGE, TestStore};
use kvfs::fuzzing::framed;
use kvfs::{At, Descriptor, Error, Follow, Invariant, OpenFlags, Options, Volume, fsck};
use std::rc::Rc;

fn options() -> Options {
    Options { volume: "v".to_owned(), extent_bytes: 512, inline_bytes: 0, ..Options::default() }
}

fn open(store: &TestStore) -> (Volume, Descriptor) {
    open_volume(store, options())
}

/// A volume with one file `a`, inode 2, in three extents.
fn volume_with_a_file() -> TestStore {
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open(&store);
    let file = create(&mut volume, &root, "a");
    volume.write(&file, At::Offset(0), &[7; 3 * 512]).unwrap();
    volume.close(file).unwrap();
    volume.sync_all().unwrap();
    store
}

fn key(tag: u8, rest: &[u8]) -> Vec<u8> {
    [&[1, b'v', tag], rest].concat()
}

/// Changes the body of a record and updates its checksum.
fn forge(store: &TestStore, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = store.0.borrow_mut();
    let mut body = inner.map.get(key).map_or(Vec::new(), |value| value[16..].to_vec());
    change(&mut body);
    inner.map.insert(key.to_vec(), Rc::from(framed(key, key[2], &body)));
}

#[test]
fn regression_malformed_keys_go_unnoticed() {
    for odd in [&[][..], &[0xff], &[0xff, 1, 2]] {
        let store = volume_with_a_file();
        let odd = [&[1, b'v'], odd].concat();
        store.0.borrow_mut().map.insert(odd.clone(), Rc::from([0_u8; 20]));
        let report = fsck(&mut store.clone(), "v").unwrap();
        let told: Vec<_> = report.findings.iter().map(|found| (found.invariant, &found.key)).collect();
        assert_eq!(told, [(Invariant::KeyForm, &odd)]);
    }
}

#[test]
fn regression_an_empty_file_in_extents_keeps_counting_them() {
    let store = volume_with_a_file();
    // The size follows kind, content, zeros and links in the body.
    forge(&store, &key(0x10, &2_u64.to_be_bytes()), |inode| inode[8..16].fill(0));
    let report = fsck(&mut store.clone(), "v").unwrap();
    assert!(report.findings.iter().any(|found| found.invariant == Invariant::Value), "{report:?}");
    let (mut volume, root) = open(&store);
    let opened = volume.open_at(&root, "a", Follow::No, OpenFlags::default(), WRITE);
    assert!(matches!(opened, Err(Error::Damaged(_))), "{opened:?}");
}
