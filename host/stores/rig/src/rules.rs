//! The rules of the four functions, checked on any empty store.

use crate::{Calls, Changes, Pair, Random, State, change};
use kvfs_contract::{Limits, MAX_ANSWER_BYTES, MAX_KEY_BYTES, StoreError};

/// Checks that keys are bytes in order, and that the empty one is a key.
///
/// # Panics
/// If this does not hold, here and in the next ones.
pub fn keys_are_bytes_in_order(store: &mut impl Calls) {
    let long = vec![0xff; MAX_KEY_BYTES as usize];
    let all: [&[u8]; 6] = [b"", b"\0", b"a", b"a\0", b"\xff", &long];
    for key in all.iter().rev() {
        store.set(&[(key, None)], &[(key, Some(key))], false).unwrap();
    }
    let mut keys = |start: &[u8], end: &[u8]| -> Vec<Vec<u8>> {
        store.entries(start, end).unwrap().into_keys().collect()
    };
    assert_eq!(keys(b"", b""), all);
    assert_eq!(keys(b"a", b"\xff"), [&b"a"[..], b"a\0"]);
    assert_eq!(keys(b"\xff", b""), [&b"\xff"[..], &long]);
    assert_eq!(keys(b"b", b"a"), [b""; 0]);
    let got = store.get(&[b"a", b"nobody", b"", b"a"]).unwrap();
    assert_eq!(got, [Some(b"a".to_vec()), None, Some(Vec::new()), Some(b"a".to_vec())]);
    assert_eq!(store.get(&[]).unwrap(), []);
    store.set(&[(b"", Some(b""))], &[(b"", None), (b"nobody", None)], false).unwrap();
    assert_eq!(store.value_of(b"").unwrap(), None);
}

/// Checks that a guard that does not hold leaves everything, and that a key's last mutation wins.
pub fn guards_hold_or_nothing_changes(store: &mut impl Calls) {
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    for guard in [(&b"a"[..], None), (b"a", Some(&b"2"[..])), (b"b", Some(b""))] {
        for durable in [false, true] {
            let both = [(&b"a"[..], Some(&b"1"[..])), guard];
            let refused = store.set(&both, &[(b"a", Some(b"3")), (b"c", Some(b""))], durable);
            assert_eq!(refused, Err(StoreError::Conflict));
            assert_eq!(store.set(&both, &[(b"a", None)], durable), Err(StoreError::Conflict));
            assert_eq!(store.set(&both, &[], durable), Err(StoreError::Conflict));
        }
    }
    store.set(&[(b"a", Some(b"1"))], &[], true).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap(), [(b"a".to_vec(), b"1".to_vec())].into());
    let twice: [Pair<'_>; 4] = [(b"a", None), (b"a", Some(b"4")), (b"c", Some(b"")), (b"c", None)];
    store.set(&[(b"a", Some(b"1")), (b"c", None)], &twice, true).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap(), [(b"a".to_vec(), b"4".to_vec())].into());
}

/// Checks that calls at the limits pass, and that calls over them are refused.
pub fn limits_are_kept(store: &mut impl Calls) {
    let limits: Limits = store.limits().unwrap();
    let (key, value) =
        (vec![1; limits.max_key_bytes as usize + 1], vec![1; limits.max_value_bytes as usize + 1]);
    let refused = Err(StoreError::TooLarge);
    assert_eq!(store.set(&[], &[(&key, None)], false), refused);
    assert_eq!(store.set(&[(&key, None)], &[], false), refused);
    assert_eq!(store.set(&[], &[(b"k", Some(&value))], false), refused);
    assert_eq!(store.get(&[&key]), Err(StoreError::TooLarge));
    store.set(&[(b"k", None)], &[(b"k", Some(&value[1..]))], false).unwrap();
    // A guard carries a value of any size.
    store.set(&[(b"k", Some(&value[1..]))], &[(b"k", Some(&value[1..]))], false).unwrap();
    assert_eq!(store.set(&[(b"k", Some(&value))], &[(b"k", None)], false), Err(StoreError::Conflict));
    let most = MAX_ANSWER_BYTES / limits.max_value_bytes as usize;
    assert_eq!(store.get(&vec![&b"k"[..]; most]).unwrap().len(), most);
    assert_eq!(store.get(&vec![&b"k"[..]; most + 1]), Err(StoreError::TooLarge));
    store.set(&[], &[(b"k", None)], false).unwrap();
    // As many mutations, of as many bytes, as one apply may have.
    let entries = limits.max_batch_entries as usize;
    let bytes = limits.max_batch_bytes as usize;
    let number = |number: usize| (number as u64).to_be_bytes().to_vec();
    let size = (bytes / entries).saturating_sub(8).min(limits.max_value_bytes as usize);
    let most: Changes = (0..entries).map(|at| (number(at), Some(vec![2; size]))).collect();
    store.make(&most, true).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap().len(), entries);
    let keys: Vec<Vec<u8>> = (0..entries).map(number).collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    if size * entries <= MAX_ANSWER_BYTES {
        assert!(store.get(&keys).unwrap().iter().all(Option::is_some));
    }
    let more: Changes = (0..=entries).map(|at| (number(at), None)).collect();
    assert_eq!(store.make(&more, true), refused);
    store.make(&more[..entries], true).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap().len(), 0);
}

