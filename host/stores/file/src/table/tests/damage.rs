//! Tables whose bytes are not those that were built.

use super::{MemoryFile, Places, built, extent_key, open, place, wild_key};
use crate::table::block::{Block, BlockBuilder};
use crate::table::footer::{FOOTER_BYTES, Footer};
use crate::table::place::Child;
use crate::table::seed::seed;
use crate::table::{Caching, Place, TableError};
use kvfs_contract::StoreError;
use kvfs_store_rig::Random;
use xxhash_rust::xxh64::xxh64;

/// Asks a table for everything in every way, and returns the first error.
fn examine(file: &MemoryFile, number: u64, expected: &Places) -> Result<(), TableError> {
    let table = open(file, number, 64 << 10)?;
    for (key, place) in expected.iter().step_by(1 + expected.len() / 40) {
        assert_eq!(table.get(key)?, Some(*place), "a wrong answer and no error");
    }
    let mut expected = expected.iter();
    for entry in table.range(b"", b"", Caching::Keep) {
        let (key, place) = entry?;
        assert_eq!(Some((&key, &place)), expected.next(), "a wrong entry and no error");
    }
    assert_eq!(expected.next(), None, "entries are missing and there is no error");
    Ok(())
}

fn damaged_at(result: Result<(), TableError>, what: &str) -> u64 {
    match result {
        Err(TableError::Damaged { number: 7, at, .. }) => at,
        other => panic!("{what}: {other:?}"),
    }
}

/// Small enough to try every bit, large enough for two levels.
fn small() -> Places {
    let mut random = Random::new(5);
    (0..900).map(|index| (extent_key(3, index), place(&mut random))).collect()
}

