//! Random tables against sorted maps.

use super::{MemoryFile, Places, built, extent_key, open, place, shared_cache, source, wild_key};
use crate::table::block::MAX_BLOCK_BYTES;
use crate::table::{Caching, Entry, Merge, Place, Table, TableError, build};
use kvfs_store_rig::Random;

fn wild(random: &mut Random, keys: u64) -> Places {
    (0..keys).map(|_| (wild_key(random), place(random))).collect()
}

fn range_of(places: &Places, start: &[u8], end: &[u8]) -> Vec<(Vec<u8>, Place)> {
    let inside = |key: &[u8]| key >= start && (end.is_empty() || key < end);
    places.iter().filter(|(key, _)| inside(key)).map(|(key, place)| (key.clone(), *place)).collect()
}

fn all(entries: impl Iterator<Item = Entry>) -> Vec<(Vec<u8>, Place)> {
    entries.collect::<Result<_, _>>().unwrap()
}

/// A key near those of the map: one of them, the one behind it, a prefix of it, or a random one.
fn near(places: &Places, random: &mut Random) -> Vec<u8> {
    let at = random.below(1 + places.len() as u64) as usize;
    let mut key = places.keys().nth(at).cloned().unwrap_or_default();
    match random.below(4) {
        0 => key.push(0),
        1 => key.truncate(random.below(1 + key.len() as u64) as usize),
        2 => key = wild_key(random),
        _ => {}
    }
    key
}

#[test]
fn tables_say_what_maps_say() {
    let mut levels = [0; 4];
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let keys = [0, 1, 15, 16, 17, 200, 3000, 6000][random.below(8) as usize];
        let places = wild(&mut random, keys);
        let (file, told) = built(seed, &places);
        assert_eq!(told.size_bytes, file.bytes().len() as u64);
        assert_eq!(told.entries, places.len() as u64);
        let gone = places.values().filter(|place| **place == Place::Gone).count();
        assert_eq!(told.tombstones, gone as u64);
        // A cache of no blocks, of a few, and of all.
        let cache_bytes = [0, 20 << 10, 64 << 20][random.below(3) as usize];
        let table = open(&file, seed, cache_bytes).unwrap();
        levels[table.footer.levels as usize - 1] += 1;
        assert_eq!((table.digest(), table.entries()), (told.digest, told.entries));
        assert_eq!(all(table.range(b"", b"", Caching::Pass)), range_of(&places, b"", b""), "seed {seed}");
        for (key, place) in places.iter().step_by(1 + places.len() / 500) {
            assert_eq!(table.get(key), Ok(Some(*place)), "seed {seed}, {key:?}");
        }
        for _ in 0..60 {
            let (start, end) = (near(&places, &mut random), near(&places, &mut random));
            assert_eq!(table.get(&start), Ok(places.get(&start).copied()), "seed {seed}, {start:?}");
            let caching = [Caching::Keep, Caching::Pass][random.below(2) as usize];
            let found = all(table.range(&start, &end, caching));
            assert_eq!(found, range_of(&places, &start, &end), "seed {seed}, {start:?} to {end:?}");
        }
        assert!(table.cache.used_bytes() <= cache_bytes, "seed {seed}");
    }
    assert!(levels.iter().take(2).all(|&tables| tables > 9), "tables of one level and of two: {levels:?}");
}

#[test]
fn keys_of_the_file_system_are_found_in_a_table_of_three_levels() {
    let mut places = Places::new();
    for inode in 0..700u64 {
        for index in 0..700 {
            let offset = (inode * 700 + index) * 33_000;
            places.insert(extent_key(inode, index), Place::At { epoch: 9, offset, length: 32_784 });
        }
    }
    let (file, _) = built(1, &places);
    assert!(file.longest_write.get() <= (256 << 10) + MAX_BLOCK_BYTES, "written in bounded pieces");
    let table = open(&file, 1, 1 << 20).unwrap();
    assert_eq!(table.footer.levels, 3);
    for (key, place) in places.iter().step_by(37) {
        assert_eq!(table.get(key), Ok(Some(*place)));
        let mut missing = key.clone();
        missing.push(0);
        assert_eq!(table.get(&missing), Ok(None));
        let next: Vec<_> = table.range(&missing, b"", Caching::Keep).take(1).collect();
        let expected = places.range(missing..).next();
        assert_eq!(next, Vec::from_iter(expected.map(|(key, place)| Ok((key.clone(), *place)))));
    }
    assert!(table.cache.used_bytes() <= 1 << 20);
    assert!(table.cache.used_bytes() > 1 << 19, "the cache is in use");
}

#[test]
fn the_longest_keys_make_a_table() {
    let mut places = Places::new();
    for number in 0..40u8 {
        // Alike to the last byte, so that separators are as long.
        let mut key = vec![0xee; usize::from(u16::MAX)];
        key[65_534] = number;
        places.insert(key, Place::At { epoch: u64::MAX, offset: 1 << 62, length: 16 << 20 });
        places.insert(vec![number; usize::from(u16::MAX)], Place::Gone);
    }
    let (file, _) = built(1, &places);
    let table = open(&file, 1, 0).unwrap();
    assert!(table.footer.levels > 4, "{} levels", table.footer.levels);
    assert_eq!(all(table.range(b"", b"", Caching::Keep)), range_of(&places, b"", b""));
    for (key, place) in &places {
        assert_eq!(table.get(key), Ok(Some(*place)));
    }
}

