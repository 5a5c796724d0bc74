//! The filter of a table: it hides no key, and saves nearly all searches for others.

use super::{MemoryFile, Places, extent_key, open, place, source, wild_key};
use crate::table::filter::{MAX_FILTERED_KEYS, STORED_PAGE_BYTES};
use crate::table::{TableError, build};
use kvfs_store_rig::Random;

fn filtered(places: &Places) -> MemoryFile {
    let file = MemoryFile::default();
    build(&file, 7, places.len() as u64, source(places)).unwrap();
    file
}

#[test]
fn a_filter_hides_no_key() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let count = [300, 3_000, 20_000][seed as usize % 3];
        let places: Places = (0..count).map(|_| (wild_key(&mut random), place(&mut random))).collect();
        let table = open(&filtered(&places), 7, 1 << 20).unwrap();
        assert!(table.footer.filter_pages > 0, "seed {seed}");
        for (key, place) in &places {
            assert_eq!(table.get(key), Ok(Some(*place)), "seed {seed}, {key:?}");
        }
    }
}

#[test]
fn a_key_that_is_not_there_costs_one_page_and_no_block() {
    let mut random = Random::new(1);
    let places: Places = (0..50_000).map(|index| (extent_key(1, index), place(&mut random))).collect();
    let file = filtered(&places);
    let table = open(&file, 7, 0).unwrap();
    let (looks, before) = (20_000, file.reads.get());
    for index in 0..looks {
        assert_eq!(table.get(&extent_key(2, index)), Ok(None));
    }
    let in_vain = file.reads.get() - before - looks as usize;
    // Two blocks each.
    assert!(in_vain / 2 < looks as usize / 50, "{in_vain} reads of blocks for {looks} keys");
    let before = file.reads.get();
    drop(open(&file, 7, 1 << 20).unwrap());
    assert_eq!(file.reads.get() - before, 2, "the filter is read when it is asked");
}

#[test]
fn few_keys_and_too_many_have_no_filter() {
    let few: Places = (0..20).map(|index| (extent_key(1, index), crate::table::Place::Gone)).collect();
    assert_eq!(open(&filtered(&few), 7, 0).unwrap().footer.filter_pages, 0);
    let many: Places = (0..2_000).map(|index| (extent_key(1, index), crate::table::Place::Gone)).collect();
    for (most, has_filter) in [(MAX_FILTERED_KEYS, true), (MAX_FILTERED_KEYS + 1, false)] {
        let file = MemoryFile::default();
        build(&file, 7, most, source(&many)).unwrap();
        let table = open(&file, 7, 0).unwrap();
        assert_eq!(table.footer.filter_pages > 0, has_filter);
        assert_eq!(table.get(&extent_key(1, 77)), Ok(Some(crate::table::Place::Gone)));
    }
}

#[test]
fn any_damage_to_a_filter_is_an_error_and_never_a_missing_key() {
    let mut random = Random::new(2);
    let places: Places = (0..6_000).map(|index| (extent_key(1, index), place(&mut random))).collect();
    let whole = filtered(&places).bytes();
    let pages = open(&MemoryFile::of(whole.clone()), 7, 0).unwrap().footer.filter_pages as usize;
    assert!(pages > 1);
    let filter_at = whole.len() - 64 - pages * STORED_PAGE_BYTES;
    let mut errors = 0;
    for at in (filter_at..whole.len()).step_by(97).chain(whole.len() - 64..whole.len()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << random.below(8);
        let Ok(table) = open(&MemoryFile::of(bytes), 7, 0) else {
            errors += 1;
            continue;
        };
        for (key, place) in places.iter().step_by(61) {
            match table.get(key) {
                Ok(found) => assert_eq!(found, Some(*place), "byte {at}"),
                Err(TableError::Damaged { number: 7, .. }) => errors += 1,
                Err(error) => panic!("byte {at}: {error}"),
            }
        }
    }
    assert!(errors > 1000, "{errors} errors");
    // A page of the same table at another place, and one of another table.
    let mut exchanged = whole.clone();
    let (first, second) = exchanged[filter_at..].split_at_mut(STORED_PAGE_BYTES);
    first.swap_with_slice(&mut second[..STORED_PAGE_BYTES]);
    let table = open(&MemoryFile::of(exchanged), 7, 0).unwrap();
    assert!(places.keys().all(|key| table.get(key).is_err()));
    let fewer: Places = places.iter().skip(1).map(|(key, place)| (key.clone(), *place)).collect();
    let file = MemoryFile::default();
    build(&file, 7, places.len() as u64, source(&fewer)).unwrap();
    let mut mixed = file.bytes();
    let mixed_at = mixed.len() - 64 - pages * STORED_PAGE_BYTES;
    mixed[mixed_at..][..pages * STORED_PAGE_BYTES]
        .copy_from_slice(&whole[filter_at..][..pages * STORED_PAGE_BYTES]);
    let table = open(&MemoryFile::of(mixed), 7, 0).unwrap();
    assert!(fewer.keys().all(|key| table.get(key).is_err()));
}