/// Checks that a page of a scan ends at its bounds, and has one entry at least.
pub fn pages_end_at_their_bounds(store: &mut impl Calls) {
    for number in 0..100u8 {
        store.set(&[], &[(&[number], Some(&[number; 99]))], false).unwrap();
    }
    let mut page = |entries, bytes| store.scan(&[10], b"", entries, bytes).unwrap().len();
    assert_eq!(page(7, u32::MAX), 7);
    let some = page(u32::MAX, 550);
    assert!((1..=5).contains(&some), "{some}");
    assert_eq!(page(5, 0), 1);
    assert_eq!(page(0, 1000), 0);
    let all = page(u32::MAX, u32::MAX);
    assert!((1..=90).contains(&all), "{all}");
    assert_eq!(store.entries(&[10], b"").unwrap().len(), 90);
    // The bytes of keys count too.
    for number in 0..20u8 {
        store.set(&[], &[(&[&[200][..], &[number; 99]].concat(), Some(b""))], false).unwrap();
    }
    let long = store.scan(&[200], b"", u32::MAX, 550).unwrap().len();
    assert!((1..=5).contains(&long), "{long}");
}

/// Makes random calls on a store whose entries are `model`, and compares.
pub fn random_calls(store: &mut impl Calls, model: &mut State, random: &mut Random, steps: usize) {
    fn key(random: &mut Random) -> Vec<u8> {
        let mut key = (random.below(400) * 0x0101_0101_0101).to_be_bytes().to_vec();
        key.truncate(if random.chance(20) { random.below(9) as usize } else { 8 });
        key
    }
    for step in 0..steps {
        let changes: Changes = (0..1 + random.below(8))
            .map(|_| {
                let length = [0, 10, 700, 5000, 40_000][random.below(5) as usize];
                let value = vec![random.below(256) as u8; length];
                (key(random), (!random.chance(3)).then_some(value))
            })
            .collect();
        let guarded = key(random);
        let expected = model.get(&guarded).cloned();
        let pairs: Vec<Pair<'_>> = changes.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
        if random.chance(10) {
            let wrong = if expected.is_some() { None } else { Some(&b"wrong"[..]) };
            let refused = store.set(&[(&guarded, wrong)], &pairs, random.chance(2));
            assert_eq!(refused, Err(StoreError::Conflict), "step {step}");
        }
        store.set(&[(&guarded, expected.as_deref())], &pairs, random.chance(10)).unwrap();
        change(model, &changes);
        let asked = key(random);
        assert_eq!(store.value_of(&asked).unwrap().as_ref(), model.get(&asked), "step {step}");
        if random.chance(60) {
            let (start, end) = (key(random), key(random));
            let expected = model.iter().filter(|(key, _)| **key >= start && (end.is_empty() || **key < end));
            let found = store.entries(&start, &end).unwrap();
            assert!(found.iter().eq(expected), "step {step}: from {start:?} to {end:?}");
        }
    }
    assert_eq!(&store.entries(b"", b"").unwrap(), model);
}