#[test]
fn keys_that_are_too_long_or_not_in_order_make_no_table() {
    let entry = |key: &[u8]| Ok((key.to_vec(), Place::Gone));
    let too_long = vec![0; usize::from(u16::MAX) + 1];
    for keys in [[&b"b"[..], b"a"], [b"a", b"a"], [b"a", &too_long]] {
        let result = build(&MemoryFile::default(), 7, 0, keys.into_iter().map(entry));
        assert!(matches!(result, Err(TableError::Damaged { number: 7, .. })), "{result:?}");
    }
}

#[test]
fn a_read_once_is_not_read_again_while_it_is_in_the_cache() {
    let places: Places = (0..20_000).map(|index| (extent_key(1, index), Place::Gone)).collect();
    let (file, _) = built(1, &places);
    let (roomy, none) = (open(&file, 1, 8 << 20).unwrap(), open(&file, 1, 0).unwrap());
    let key = extent_key(1, 9_999);
    let reads = |table: &Table<MemoryFile>| {
        let before = file.reads.get();
        assert_eq!(table.get(&key), Ok(Some(Place::Gone)));
        file.reads.get() - before
    };
    assert_eq!([reads(&roomy), reads(&roomy)], [1, 0]);
    assert_eq!([reads(&none), reads(&none)], [1, 1]);
    // Reading all of it leaves the cache as it was.
    let used = roomy.cache.used_bytes();
    assert_eq!(all(roomy.range(b"", b"", Caching::Pass)).len(), 20_000);
    assert_eq!((roomy.cache.used_bytes(), reads(&roomy)), (used, 0));
}

#[test]
fn two_tables_of_one_number_share_a_cache_and_no_blocks() {
    let cache = shared_cache(1 << 20);
    let tables = [1, 2].map(|epoch| {
        let at = |index| Place::At { epoch, offset: index, length: 1 };
        let places: Places = (0..5_000).map(|index| (extent_key(1, index), at(index))).collect();
        Table::open(built(1, &places).0, 1, &cache).unwrap()
    });
    for index in 0..5_000 {
        for (table, epoch) in tables.iter().zip([1, 2]) {
            let expected = Place::At { epoch, offset: index, length: 1 };
            assert_eq!(table.get(&extent_key(1, index)), Ok(Some(expected)));
        }
    }
}

#[test]
fn a_merge_gives_the_newest_of_each_key() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut newest = Places::new();
        let mut sources = Vec::new();
        for number in 0..random.below(7) {
            let places: Places = (0..random.below(900))
                .map(|_| (random.below(1200).to_be_bytes().to_vec(), place(&mut random)))
                .collect();
            newest.extend(places.clone());
            sources.push((number, places));
        }
        let (start, end) = (random.below(600).to_be_bytes(), random.below(1400).to_be_bytes());
        let cache = shared_cache(30 << 10);
        let in_memory = sources.pop().map(|(_, places)| places).unwrap_or_default();
        let tables: Vec<_> = sources
            .iter()
            .rev()
            .map(|(number, places)| Table::open(built(*number, places).0, *number, &cache).unwrap())
            .collect();
        let boxed = |entries| Box::new(entries) as Box<dyn Iterator<Item = Entry> + '_>;
        let inside = in_memory.range(start.to_vec()..).filter(|(key, _)| key[..] < end[..]);
        let older = tables.iter().map(|table| boxed2(table.range(&start, &end, Caching::Keep)));
        let merged = Merge::new(std::iter::once(boxed(source(inside))).chain(older)).unwrap();
        assert_eq!(all(merged), range_of(&newest, &start, &end), "seed {seed}");
    }
}

fn boxed2<'a>(entries: impl Iterator<Item = Entry> + 'a) -> Box<dyn Iterator<Item = Entry> + 'a> {
    Box::new(entries)
}

#[test]
fn a_merge_ends_at_the_first_error() {
    let error = || TableError::Damaged { number: 3, at: 5, why: "so" };
    let good: Vec<Entry> = (0..5u8).map(|byte| Ok((vec![byte], Place::Gone))).collect();
    let bad: Vec<Entry> = vec![Ok((vec![1], Place::Gone)), Err(error()), Ok((vec![2], Place::Gone))];
    let mut merged = Merge::new([boxed2(good.into_iter()), boxed2(bad.into_iter())]).unwrap();
    assert_eq!(merged.next(), Some(Ok((vec![0], Place::Gone))));
    assert_eq!(merged.next(), Some(Err(error())));
    assert_eq!(merged.next(), None);
    let first: Vec<Entry> = vec![Err(error())];
    assert_eq!(Merge::new([boxed2(first.into_iter())]).map(|_| ()), Err(error()));
}
