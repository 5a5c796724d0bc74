//! Calls of a store that works, compared with an ordered map.

use kvfs_contract::{Durability, KvStore, MAX_SCAN_BYTES, Mutation, StoreError};

use crate::{Calls, Changes, Pair, Random, State, change};

fn key(random: &mut Random) -> Vec<u8> {
    let length = [0, 1, 2, 3, 40, 1024][random.below(6) as usize];
    // Bytes that a text's order would put elsewhere.
    (0..length).map(|_| [0, 1, b'A', b'a', 0x7f, 0x80, 0xff][random.below(7) as usize]).collect()
}

/// Compares random calls with an ordered map. Each call of `open` opens the same store anew; it is
/// empty at first. Returns what it has in the end.
///
/// # Panics
/// If an answer differs.
pub fn random_calls_agree_with_an_ordered_map<S: KvStore>(mut open: impl FnMut() -> S) -> State {
    let mut random = Random::new(1);
    let mut store = open();
    let mut model = State::new();
    for step in 0..400 {
        let changes: Changes = (0..random.below(12))
            .map(|_| {
                let length = [0, 1, 100, 3000, 100_000][random.below(5) as usize];
                let value = (0..length).map(|at| (at as u64 ^ step) as u8).collect();
                (key(&mut random), (!random.chance(3)).then_some(value))
            })
            .collect();
        store.make(&changes, random.chance(4)).unwrap();
        change(&mut model, &changes);
        let asked: Vec<Vec<u8>> = (0..random.below(6)).map(|_| key(&mut random)).collect();
        let asked: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
        let found = store.get(&asked).unwrap();
        let known: Vec<_> = asked.iter().map(|key| model.get(*key).cloned()).collect();
        assert!(found == known, "step {step}: {asked:?}");
        let (start, end) = (key(&mut random), key(&mut random));
        let (entries, bytes) = (random.below(20) as u32, random.below(200_000) as u32);
        let page = store.scan(&start, &end, entries, bytes).unwrap();
        let in_range = |key: &Vec<u8>| *key >= start && (end.is_empty() || *key < end);
        let known: Vec<_> = model.iter().filter(|(key, _)| in_range(key)).collect();
        assert!(
            page.iter().map(|entry| (&entry.key, &entry.value)).eq(known.iter().copied().take(page.len()))
        );
        assert_eq!(page.is_empty(), known.is_empty() || entries == 0, "step {step}");
        let size: usize = page.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
        assert!(page.len() <= entries as usize && (size <= bytes as usize || page.len() == 1));
        if step % 100 == 0 {
            store = open();
        }
        if step % 40 == 0 {
            assert_eq!(store.entries(b"", b"").unwrap(), model, "step {step}");
        }
    }
    model
}

/// Checks guards, and the order of changes, on an empty store.
///
/// # Panics
/// If one is not as the contract says.
pub fn guards_are_checked_before_and_changes_are_made_in_order(mut store: impl KvStore) {
    let none: &[u8] = b"";
    store.set(&[(b"a", None), (b"b", None)], &[(b"a", Some(b"1")), (b"a", Some(b"2"))], false).unwrap();
    assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"2"[..]));
    let refused: [&[Pair<'_>]; 5] = [
        &[(b"a", None)],
        &[(b"a", Some(b"1"))],
        &[(b"a", Some(none))],
        &[(b"b", Some(none))],
        &[(b"a", Some(b"2")), (b"b", Some(b"2"))],
    ];
    for guards in refused {
        let refused = store.set(guards, &[(b"a", Some(b"9")), (b"c", Some(b"9"))], true);
        assert_eq!(refused, Err(StoreError::Conflict), "{guards:?}");
    }
    store.set(&[(b"a", Some(b"2")), (b"c", None)], &[(b"a", None), (b"b", Some(none))], true).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap(), State::from([(b"b".to_vec(), Vec::new())]));
    store.set(&[], &[(b"b", None), (b"b", Some(b"3")), (b"x", Some(b"1")), (b"x", None)], false).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap(), State::from([(b"b".to_vec(), b"3".to_vec())]));
    // A guard alone is a question.
    store.set(&[(b"b", Some(b"3"))], &[], false).unwrap();
    assert_eq!(store.set(&[(b"b", None)], &[], true), Err(StoreError::Conflict));
    store.set(&[], &[], true).unwrap();
}

/// Makes calls at the standard limits and over them, on an empty store.
///
/// # Panics
/// If one that should is not answered or refused.
pub fn calls_at_the_limits_work_and_calls_over_them_do_not(mut store: impl KvStore) {
    let limits = store.limits().unwrap();
    let value = vec![7; limits.max_value_bytes as usize];
    let many: Vec<Vec<u8>> = (0..15_u8).map(|number| vec![number; 1024]).collect();
    let puts: Vec<_> = many.iter().map(|key| (&key[..], Some(&value[..]))).collect();
    store.set(&[], &puts, true).unwrap();
    assert_eq!(store.scan(b"", b"", u32::MAX, u32::MAX).unwrap().len(), 15);
    let large = vec![&many[3][..]; 64];
    assert!(store.get(&large).unwrap().iter().all(|found| found.as_ref() == Some(&value)));
    assert_eq!(store.get(&[&large[..], &[&many[3][..]]].concat()), Err(StoreError::TooLarge));
    for round in 1..5_u8 {
        let others: Vec<Vec<u8>> = (0..15_u8).map(|number| vec![number, round]).collect();
        let puts: Vec<_> = others.iter().map(|key| (&key[..], Some(&value[..]))).collect();
        store.set(&[], &puts, false).unwrap();
    }
    // Different keys, more than is answered at once; the store goes on.
    let all: Vec<Vec<u8>> = store.entries(b"", b"").unwrap().into_keys().collect();
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    assert_eq!(all.len(), 75);
    assert_eq!(store.get(&all), Err(StoreError::TooLarge));
    assert_eq!(store.get(&all[..64]).unwrap().len(), 64);
    let small: Vec<Vec<u8>> = (0..limits.max_batch_entries).map(|at| at.to_be_bytes().to_vec()).collect();
    let puts: Vec<_> = small.iter().map(|key| Mutation::Put { key: &key[..], value: &key[..] }).collect();
    store.apply(&[], &puts, Durability::Buffered).unwrap();
    assert_eq!(store.scan(b"", b"\x01", u32::MAX, MAX_SCAN_BYTES).unwrap().len(), 16 * 1024);
    let long = vec![b'k'; 1025];
    for refused in [
        store.get(&[&long]).map(drop),
        store.apply(&[], &[Mutation::Put { key: &long, value: b"" }], Durability::Buffered),
        store.set(&[], &[(b"a", Some(&vec![0; (1 << 20) + 1]))], false),
    ] {
        assert_eq!(refused, Err(StoreError::TooLarge));
    }
}
