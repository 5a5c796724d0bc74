//! A directory whose files were damaged, or are somebody else's.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileStore, StoreError};

/// A store of two openers with durable values, and its disk.
fn disk() -> Disk {
    let directory = SimDirectory::new(Disk::default());
    for opener in 0..2u8 {
        let mut store = FileStore::open(directory.clone()).unwrap();
        for step in 0..4u8 {
            let key = [opener, step];
            store.apply(&[], &[(&key, Some(&[step; 40]))], true).unwrap();
        }
    }
    directory.disk(|disk| disk.after_kill())
}

#[test]
fn durable_keys_that_are_damaged_are_an_error_and_never_missing() {
    let whole = disk();
    let segments: Vec<String> = whole.names().into_iter().filter(|name| name.ends_with(".kvfs")).collect();
    assert_eq!(segments.len(), 2);
    for name in &segments {
        let bytes = whole.content(name);
        // The last record of the last segment was written before anything said that it was durable.
        let last = name == segments.last().unwrap();
        let checked = if last { bytes.len() - 2 * (64 + 8 + 40) } else { bytes.len() };
        for at in 0..checked {
            let mut damaged = whole.clone();
            damaged.edit(name, |bytes| bytes[at] ^= 0x40);
            match FileStore::open(SimDirectory::new(damaged)) {
                Err(StoreError::Corrupt(text)) => assert!(text.contains("restore"), "{text}"),
                Err(error) => panic!("byte {at} of {name}: {error}"),
                // In a value: the keys are all there, and what reads them has checksums of its own.
                Ok(mut store) => {
                    let found = store.scan(b"", b"", |_| true).unwrap();
                    assert_eq!(found.len(), 8, "byte {at} of {name}");
                }
            }
        }
    }
}

#[test]
fn a_segment_that_is_missing_or_short_is_an_error() {
    let whole = disk();
    let first = whole.names().into_iter().find(|name| name.ends_with(".kvfs")).unwrap();
    let mut missing = whole.clone();
    missing.forget(&first);
    let mut short = whole.clone();
    short.edit(&first, |bytes| bytes.truncate(bytes.len() - 1));
    for disk in [missing, short] {
        let error = FileStore::open(SimDirectory::new(disk)).map(|_| ()).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(text) if text.contains(&first)), "{error}");
    }
}

#[test]
fn files_of_others_are_left_alone() {
    use kvfs_file_store::{Directory, File};
    let directory = SimDirectory::new(Disk::default());
    for name in ["notes.txt", "1.kvfs", "x.lease", "kvfs.redb"] {
        directory.create(name).unwrap().write(0, b"mine").unwrap();
    }
    for _ in 0..40 {
        FileStore::open(directory.clone()).unwrap().apply(&[], &[(b"a", Some(b"1"))], true).unwrap();
    }
    for name in ["notes.txt", "1.kvfs", "x.lease", "kvfs.redb"] {
        assert_eq!(directory.disk(|disk| disk.content(name)), b"mine");
    }
}
