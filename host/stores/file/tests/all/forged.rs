//! Values that look like records: nobody takes them for some.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileReader, FileStore, IoKind, Options, StoreError, salvage};
use kvfs_store_rig::{Calls, State};
use xxhash_rust::xxh64::xxh64;

const OPTIONS: Options = Options { reserve_bytes: 256, ..Options::DEFAULT };

const SEGMENT: &str = "0000000000000001.kvfs";

/// The place where a guest wants its record, which it may guess, and the salt, which it may not.
#[derive(Clone, Copy)]
struct Place {
    sequence: u64,
    offset: u64,
    /// Up to where the record declares the segment durable.
    synced_to: u64,
    salt: Option<[u8; 16]>,
}

/// A record of the first segment that puts a key, whole at its offset.
fn record(place: Place, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut index = (key.len() as u16).to_le_bytes().to_vec();
    index.extend_from_slice(&(value.len() as u32 + 1).to_le_bytes());
    index.extend_from_slice(key);
    let mut bytes = b"kvf1\0\0\0\0".to_vec();
    for number in [1, place.sequence, place.synced_to] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for length in [index.len(), value.len()] {
        bytes.extend_from_slice(&(length as u32).to_le_bytes());
    }
    for hash in [xxh64(&index, 0), xxh64(value, 0)] {
        bytes.extend_from_slice(&hash.to_le_bytes());
    }
    let hash = match place.salt {
        None => xxh64(&bytes, place.offset),
        Some(salt) => {
            let (seed, tail) = salt.split_at(8);
            let seed = u64::from_le_bytes(seed.try_into().unwrap());
            xxh64(&[&bytes[..], tail].concat(), seed.wrapping_add(place.offset))
        }
    };
    bytes.extend_from_slice(&hash.to_le_bytes());
    [&bytes[..], &index, value].concat()
}

/// The salt of the first segment: 16 bytes behind the header of its start.
fn salt(disk: &Disk) -> [u8; 16] {
    disk.content(SEGMENT)[64..80].try_into().unwrap()
}

#[test]
fn what_a_failed_write_left_behind_is_no_record() {
    for (knows_salt, cuts_nothing) in [(false, false), (false, true), (true, false), (true, true)] {
        let directory = SimDirectory::new(Disk::default());
        directory.disk(|disk| disk.cuts_nothing = cuts_nothing);
        let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
        let end = store.size_bytes();
        // The next record is shorter and ends a byte behind the beginning of the failed value.
        let (next_bytes, value_at) = (64 + 7 + 1, 64 + 7);
        let mut value = vec![7; next_bytes - value_at];
        let (offset, salt) = (end + next_bytes as u64, directory.disk(|disk| salt(disk)));
        let place = Place { sequence: 2, offset, synced_to: 0, salt: knows_salt.then_some(salt) };
        value.extend(record(place, b"stolen", b"1"));
        value.resize(1000, 7);
        directory.disk(|disk| disk.fail = Some(("write half", IoKind::NoSpace)));
        assert_eq!(store.set(&[], &[(b"a", Some(&value))], false), Err(StoreError::QuotaExceeded));
        directory.disk(|disk| disk.fail = None);
        store.set(&[], &[(b"b", Some(b"2"))], false).unwrap();
        let mut expected = State::from([(b"b".to_vec(), b"2".to_vec())]);
        if knows_salt && cuts_nothing {
            expected.insert(b"stolen".to_vec(), b"1".to_vec());
        }
        let disk = directory.disk(|disk| disk.after_kill());
        let mut again = FileStore::open_with(SimDirectory::new(disk), OPTIONS).unwrap();
        assert_eq!(
            again.entries(b"", b"").unwrap(),
            expected,
            "knows the salt: {knows_salt}, {cuts_nothing}"
        );
    }
}

