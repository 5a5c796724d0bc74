//! The rules of the four functions.

use crate::objects::{Objects, Store, open, over};
use kvfs_contract::{
    AsyncKvStore, Durability, KvStore, MAX_ANSWER_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, StoreError,
};
use kvfs_store_rig::Calls;

fn keys(store: &mut Store, start: &[u8], end: &[u8]) -> Vec<Vec<u8>> {
    store.entries(start, end).unwrap().into_keys().collect()
}

#[test]
fn keys_are_bytes_in_order_and_the_empty_one_is_a_key() {
    let mut store = open(over(&Objects::new()));
    let long = vec![0xff; MAX_KEY_BYTES as usize];
    let all: [&[u8]; 6] = [b"", b"\0", b"a", b"a\0", b"\xff", &long];
    for key in all.iter().rev() {
        store.set(&[(key, None)], &[(key, Some(key))], false).unwrap();
    }
    assert_eq!(keys(&mut store, b"", b""), all);
    assert_eq!(keys(&mut store, b"a", b"\xff"), [&b"a"[..], b"a\0"]);
    assert_eq!(keys(&mut store, b"\xff", b""), [&b"\xff"[..], &long]);
    assert_eq!(keys(&mut store, b"b", b"a"), [b""; 0]);
    let got = store.get(&[b"a", b"nobody", b"", b"a"]).unwrap();
    assert_eq!(got, [Some(b"a".to_vec()), None, Some(Vec::new()), Some(b"a".to_vec())]);
    assert_eq!(store.get(&[]).unwrap(), []);
    store.set(&[(b"", Some(b""))], &[(b"", None), (b"nobody", None)], false).unwrap();
    assert_eq!(store.value_of(b"").unwrap(), None);
}

#[test]
fn a_guard_that_does_not_hold_leaves_everything() {
    let mut store = open(over(&Objects::new()));
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    for guard in [(&b"a"[..], None), (b"a", Some(&b"2"[..])), (b"b", Some(b""))] {
        for durable in [false, true] {
            let both = [(&b"a"[..], Some(&b"1"[..])), guard];
            let refused = store.set(&both, &[(b"a", Some(b"3")), (b"c", Some(b""))], durable);
            assert_eq!(refused, Err(StoreError::Conflict));
            assert_eq!(store.set(&both, &[], durable), Err(StoreError::Conflict));
        }
    }
    assert_eq!(store.entries(b"", b"").unwrap(), [(b"a".to_vec(), b"1".to_vec())].into());
    // The last mutation of a key wins.
    let twice: [(&[u8], Option<&[u8]>); 4] =
        [(b"a", None), (b"a", Some(b"4")), (b"c", Some(b"")), (b"c", None)];
    store.set(&[(b"a", Some(b"1")), (b"c", None)], &twice, true).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap(), [(b"a".to_vec(), b"4".to_vec())].into());
}

#[test]
fn what_is_over_a_limit_is_refused() {
    let mut store = open(over(&Objects::new()));
    let (key, value) = (vec![1; MAX_KEY_BYTES as usize + 1], vec![1; MAX_VALUE_BYTES as usize + 1]);
    let refused = Err(StoreError::TooLarge);
    assert_eq!(store.set(&[], &[(&key, None)], false), refused);
    assert_eq!(store.set(&[(&key, None)], &[], false), refused);
    assert_eq!(store.set(&[], &[(b"k", Some(&value))], false), refused);
    assert_eq!(store.get(&[&key]), Err(StoreError::TooLarge));
    store.set(&[], &[(b"k", Some(&value[1..]))], false).unwrap();
    let most = MAX_ANSWER_BYTES / MAX_VALUE_BYTES as usize;
    assert_eq!(store.get(&vec![&b"k"[..]; most]).unwrap().len(), most);
    assert_eq!(store.get(&vec![&b"k"[..]; most + 1]), Err(StoreError::TooLarge));
}

#[test]
fn a_page_of_a_scan_ends_at_its_bounds_and_has_one_entry_at_least() {
    let mut store = open(over(&Objects::new()));
    for number in 0..100u8 {
        store.set(&[], &[(&[number], Some(&[number; 99]))], false).unwrap();
    }
    let page = |store: &mut Store, entries, bytes| store.scan(&[10], b"", entries, bytes).unwrap().len();
    assert_eq!(page(&mut store, 7, u32::MAX), 7);
    assert_eq!(page(&mut store, u32::MAX, 550), 5);
    assert_eq!(page(&mut store, 5, 0), 1);
    assert_eq!(page(&mut store, 0, 1000), 0);
    assert_eq!(page(&mut store, u32::MAX, u32::MAX), 90);
}

#[test]
fn a_barrier_makes_what_waits_durable() {
    let objects = Objects::new();
    let mut store = open(over(&objects));
    store.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
    store.apply(&[], &[], Durability::Durable).unwrap();
    store.set(&[], &[(b"b", Some(b"1"))], false).unwrap();
    store.kill();
    let mut store = open(over(&objects));
    assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn what_was_closed_is_there_for_the_next_and_takes_no_calls() {
    let objects = Objects::new();
    let mut store = open(over(&objects));
    store.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
    store.wait(store.store.close()).unwrap();
    store.wait(store.store.close()).unwrap();
    let closed = "the database is closed; open it again".to_owned();
    assert_eq!(store.value_of(b"a"), Err(StoreError::Unavailable(closed.clone())));
    assert_eq!(store.set(&[], &[(b"a", None)], false), Err(StoreError::Unavailable(closed)));
    let mut next = open(over(&objects));
    assert_eq!(next.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}
