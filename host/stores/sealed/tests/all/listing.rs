//! The order of entries, of directories above all.

use crate::disk::{Disk, Sealed, entry, open};
use kvfs_contract::{Entry, KvStore, Limits};
use kvfs_store_rig::{Calls, Random, State, change};

/// Limits below that make pages short.
const SHORT: Limits = Limits {
    max_key_bytes: 600,
    max_value_bytes: 4096,
    max_batch_entries: 24,
    max_batch_bytes: 8 << 10,
    durable: true,
};

fn page(store: &mut Sealed, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> State {
    let page = KvStore::scan(store, start, end, entries, bytes).unwrap();
    assert!(page.is_sorted_by(|a, b| a.key < b.key), "not in order");
    page.into_iter().map(|Entry { key, value }| (key, value)).collect()
}

/// A key that is often in one of a few directories, beside them, or nearly one.
fn random_key(random: &mut Random) -> Vec<u8> {
    let name: String =
        (0..random.below(4)).map(|_| ['a', 'b', '\u{10FFFF}'][random.below(3) as usize]).collect();
    match random.below(8) {
        0 => vec![[0, 1, 0x11, 0xff][random.below(4) as usize]; random.below(5) as usize],
        1 => [b"\x01v\x10", name.as_bytes()].concat(),
        2 => [b"\x01v\x12", name.as_bytes()].concat(),
        3 => entry(random.below(3) as u8, "")[..2 + random.below(10) as usize].to_vec(),
        4 => [&b"\x02vv\x11\xff\xff\xff\xff\xff\xff\xff\xff"[..], name.as_bytes()].concat(),
        _ => entry(random.below(3) as u8, &name),
    }
}

#[test]
fn every_range_is_that_of_an_ordered_map() {
    let mut longest = 0;
    for (seed, limits) in
        (0..60).map(|seed| (seed, if seed % 2 == 0 { SHORT } else { Limits::standard(true) }))
    {
        let mut random = Random::new(seed);
        let disk = Disk::new(State::new(), limits);
        let mut store = open(&disk);
        let mut expected = State::new();
        for _ in 0..150 {
            let changes: Vec<_> = (0..1 + random.below(6))
                .map(|_| {
                    let value = vec![random.below(256) as u8; random.below(40) as usize];
                    (random_key(&mut random), (!random.chance(4)).then_some(value))
                })
                .collect();
            store.make(&changes, false).unwrap();
            change(&mut expected, &changes);
            if random.chance(9) {
                store = open(&disk);
            }
            let (start, end) = (random_key(&mut random), random_key(&mut random));
            let (entries, bytes) = (1 + random.below(12) as u32, [0, 60, 1000][random.below(3) as usize]);
            for end in [&end[..], b""] {
                let found = page(&mut store, &start, end, entries, bytes);
                let range: Vec<_> = match kvfs_contract::key_range(&start, end) {
                    Some(range) => expected.range::<[u8], _>(range).collect(),
                    None => Vec::new(),
                };
                let first: State = range
                    .iter()
                    .take(found.len())
                    .map(|&(key, value)| (key.clone(), value.clone()))
                    .collect();
                assert_eq!(found, first, "seed {seed}: {start:?} to {end:?}");
                assert_eq!(found.is_empty(), range.is_empty(), "seed {seed}: {start:?} to {end:?}");
                let taken: usize = found.iter().map(|(key, value)| key.len() + value.len()).sum();
                assert!(found.len() <= entries as usize && (taken <= bytes as usize || found.len() == 1));
                longest = longest.max(found.len());
            }
        }
        assert_eq!(store.entries(b"", b"").unwrap(), expected, "seed {seed}");
        for key in expected.keys() {
            assert_eq!(store.value_of(key).unwrap().as_ref(), expected.get(key));
        }
    }
    assert!(longest > 8);
}

fn name(number: usize) -> String {
    format!("{:05}", number * 7919 % 20_011)
}

fn large_directory(disk: &Disk, names: usize) -> (Sealed, State) {
    let mut store = open(disk);
    let entries: State = (0..names).map(|number| (entry(5, &name(number)), vec![7; 33])).collect();
    let all: Vec<_> = entries.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    for some in all.chunks(1000) {
        store.make(some, false).unwrap();
    }
    (store, entries)
}

#[test]
fn a_large_directory_is_read_below_once_however_many_pages_are_asked_for() {
    const NAMES: usize = 20_000;
    let disk = Disk::empty();
    let (mut store, expected) = large_directory(&disk, NAMES);
    disk.counted();
    let (mut from, mut found, mut pages) = (entry(5, ""), State::new(), 0);
    loop {
        let next = page(&mut store, &from, &entry(6, ""), 500, 1 << 20);
        let Some((last, _)) = next.last_key_value() else { break };
        from = [&last[..], b"\0"].concat();
        found.extend(next);
        pages += 1;
    }
    assert_eq!(found, expected);
    let counts = disk.counted();
    assert!(pages == NAMES / 500 && counts.entries < NAMES + 3000, "{pages} pages, {counts:?}");
    assert!(counts.gets <= 3 * pages, "{counts:?}");
}

#[test]
fn a_listing_sees_what_this_store_changes_meanwhile() {
    let disk = Disk::empty();
    let (mut store, mut expected) = large_directory(&disk, 5_000);
    let end = entry(6, "");
    let mut from = entry(5, "");
    let mut random = Random::new(3);
    for step in 0.. {
        let found = page(&mut store, &from, &end, 100, 1 << 20);
        let range: State = expected
            .range(from.clone()..end.clone())
            .take(found.len())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(found, range, "step {step}");
        let Some((last, _)) = found.last_key_value() else { break };
        from = [&last[..], b"\0"].concat();
        // Names ahead and behind come, go and change.
        let changes: Vec<_> = (0..20)
            .map(|_| {
                let key = entry(5, &name(random.below(20_000) as usize));
                (key, (!random.chance(3)).then(|| vec![random.below(256) as u8; 20]))
            })
            .collect();
        store.make(&changes, false).unwrap();
        change(&mut expected, &changes);
    }
    assert_eq!(store.entries(b"", b"").unwrap(), expected);
}

#[test]
fn a_name_removed_by_another_writer_is_left_out() {
    let disk = Disk::empty();
    let (mut store, expected) = large_directory(&disk, 5_000);
    let first = page(&mut store, &entry(5, ""), &entry(6, ""), 100, 1 << 20);
    let last = first.last_key_value().unwrap().0.clone();
    let from = [&last[..], b"\0"].concat();
    let (gone, _) = expected.range(from.clone()..).next().unwrap();
    open(&disk).set(&[], &[(gone, None)], false).unwrap();
    let next = page(&mut store, &from, &entry(6, ""), 100, 1 << 20);
    assert!(!next.contains_key(gone) && next.len() >= 99, "{} names", next.len());
}

#[test]
fn a_directory_with_more_names_than_are_kept_is_listed_all_the_same() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    let name = |number: usize| entry(5, &format!("{:0>250}", number * 7919 % 60_013));
    let expected: State = (0..60_000).map(|number| (name(number), vec![7; 3])).collect();
    let all: Vec<_> = expected.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    all.chunks(5000).for_each(|some| store.make(some, false).unwrap());
    let (mut from, mut found) = (entry(5, ""), State::new());
    loop {
        let next = page(&mut store, &from, &entry(6, ""), 16_384, 16 << 20);
        let Some((last, _)) = next.last_key_value() else { break };
        from = [&last[..], b"\0"].concat();
        found.extend(next);
    }
    assert!(found == expected);
}
