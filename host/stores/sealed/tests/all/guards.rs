//! Guards: which values they hold for, and which reads they cost.

use crate::disk::{Counts, Disk, entry, open};
use crate::meddling::Meddling;
use kvfs_contract::{Durability, Guard, Mutation, StoreError};
use kvfs_sealed_store::now;
use kvfs_store_rig::Calls;

const KEY: &[u8] = b"\x01v\0";

#[test]
fn a_writer_that_guards_what_it_wrote_reads_nothing_more() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    store.set(&[(KEY, None)], &[(KEY, Some(b"0"))], false).unwrap();
    disk.counted();
    for step in 1..=100u8 {
        store
            .set(
                &[(KEY, Some(format!("{}", step - 1).as_bytes()))],
                &[(KEY, Some(format!("{step}").as_bytes()))],
                false,
            )
            .unwrap();
    }
    assert_eq!(disk.counted(), Counts { applies: 100, ..Counts::default() });
    // Also if the guarded key is not changed.
    for _ in 0..10 {
        store.set(&[(KEY, Some(b"100"))], &[(b"\x01vother", Some(b""))], false).unwrap();
    }
    assert_eq!(disk.counted(), Counts { applies: 10, ..Counts::default() });
}

#[test]
fn an_opener_reads_a_guarded_key_once() {
    let disk = Disk::empty();
    open(&disk).set(&[], &[(KEY, Some(b"0"))], false).unwrap();
    let mut store = open(&disk);
    assert_eq!(store.value_of(KEY).unwrap().as_deref(), Some(&b"0"[..]));
    disk.counted();
    store.set(&[(KEY, Some(b"0"))], &[(KEY, Some(b"1"))], false).unwrap();
    assert_eq!(disk.counted(), Counts { gets: 1, applies: 1, ..Counts::default() });
    store.set(&[(KEY, Some(b"1"))], &[(KEY, Some(b"2"))], false).unwrap();
    assert_eq!(disk.counted(), Counts { applies: 1, ..Counts::default() });
}

#[test]
fn a_guard_holds_for_the_value_and_not_for_its_sealed_form() {
    let disk = Disk::empty();
    let (mut first, mut second) = (open(&disk), open(&disk));
    for key in [KEY.to_vec(), entry(1, "name")] {
        first.set(&[(&key, None)], &[(&key, Some(b"1"))], false).unwrap();
        // The same value, sealed anew by another writer: the guard holds all the same.
        second.set(&[], &[(&key, Some(b"1"))], false).unwrap();
        disk.counted();
        first.set(&[(&key, Some(b"1"))], &[(&key, Some(b"2"))], false).unwrap();
        assert_eq!(disk.counted(), Counts { gets: 1, applies: 2, ..Counts::default() });
        // Another value: it does not, whatever was remembered.
        second.set(&[], &[(&key, Some(b"3"))], false).unwrap();
        for expected in [None, Some(&b"2"[..]), Some(b"1"), Some(b"")] {
            let refused = first.set(&[(&key, expected)], &[(&key, Some(b"4"))], false);
            assert_eq!(refused, Err(StoreError::Conflict), "{expected:?}");
        }
        first.set(&[(&key, Some(b"3"))], &[(&key, None)], false).unwrap();
        assert_eq!(second.set(&[(&key, Some(b"3"))], &[], false), Err(StoreError::Conflict));
        second.set(&[(&key, None)], &[], false).unwrap();
    }
}

#[test]
fn an_apply_without_an_answer_leaves_the_guard_to_what_is_stored() {
    for made in [false, true] {
        let disk = Disk::empty();
        let mut store = open(&disk);
        store.set(&[(KEY, None)], &[(KEY, Some(b"0"))], false).unwrap();
        disk.contents(|contents| contents.loses_answer = made);
        let result = store.set(&[(KEY, Some(b"0"))], &[(KEY, Some(b"1"))], false);
        assert_eq!(result, if made { Err(StoreError::UnknownOutcome) } else { Ok(()) });
        assert_eq!(store.value_of(KEY).unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(store.set(&[(KEY, Some(b"0"))], &[], false), Err(StoreError::Conflict));
        store.set(&[(KEY, Some(b"1"))], &[(KEY, Some(b"2"))], false).unwrap();
    }
}

#[test]
fn gets_and_scans_take_one_call_once_a_volume_is_known() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    store.set(&[], &[(KEY, Some(b"0")), (&entry(1, "a"), Some(b"1"))], false).unwrap();
    disk.counted();
    let keys = [KEY, &entry(1, "a"), &entry(1, "none"), b"\x01vx"];
    kvfs_contract::KvStore::get(&mut store, &keys).unwrap();
    assert_eq!(disk.counted(), Counts { gets: 1, ..Counts::default() });
    kvfs_contract::KvStore::scan(&mut store, b"\x01v\x20", b"\x01v\x21", 10, 1000).unwrap();
    assert_eq!(disk.counted(), Counts { scans: 1, ..Counts::default() });
}

#[test]
fn a_store_below_that_answers_short_is_faulty_and_no_guard_is_taken_for_absent() {
    let disk = Disk::empty();
    open(&disk).set(&[], &[(KEY, Some(b"0")), (b"\x01v\x01", Some(b"0"))], false).unwrap();
    let meddling = Meddling::new(&disk);
    let store = meddling.open().unwrap();
    assert_eq!(now(store.get(&[KEY])).unwrap(), [Some(b"0".to_vec())]);
    meddling.answer_short();
    let guards = [
        Guard { key: KEY, expected: Some(&b"0"[..]) },
        Guard { key: &b"\x01v\x01"[..], expected: Some(&b"0"[..]) },
    ];
    let before = disk.entries();
    let change = [Mutation::Put { key: KEY, value: &b"1"[..] }];
    let done = now(store.apply(&guards, &change, Durability::Buffered));
    assert!(
        matches!(&done, Err(StoreError::Fault(text)) if text.contains("1 values for 2 keys")),
        "{done:?}"
    );
    assert!(matches!(now(store.get(&[KEY])), Err(StoreError::Fault(_))));
    assert!(disk.entries() == before);
}
