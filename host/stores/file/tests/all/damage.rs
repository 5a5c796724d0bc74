//! A directory whose files are damaged, or another program's.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileStore, Options, StoreError};
use kvfs_store_rig::Calls;

const OPTIONS: Options = Options {
    min_garbage_bytes: 16 << 20,
    reserve_bytes: 256,
    min_segment_bytes: 1 << 20,
    ..Options::DEFAULT
};

/// The size of a note, which ends a segment whose writer ended after a durable apply.
const NOTE_BYTES: usize = 64;

/// The disk of a store with durable values of two openers.
fn disk() -> Disk {
    let directory = SimDirectory::new(Disk::default());
    for opener in 0..2u8 {
        let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
        for step in 0..4u8 {
            let key = [opener, step];
            store.set(&[], &[(&key, Some(&[step; 40]))], true).unwrap();
        }
    }
    directory.disk(|disk| disk.after_kill())
}

/// The disk of a store that was compacted at its last apply, a durable one.
fn compacted_disk() -> Disk {
    let directory = SimDirectory::new(Disk::default());
    let options = Options { min_garbage_bytes: 2 << 10, ..OPTIONS };
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    for step in 0..8u8 {
        store.set(&[], &[(&[step], Some(&[step; 40]))], false).unwrap();
    }
    let before = directory.disk(|disk| segments(disk));
    while directory.disk(|disk| segments(disk)) == before {
        store.set(&[], &[(&[0], Some(&[0; 40]))], true).unwrap();
        store.end().unwrap();
    }
    directory.disk(|disk| disk.after_kill())
}

fn segments(disk: &Disk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(".kvfs")).collect()
}

#[test]
fn durable_keys_that_are_damaged_are_an_error_and_never_missing() {
    // A header for each record, and 6 bytes and the key in an index for each change.
    // A start has a salt of 16 bytes and a list: 16 bytes, 56 for each segment, and 16 for each that
    // was collected.
    let two_segments = (64 + 32) + 4 * (64 + 8) + (64 + 32 + 56) + 4 * (64 + 8);
    let copies = (64 + 32 + 16) + (64 + 8 * 7) + 64;
    for (whole, files, checked_bytes) in [(disk(), 2, two_segments), (compacted_disk(), 1, copies)] {
        let segments = segments(&whole);
        assert_eq!(segments.len(), files);
        let mut found_out = 0;
        for name in &segments {
            for bit in 0..whole.content(name).len() * 8 {
                let mut damaged = whole.clone();
                damaged.edit(name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                match FileStore::open_with(SimDirectory::new(damaged), OPTIONS) {
                    Err(StoreError::Corrupt(text)) => {
                        assert!(text.contains(name), "{text}");
                        found_out += 1;
                    }
                    Err(error) => panic!("bit {bit} of {name}: {error}"),
                    // In a value or in the note: all keys are there, and readers of values have
                    // checksums of their own.
                    Ok(mut store) => {
                        let found = store.entries(b"", b"").unwrap();
                        assert_eq!(found.len(), 8, "bit {bit} of {name}");
                    }
                }
            }
        }
        assert_eq!(found_out, 8 * checked_bytes);
    }
}

#[test]
fn a_note_that_is_torn_or_was_never_written_costs_nothing() {
    for whole in [disk(), compacted_disk()] {
        let name = segments(&whole).pop().unwrap();
        for cut in 0..=NOTE_BYTES {
            for zeros in [false, true] {
                let mut torn = whole.clone();
                torn.edit(&name, |bytes| {
                    let length = bytes.len();
                    bytes.truncate(length - cut);
                    bytes.resize(if zeros { length } else { length - cut }, 0);
                });
                let mut store = FileStore::open_with(SimDirectory::new(torn), OPTIONS).unwrap();
                assert_eq!(store.entries(b"", b"").unwrap().len(), 8, "{cut} bytes of the note");
            }
        }
    }
}

#[test]
fn a_record_takes_the_place_of_the_note_before_it() {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    let mut lengths = Vec::new();
    for _ in 0..3 {
        store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
        lengths.push(directory.disk(|disk| disk.content(&segments(disk)[0]).len()));
    }
    assert_eq!(lengths[1] - lengths[0], lengths[2] - lengths[1]);
    assert_eq!(lengths[1] - lengths[0], 64 + 6 + 1 + 1, "a record: header, index, value");
    assert_eq!(lengths[2] as u64, store.size_bytes() + NOTE_BYTES as u64);
}

#[test]
fn a_segment_that_is_missing_or_short_is_an_error() {
    let whole = disk();
    let first = whole.names().into_iter().find(|name| name.ends_with(".kvfs")).unwrap();
    let mut missing = whole.clone();
    missing.forget(&first);
    let mut short = whole.clone();
    short.edit(&first, |bytes| bytes.truncate(bytes.len() - NOTE_BYTES - 1));
    for disk in [missing, short] {
        let error = FileStore::open_with(SimDirectory::new(disk), OPTIONS).map(|_| ()).unwrap_err();
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
        FileStore::open_with(directory.clone(), OPTIONS)
            .unwrap()
            .set(&[], &[(b"a", Some(b"1"))], true)
            .unwrap();
    }
    for name in ["notes.txt", "1.kvfs", "x.lease", "kvfs.redb"] {
        assert_eq!(directory.disk(|disk| disk.content(name)), b"mine");
    }
}

#[test]
fn what_is_no_file_or_has_an_absurd_number_is_in_nobodys_way() {
    use kvfs_file_store::Directory;
    let directory = SimDirectory::new(Disk::default());
    FileStore::open_with(directory.clone(), OPTIONS).unwrap().set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    for name in ["0000000000000001.lease", "0000000000000004.lease", "0000000000000009.kvfs"] {
        directory.disk(|disk| {
            disk.forget(name);
            disk.directories.insert(name.into())
        });
    }
    for name in ["ffffffffffffffff.lease", "fffffffffffffffe.kvfs"] {
        directory.create(name).unwrap();
    }
    for _ in 0..40 {
        let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
        assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
        store.set(&[], &[(b"b", Some(b"2"))], true).unwrap();
    }
    let reader = kvfs_file_store::FileReader::open(&directory).unwrap().unwrap();
    assert_eq!(reader.value(b"b").unwrap().as_deref(), Some(&b"2"[..]));

    // The last number is taken. The error tells whoever put it there its name.
    directory.create("0000ffffffffffff.kvfs").unwrap();
    let error = FileStore::open_with(directory, OPTIONS).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("0000ffffffffffff.kvfs"), "{error}");
}
