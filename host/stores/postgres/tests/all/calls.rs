//! The four functions, compared with an ordered map; and how many rounds each takes.

use std::time::Duration;

use kvfs_contract::{Durability, KvStore, MAX_SCAN_BYTES, Mutation, StoreError};
use kvfs_store_rig::{Calls, Changes, Pair, Random, State, change};
use kvfs_test_servers::Proxy;

use crate::common::{Store, own_url, server};

fn key(random: &mut Random) -> Vec<u8> {
    let length = [0, 1, 2, 3, 40, 1024][random.below(6) as usize];
    // Bytes that a text's order would put elsewhere.
    (0..length).map(|_| [0, 1, b'A', b'a', 0x7f, 0x80, 0xff][random.below(7) as usize]).collect()
}

#[test]
fn random_calls_agree_with_an_ordered_map() {
    let url = own_url(server().address());
    let mut random = Random::new(1);
    let mut store = Store::make(&url);
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
            store = Store::make(&url);
        }
        if step % 40 == 0 {
            assert_eq!(store.entries(b"", b"").unwrap(), model, "step {step}");
        }
    }
    store.0.close().unwrap();
    store.0.close().unwrap();
    assert_eq!(Store::make(&url).entries(b"", b"").unwrap(), model);
}

#[test]
fn guards_are_checked_before_and_changes_are_made_in_order() {
    let mut store = Store::make(&own_url(server().address()));
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

#[test]
fn calls_at_the_limits_work_and_calls_over_them_do_not() {
    let mut store = Store::make(&own_url(server().address()));
    let limits = store.limits().unwrap();
    assert!(limits.durable);
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

#[test]
fn each_call_is_one_round() {
    let proxy = Proxy::start(server().address());
    let mut store = Store::make(&own_url(proxy.address()));
    let value = vec![1; 100_000];
    store.set(&[], &[(b"a", Some(&value))], true).unwrap();
    // Opens the connection for reads.
    store.value_of(b"a").unwrap();
    proxy.set_delay(Duration::from_millis(30));
    let mut rounds = |what: &str, call: &mut dyn FnMut(&mut Store)| {
        proxy.reset_counts();
        call(&mut store);
        let counts = proxy.counts();
        assert_eq!((counts.turns, counts.connections), (1, 0), "{what}");
        println!("{what}: {} bytes up, {} down", counts.up_bytes, counts.down_bytes);
    };
    rounds("get", &mut |store| drop(store.get(&[b"a", b"b"]).unwrap()));
    rounds("scan", &mut |store| drop(store.scan(b"", b"", 100, 1 << 20).unwrap()));
    let guard: Pair<'_> = (b"b", None);
    rounds("buffered", &mut |store| store.set(&[guard], &[(b"a", Some(b"1"))], false).unwrap());
    rounds("durable", &mut |store| store.set(&[guard], &[(b"a", Some(&value))], true).unwrap());
    rounds("barrier", &mut |store| store.set(&[], &[], true).unwrap());
    rounds("conflict", &mut |store| assert!(store.set(&[(b"a", None)], &[(b"c", None)], true).is_err()));
}
