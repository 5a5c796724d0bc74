//! Values that look like records: nobody takes them for some.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileStore, IoKind, Options, StoreError};
use kvfs_store_rig::{Calls, State};
use xxhash_rust::xxh64::xxh64;

const OPTIONS: Options = Options { reserve_bytes: 256, ..Options::DEFAULT };

/// A record that puts a key, whole at its offset.
fn record(epoch: u64, sequence: u64, offset: u64, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut index = (key.len() as u16).to_le_bytes().to_vec();
    index.extend_from_slice(&(value.len() as u32 + 1).to_le_bytes());
    index.extend_from_slice(key);
    let mut bytes = b"kvf1\0\0\0\0".to_vec();
    for number in [epoch, sequence, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for length in [index.len(), value.len()] {
        bytes.extend_from_slice(&(length as u32).to_le_bytes());
    }
    for hash in [xxh64(&index, 0), xxh64(value, 0)] {
        bytes.extend_from_slice(&hash.to_le_bytes());
    }
    bytes.extend_from_slice(&xxh64(&bytes, offset).to_le_bytes());
    [&bytes[..], &index, value].concat()
}

#[test]
fn what_a_failed_write_left_behind_is_no_record() {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    let end = store.size_bytes();
    // What follows is shorter and ends a byte behind the beginning of the failed value.
    let (next_bytes, value_at) = (64 + 7 + 1, 64 + 7);
    let mut value = vec![7; next_bytes - value_at];
    value.extend(record(1, 2, end + next_bytes as u64, b"stolen", b"1"));
    value.resize(1000, 7);
    directory.disk(|disk| disk.fail = Some(("write half", IoKind::NoSpace)));
    assert_eq!(store.set(&[], &[(b"a", Some(&value))], false), Err(StoreError::QuotaExceeded));
    directory.disk(|disk| disk.fail = None);
    for (key, value) in [(b"b", b"2"), (b"c", b"3")] {
        store.set(&[], &[(key, Some(value))], false).unwrap();
        let disk = directory.disk(|disk| disk.after_kill());
        let mut again = FileStore::open_with(SimDirectory::new(disk), OPTIONS).unwrap();
        assert_eq!(again.value_of(b"stolen").unwrap(), None);
        assert_eq!(again.value_of(key).unwrap().as_deref(), Some(&value[..]));
    }
    assert_eq!(store.entries(b"", b"").unwrap().keys().collect::<Vec<_>>(), [b"b", b"c"]);
    // The forgery is a good one: where nothing comes between, it is a record.
    let forged = record(1, 3, end + 2 * next_bytes as u64, b"stolen", b"1");
    let mut disk = directory.disk(|disk| disk.after_kill());
    disk.edit("0000000000000001.kvfs", |bytes| {
        bytes.truncate(end as usize + 2 * next_bytes);
        bytes.extend(forged);
    });
    let mut again = FileStore::open_with(SimDirectory::new(disk), OPTIONS).unwrap();
    let expected = [(b"b", b"2"), (b"c", b"3")].map(|(key, value)| (key.to_vec(), value.to_vec()));
    let mut expected = State::from(expected);
    expected.insert(b"stolen".to_vec(), b"1".to_vec());
    assert_eq!(again.entries(b"", b"").unwrap(), expected);
}