#[test]
fn a_guest_that_guesses_all_but_the_salt_forges_no_record() {
    // A guest's value has records for the places that it guesses, one of which declares everything
    // durable. A crash, or damage, takes the header in front of the value.
    for (knows_salt, durable) in [(false, false), (true, false), (false, true), (true, true)] {
        let directory = SimDirectory::new(Disk::default());
        let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
        store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
        let end = store.size_bytes();
        let salt = knows_salt.then_some(directory.disk(|disk| salt(disk)));
        let value_at = end + 64 + 7;
        let first = Place { sequence: 3, offset: value_at, synced_to: value_at + 1, salt };
        let mut value = record(first, b"stolen", b"1");
        let second = Place { sequence: 4, offset: value_at + value.len() as u64, ..first };
        value.extend(record(second, b"again!", b"2"));
        store.set(&[], &[(b"b", Some(&value))], false).unwrap();
        store.set(&[], &[(b"c", Some(b"3"))], durable).unwrap();

        let mut torn = directory.disk(|disk| disk.after_kill());
        torn.edit(SEGMENT, |bytes| bytes[end as usize..][..64].fill(0));
        let opened = FileStore::open_with(SimDirectory::new(torn.clone()), OPTIONS);
        let opened = opened.map(|mut store| store.entries(b"", b"").unwrap());
        let expected = State::from([(b"a".to_vec(), b"1".to_vec())]);
        match knows_salt || durable {
            false => assert_eq!(opened, Ok(expected.clone())),
            true => assert!(matches!(opened, Err(StoreError::Corrupt(_))), "{opened:?}"),
        }
        let mut salvaged = FileStore::open_with(SimDirectory::new(Disk::default()), OPTIONS).unwrap();
        salvage(&SimDirectory::new(torn), &mut salvaged).unwrap();
        let found = salvaged.entries(b"", b"").unwrap();
        assert_eq!(found.get(&b"a"[..]), expected.get(&b"a"[..]));
        assert_eq!(found.contains_key(&b"stolen"[..]), knows_salt, "{found:?}");
        assert_eq!(found.contains_key(&b"again!"[..]), knows_salt, "{found:?}");
        // The record behind the value is genuine. Salvage takes it if it was durable, and finds it
        // unless the forged numbers are in its way.
        assert_eq!(found.contains_key(&b"c"[..]), durable && !knows_salt, "{found:?}");
    }
}

#[test]
fn a_torn_first_start_makes_no_guests_value_a_record() {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    let value_at = store.size_bytes() + 64 + 7;
    let place = Place { sequence: 2, offset: value_at, synced_to: value_at + 1, salt: None };
    store.set(&[], &[(b"b", Some(&record(place, b"stolen", b"1")))], false).unwrap();
    for torn_bytes in [1, 64, 96] {
        let mut torn = directory.disk(|disk| disk.after_kill());
        torn.edit(SEGMENT, |bytes| bytes[..torn_bytes].fill(0));
        let mut again = FileStore::open_with(SimDirectory::new(torn.clone()), OPTIONS).unwrap();
        assert_eq!(again.entries(b"", b"").unwrap(), State::new());
        let mut salvaged = FileStore::open_with(SimDirectory::new(Disk::default()), OPTIONS).unwrap();
        salvage(&SimDirectory::new(torn), &mut salvaged).unwrap();
        assert_eq!(salvaged.entries(b"", b"").unwrap(), State::new());
    }
}

#[test]
fn a_segment_of_a_newer_version_is_told_from_damage() {
    const UNKNOWN_FLAG: u8 = 1 << 2;
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    drop(store);
    let disk = directory.disk(|disk| disk.after_kill());
    let name = disk.names().into_iter().rfind(|name| name.ends_with(".kvfs")).unwrap();
    for is_whole in [true, false] {
        let mut changed = disk.clone();
        changed.edit(&name, |bytes| {
            bytes[5] |= UNKNOWN_FLAG;
            if is_whole {
                let hash = xxh64(&bytes[..56], 0);
                bytes[56..64].copy_from_slice(&hash.to_le_bytes());
            }
        });
        let directory = SimDirectory::new(changed);
        let opened = FileStore::open_with(directory.clone(), OPTIONS).map(|_| ());
        let read = FileReader::open(&directory).map(|_| ());
        let mut to = FileStore::open(SimDirectory::new(Disk::default())).unwrap();
        let salvaged = kvfs_file_store::salvage(&directory, &mut to).map(|_| ());
        for (what, result) in [("open", &opened), ("read", &read), ("salvage", &salvaged)] {
            match result {
                Err(StoreError::Unavailable(why)) if is_whole => {
                    assert!(why.contains(&name) && why.contains("newer version"), "{what}: {why}");
                }
                Err(StoreError::Corrupt(_)) if !is_whole && what != "salvage" => {}
                Ok(()) if !is_whole && what == "salvage" => {}
                other => panic!("{what}, whole: {is_whole}: {other:?}"),
            }
        }
        if is_whole {
            let names = |disk: &Disk| disk.names().into_iter().filter(|name| name.ends_with(".kvfs")).count();
            assert_eq!(directory.disk(|disk| names(disk)), names(&disk), "nothing was begun beside it");
        }
    }
}