#[test]
fn every_flipped_bit_is_an_error_at_its_block() {
    let places = small();
    let (file, built) = built(7, &places);
    let whole = file.bytes();
    assert_eq!(open(&file, 7, 0).unwrap().footer.levels, 2);
    assert_eq!(examine(&file, 7, &places), Ok(()));
    for bit in 0..whole.len() * 8 {
        // All bits of the root and the footer, one of each byte of the many others.
        if bit / 8 + 400 < whole.len() && bit % 8 != bit / 8 % 8 {
            continue;
        }
        file.bytes.borrow_mut()[bit / 8] ^= 1 << (bit % 8);
        let at = damaged_at(examine(&file, 7, &places), &format!("bit {bit}"));
        assert!(at <= bit as u64 / 8, "bit {bit} is said to be at byte {at}");
        file.bytes.borrow_mut()[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(examine(&file, 7, &places), Ok(()));
    assert_eq!(built.size_bytes, whole.len() as u64);
}

#[test]
fn a_table_that_is_cut_or_longer_is_none() {
    let places = small();
    let (file, _) = built(7, &places);
    let whole = file.bytes();
    for length in 0..whole.len() {
        let cut = MemoryFile::of(whole[..length].to_vec());
        damaged_at(open(&cut, 7, 0).map(|_| ()), &format!("{length} bytes"));
        let mut zeros = whole[..length].to_vec();
        zeros.resize(whole.len(), 0);
        damaged_at(examine(&MemoryFile::of(zeros), 7, &places), &format!("zeros from {length} on"));
    }
    for more in [1, FOOTER_BYTES, 4096] {
        let mut longer = whole.clone();
        longer.resize(whole.len() + more, 0);
        damaged_at(open(&MemoryFile::of(longer), 7, 0).map(|_| ()), &format!("{more} bytes more"));
    }
}

#[test]
fn blocks_of_another_table_or_place_are_errors() {
    let places = small();
    let (file, _) = built(7, &places);
    damaged_at(open(&built(8, &places).0, 7, 0).map(|_| ()), "another table's number");
    // The same keys, and the same lengths of everything, but other places.
    let mut other = places.clone();
    for place in other.values_mut() {
        if let Place::At { length, .. } = place {
            *length ^= 1;
        }
    }
    let (other, _) = built(7, &other);
    let (mine, theirs) = (file.bytes(), other.bytes());
    assert_eq!(mine.len(), theirs.len());
    for (start, end) in [(0, 4096), (4096, mine.len() - FOOTER_BYTES)] {
        let mut mixed = mine.clone();
        mixed[start..end].copy_from_slice(&theirs[start..end]);
        damaged_at(examine(&MemoryFile::of(mixed), 7, &places), "an older state of the same blocks");
    }
}

#[test]
fn an_error_names_the_file_and_the_byte() {
    let (file, _) = built(7, &small());
    file.bytes.borrow_mut()[10] ^= 1;
    let error = open(&file, 7, 0).unwrap().get(&extent_key(3, 0)).unwrap_err();
    let text = StoreError::from(error).to_string();
    assert_eq!(
        text,
        "the store is damaged: 0000000000000007.table is damaged at byte 0: its block has another checksum"
    );
}

/// Makes a table of one block, with whole checksums.
fn forged(block: &[u8], levels: u32) -> MemoryFile {
    let root = Child { offset: 0, length: block.len() as u32, hash: xxh64(block, seed(7, 0)) };
    let footer = Footer { levels, entries: 9, tombstones: 0, root, filter_pages: 0 };
    MemoryFile::of([block, &footer.to_bytes(7, block.len() as u64).0].concat())
}

#[test]
fn blocks_that_somebody_made_up_are_errors_or_answers() {
    let (mut opened, mut refused, mut errors) = (0, 0, 0);
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut builder = BlockBuilder::default();
        let index = random.chance(2);
        for _ in 0..random.below(60) {
            let key = wild_key(&mut random);
            let key = &key[..key.len().min(40)];
            if index {
                let offset = random.below(300);
                builder.push_child(key, Child { offset, length: random.below(300) as u32, hash: 1 });
            } else {
                // Keys in no order, so that nothing that is read can count on it.
                builder.push_place(key, place(&mut random));
            }
        }
        let (_, mut block) = builder.finish(u32::from(index));
        for _ in 0..random.below(4) {
            let at = random.below(block.len() as u64) as usize;
            block[at] = [0, 0x7f, 0xff, random.below(256) as u8][random.below(4) as usize];
        }
        if random.chance(8) {
            block.truncate(random.below(block.len() as u64) as usize);
        }
        let Ok(table) = open(&forged(&block, 1 + u32::from(index)), 7, 1 << 20) else {
            refused += 1;
            continue;
        };
        opened += 1;
        for _ in 0..20 {
            let key = wild_key(&mut random);
            errors += usize::from(table.get(&key).is_err());
            let found: Vec<_> = table.range(&key, b"", Caching::Keep).collect();
            assert!(found.iter().rev().skip(1).all(Result::is_ok), "nothing follows an error");
            let keys: Vec<_> = found.iter().flatten().map(|(key, _)| key.clone()).collect();
            assert!(keys.is_sorted_by(|a, b| a < b) && keys.iter().all(|found| *found >= key));
        }
    }
    assert!(opened > 3_000 && refused > 300 && errors > 3_000, "{opened} {refused} {errors}");
}

#[test]
fn a_child_that_does_not_lie_in_front_of_its_parent_is_not_even_read() {
    for (offset, length) in [(0, 1), (0, u32::MAX), (1, 30), (u64::MAX, 1), (u64::MAX - 5, 5)] {
        let mut builder = BlockBuilder::default();
        builder.push_child(b"", Child { offset, length, hash: 0 });
        let file = forged(&builder.finish(1).1, 2);
        let table = open(&file, 7, 1 << 20).unwrap();
        let reads = file.reads.get();
        let got = table.get(b"a").map(|_| ());
        let walked = table.range(b"a", b"", Caching::Keep).try_for_each(|entry| entry.map(|_| ()));
        for result in [got, walked] {
            damaged_at(result, "a child that is not in front of its parent");
        }
        assert_eq!(file.reads.get(), reads);
    }
}

#[test]
fn numbers_of_a_footer_are_bounded() {
    let (file, _) = built(7, &small());
    let bytes = file.bytes();
    let end = bytes.len() - FOOTER_BYTES;
    let (footer, _) = Footer::read(&bytes[end..], 7, bytes.len() as u64).unwrap();
    let root = footer.root;
    let changed = [
        Footer { levels: 0, ..footer },
        Footer { levels: 33, ..footer },
        Footer { levels: u32::MAX, ..footer },
        Footer { tombstones: footer.entries + 1, ..footer },
        Footer { root: Child { offset: u64::MAX, ..root }, ..footer },
        Footer { root: Child { offset: root.offset + 1, ..root }, ..footer },
        Footer { root: Child { length: u32::MAX, ..root }, ..footer },
        Footer { root: Child { length: root.length + 1, ..root }, ..footer },
        Footer { root: Child { hash: !root.hash, ..root }, ..footer },
        // A level is missing, and one too many.
        Footer { levels: footer.levels - 1, ..footer },
        Footer { levels: footer.levels + 1, ..footer },
    ];
    for footer in changed {
        let forged = [&bytes[..end], &footer.to_bytes(7, end as u64).0].concat();
        damaged_at(open(&MemoryFile::of(forged), 7, 0).map(|_| ()), &format!("{footer:?}"));
    }
}

#[test]
fn a_block_without_its_tail_is_malformed() {
    let mut builder = BlockBuilder::default();
    builder.push_place(b"key", Place::Gone);
    let (_, block) = builder.finish(0);
    assert!(Block::new(block.clone()).is_ok());
    for length in 0..block.len() {
        assert!(Block::new(block[..length].to_vec()).is_err(), "{length} bytes");
    }
    let mut restarts = block.clone();
    let tail = block.len() - 8;
    restarts[tail..tail + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(Block::new(restarts).is_err());
}

#[test]
fn a_key_that_shares_more_than_the_key_before_has_is_malformed() {
    // One byte shared with nothing; and two bytes with a key of one byte.
    let entries: [&[u8]; 2] = [&[1, 1, b'b', 0], &[0, 1, b'a', 0, 2, 1, b'b', 0]];
    for entries in entries {
        let tail = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let table = open(&forged(&[entries, &tail].concat(), 1), 7, 0).unwrap();
        damaged_at(table.get(b"zz").map(|_| ()), "a look-up");
        let walked = table.range(b"", b"", Caching::Keep).try_for_each(|entry| entry.map(|_| ()));
        damaged_at(walked, "a walk");
    }
}

/// A table of so many levels, in which each block names the one below many times.
fn tower(lowest: &[u8], levels: u32) -> MemoryFile {
    let (mut bytes, mut block, mut at) = (Vec::new(), lowest.to_vec(), 0);
    for level in 1..levels {
        let child = Child { offset: at, length: block.len() as u32, hash: xxh64(&block, seed(7, at)) };
        let mut builder = BlockBuilder::default();
        for number in 0..=255 {
            builder.push_child(if number == 0 { b"" } else { std::slice::from_ref(&number) }, child);
        }
        bytes.append(&mut block);
        at = bytes.len() as u64;
        block = builder.finish(level).1;
    }
    let root = Child { offset: at, length: block.len() as u32, hash: xxh64(&block, seed(7, at)) };
    bytes.append(&mut block);
    let footer = Footer { levels, entries: 9, tombstones: 0, root, filter_pages: 0 };
    let (end, _) = footer.to_bytes(7, bytes.len() as u64);
    bytes.extend_from_slice(&end);
    MemoryFile::of(bytes)
}

#[test]
fn a_walk_ends_where_many_parents_claim_one_block() {
    let mut places = BlockBuilder::default();
    places.push_place(b"b", Place::Gone);
    let places = places.finish(0).1;
    let empty = BlockBuilder::default().finish(0).1;
    for (lowest, start) in [(&empty, &b""[..]), (&empty, b"c"), (&places, b""), (&places, b"c")] {
        let file = tower(lowest, 32);
        let table = open(&file, 7, 1 << 20).unwrap();
        let walked = table.range(start, b"", Caching::Keep).try_for_each(|entry| entry.map(|_| ()));
        damaged_at(walked, &format!("{} bytes, from {start:?}", lowest.len()));
        assert!(file.reads.get() < 200);
    }
}
