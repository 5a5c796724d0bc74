//! A full disk.

use crate::disk::{Disk, SimDirectory};
use crate::steered::{Moment, Steered};
use kvfs_file_store::{FileStore, IoError, IoKind, Options, StoreError};
use kvfs_store_rig::Calls;
use std::cell::Cell;
use std::rc::Rc;

const OPTIONS: Options = Options {
    min_garbage_bytes: 16 << 20,
    reserve_bytes: 6 << 10,
    min_segment_bytes: 1 << 20,
    ..Options::DEFAULT
};

fn open(disk: Disk) -> (FileStore<SimDirectory>, SimDirectory) {
    let directory = SimDirectory::new(disk);
    (FileStore::open_with(directory.clone(), OPTIONS).unwrap(), directory)
}

/// Puts keys until the disk is full. Returns how many there are.
fn fill(store: &mut FileStore<SimDirectory>) -> u16 {
    for number in 0..u16::MAX {
        match store.set(&[], &[(&number.to_be_bytes(), Some(&[1; 100]))], number % 5 == 0) {
            Ok(()) => {}
            Err(StoreError::QuotaExceeded) => return number,
            Err(error) => panic!("key {number}: {error}"),
        }
    }
    panic!("the disk does not get full")
}

#[test]
fn on_a_full_disk_keys_are_removed_and_the_store_is_opened() {
    let mut disk = Disk::default();
    disk.capacity_bytes = Some(64 << 10);
    let (mut store, directory) = open(disk);
    let keys = fill(&mut store);
    assert!(keys > 250, "{keys} keys fill it");
    for number in 0..10u16 {
        store.set(&[], &[(&number.to_be_bytes(), None)], true).unwrap();
        let put = store.set(&[], &[(b"more", Some(&[1; 400]))], false);
        assert_eq!(put, Err(StoreError::QuotaExceeded), "the reserve is not for what grows");
    }
    for opening in 0..10u16 {
        let (mut store, _) = open(directory.disk(|disk| disk.after_kill()));
        assert_eq!(store.entries(b"", b"").unwrap().len(), usize::from(keys) - 10);
        store.set(&[], &[(&(10 + opening).to_be_bytes(), None)], true).unwrap();
    }
    // Many in one call: the reserve has no room for all of them one by one.
    let all: Vec<_> = (0..keys).map(u16::to_be_bytes).collect();
    let removals: Vec<(&[u8], Option<&[u8]>)> = all.iter().map(|key| (&key[..], None)).collect();
    for some in removals.chunks(64) {
        store.set(&[], some, true).unwrap();
    }
    assert!(fill(&mut store) > keys - 10, "what was removed is room again");
}

#[test]
fn a_call_that_shrinks_and_is_larger_than_the_reserve_leaves_the_reserve_alone() {
    let mut disk = Disk::default();
    disk.capacity_bytes = Some(64 << 10);
    let (mut store, directory) = open(disk);
    let keys = fill(&mut store);
    // As a guest that removes files and then writes one: more goes than comes.
    let gone: Vec<_> = (0..100u16).map(u16::to_be_bytes).collect();
    let mut changes: Vec<(&[u8], Option<&[u8]>)> = gone.iter().map(|key| (&key[..], None)).collect();
    let large = [2; 8 << 10];
    changes.push((b"large", Some(&large)));
    for _ in 0..3 {
        assert_eq!(store.set(&[], &changes, false), Err(StoreError::QuotaExceeded));
    }
    drop(store);
    for opening in 0..3u16 {
        let (mut store, _) = open(directory.disk(|disk| disk.after_kill()));
        assert_eq!(store.entries(b"", b"").unwrap().len(), usize::from(keys));
        assert_eq!(store.set(&[], &changes, false), Err(StoreError::QuotaExceeded), "opening {opening}");
    }
    let (mut store, _) = open(directory.disk(|disk| disk.after_kill()));
    let all: Vec<_> = (0..keys).map(u16::to_be_bytes).collect();
    let removals: Vec<(&[u8], Option<&[u8]>)> = all.iter().map(|key| (&key[..], None)).collect();
    for some in removals.chunks(64) {
        store.set(&[], some, true).unwrap();
    }
    let again = fill(&mut store);
    assert!(again > keys / 2, "what was removed is room again: for {again} keys of {keys}");
}

#[test]
fn a_call_that_finds_no_room_collects_what_was_removed_before() {
    let mut disk = Disk::default();
    disk.capacity_bytes = Some(64 << 10);
    let (mut store, directory) = open(disk);
    let keys = fill(&mut store);
    let mut disk = directory.disk(|disk| disk.after_kill());
    // Removals find room, so that nothing says yet that the disk is full.
    disk.capacity_bytes = Some(72 << 10);
    let (mut store, _) = open(disk);
    let all: Vec<_> = (0..keys).map(u16::to_be_bytes).collect();
    let removals: Vec<(&[u8], Option<&[u8]>)> = all.iter().map(|key| (&key[..], None)).collect();
    for some in removals.chunks(64) {
        store.set(&[], some, true).unwrap();
    }
    let again = fill(&mut store);
    assert!(again > keys / 2, "what was removed is room again: for {again} keys of {keys}");
}

#[test]
fn regression_a_record_larger_than_any_segment_of_garbage_finds_the_room_of_several() {
    let options = Options {
        min_garbage_bytes: 1 << 20,
        reserve_bytes: 8 << 10,
        min_segment_bytes: 32 << 10,
        ..Options::DEFAULT
    };
    let mut disk = Disk::default();
    disk.capacity_bytes = Some(512 << 10);
    let directory = SimDirectory::new(disk);
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    let put = |store: &mut FileStore<SimDirectory>, number: u16, length: usize| {
        store.set(&[], &[(&number.to_be_bytes(), Some(&vec![number as u8; length]))], false)
    };
    let keys = (0..u16::MAX).take_while(|&number| put(&mut store, number, 1000).is_ok()).count() as u16;
    // One key of eight stays, so that no segment is all garbage.
    for number in (0..keys).filter(|number| number % 8 != 0) {
        store.set(&[], &[(&number.to_be_bytes(), None)], false).unwrap();
    }
    for round in 0..3 {
        put(&mut store, keys, 280 << 10).unwrap_or_else(|error| panic!("round {round}: {error}"));
        store.set(&[], &[(&keys.to_be_bytes(), None)], true).unwrap();
    }
    assert_eq!(store.entries(b"", b"").unwrap().len(), usize::from(keys.div_ceil(8)));
}

#[test]
fn openers_in_a_row_on_a_full_disk_all_get_in_as_long_as_the_reserve_lasts() {
    // Each start lists all segments before it.
    let options = Options { reserve_bytes: 8 << 10, ..OPTIONS };
    let mut disk = Disk::default();
    disk.capacity_bytes = Some(64 << 10);
    let directory = SimDirectory::new(disk);
    let keys = fill(&mut FileStore::open_with(directory.clone(), options).unwrap());
    let mut disk = directory.disk(|disk| disk.after_kill());
    for opening in 0..12u16 {
        let directory = SimDirectory::new(disk);
        let mut store = FileStore::open_with(directory.clone(), options).unwrap();
        assert_eq!(store.entries(b"", b"").unwrap().len(), usize::from(keys - opening));
        store.set(&[], &[(&opening.to_be_bytes(), None)], true).unwrap();
        disk = directory.disk(|disk| disk.after_kill());
    }
}

#[test]
fn an_opening_that_fails_leaves_nothing_behind() {
    let (mut store, directory) = open(Disk::default());
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    for kind in ["write", "write half", "create"] {
        let again = SimDirectory::new(directory.disk(|disk| disk.after_kill()));
        let mut before = again.disk(|disk| disk.names());
        again.disk(|disk| disk.fail = Some((kind, IoKind::NoSpace)));
        for _ in 0..3 {
            let opened = FileStore::open_with(again.clone(), OPTIONS).map(|_| ());
            assert_eq!(opened, Err(StoreError::QuotaExceeded), "{kind}");
        }
        let mut after = again.disk(|disk| disk.names());
        before.retain(|name| name.ends_with(".kvfs") || name.ends_with(".mark"));
        after.retain(|name| !name.ends_with(".reserve") && *name != "0000000000000001.lease");
        assert_eq!(after, before, "{kind}");
        again.disk(|disk| disk.fail = None);
        let mut store = FileStore::open_with(again, OPTIONS).unwrap();
        assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]), "{kind}");
    }
}

#[test]
fn a_reserve_that_was_used_is_whole_again_once_there_is_room() {
    let reserve =
        |directory: &SimDirectory| directory.disk(|disk| disk.content("0000000000000000.reserve").len());
    let mut disk = Disk::default();
    disk.capacity_bytes = Some(64 << 10);
    let (mut store, directory) = open(disk);
    assert_eq!(reserve(&directory), OPTIONS.reserve_bytes);
    fill(&mut store);
    store.set(&[], &[(&[0, 0], None)], true).unwrap();
    let (_, directory) = open(directory.disk(|disk| disk.after_kill()));
    assert!(reserve(&directory) < OPTIONS.reserve_bytes);
    let mut disk = directory.disk(|disk| disk.after_kill());
    disk.capacity_bytes = None;
    let (_, directory) = open(disk);
    assert_eq!(reserve(&directory), OPTIONS.reserve_bytes);
}

#[test]
fn a_checkpoint_that_fails_is_tried_less_and_less_often() {
    let options = Options { max_replay_bytes: 1 << 20, ..OPTIONS };
    let directory = SimDirectory::new(Disk::default());
    let steered = Steered::new(&directory);
    let mut store = FileStore::open_with(steered.clone(), options).unwrap();
    let (tries, is_full) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(true)));
    let (counted, full) = (Rc::clone(&tries), Rc::clone(&is_full));
    steered.at(move |moment| match moment {
        Moment::Writes(name, _) if name.ends_with(".table") && full.get() => {
            counted.set(counted.get() + 1);
            Err(IoError::new(IoKind::NoSpace, "no room for a merge"))
        }
        _ => Ok(()),
    });
    // A record counts with 64 KiB of what there is to replay.
    for number in 0..14 * 16u32 {
        store.set(&[], &[(&number.to_be_bytes(), Some(&[1; 64 << 10]))], true).unwrap();
    }
    assert!((3..6).contains(&tries.get()), "{} tries in 14 MiB", tries.get());
    is_full.set(false);
    for number in 0..16 * 16u32 {
        store.set(&[], &[(&number.to_be_bytes(), Some(&[1; 64 << 10]))], true).unwrap();
    }
    let tables = |name: &String| name.ends_with(".table");
    assert!(directory.disk(|disk| disk.names().iter().any(tables)), "there is room again");
}

#[test]
fn nearly_all_that_is_removed_from_a_full_disk_is_room_again() {
    let options = Options {
        min_garbage_bytes: 64 << 10,
        reserve_bytes: 32 << 10,
        min_segment_bytes: 32 << 10,
        ..Options::DEFAULT
    };
    let mut disk = Disk::default();
    disk.capacity_bytes = Some(1 << 20);
    let directory = SimDirectory::new(disk);
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    let put = |store: &mut FileStore<SimDirectory>, number: u16, round: u8| {
        store.set(&[], &[(&number.to_be_bytes(), Some(&[round; 1000]))], false)
    };
    let keys = (0..u16::MAX).take_while(|&number| put(&mut store, number, 1).is_ok()).count() as u16;
    assert!(keys > 850, "{keys} keys fill it");
    // Every other key, so that no segment is all garbage.
    for number in (0..keys).step_by(2) {
        store.set(&[], &[(&number.to_be_bytes(), None)], false).unwrap();
    }
    let again = (0..keys).step_by(2).take_while(|&number| put(&mut store, number, 2).is_ok()).count();
    let removed = usize::from(keys.div_ceil(2));
    assert!(again > removed * 8 / 10, "{again} of {removed} were written again");
    // The next opener finds all of it, and goes on removing.
    drop(store);
    let disk = directory.disk(|disk| disk.after_kill());
    let mut store = FileStore::open_with(SimDirectory::new(disk), options).unwrap();
    let entries = store.entries(b"", b"").unwrap();
    assert_eq!(entries.len(), usize::from(keys) - removed + again);
    assert_eq!(entries.values().filter(|value| value[..] == [2; 1000]).count(), again);
    for number in 0..keys {
        store.set(&[], &[(&number.to_be_bytes(), None)], true).unwrap();
    }
    let again = (0..keys).take_while(|&number| put(&mut store, number, 3).is_ok()).count();
    assert!(again > usize::from(keys) * 8 / 10, "{again} of {keys}");
}

#[test]
fn what_a_failed_write_left_is_room_again() {
    let mut disk = Disk::default();
    disk.capacity_bytes = Some(64 << 10);
    let (mut store, directory) = open(disk);
    store.set(&[], &[(b"a", Some(&[1; 1000]))], true).unwrap();
    let free = |directory: &SimDirectory| {
        directory
            .disk(|disk| (64 << 10) - disk.names().iter().map(|name| disk.content(name).len()).sum::<usize>())
    };
    let before = free(&directory);
    for durable in [false, true] {
        let put = store.set(&[], &[(b"b", Some(&vec![1; 60 << 10]))], durable);
        assert_eq!(put, Err(StoreError::QuotaExceeded));
        assert!(free(&directory) + 128 >= before, "{} of {before} bytes", free(&directory));
    }
    store.set(&[], &[(b"c", Some(&[1; 40 << 10]))], true).unwrap();
}

#[test]
fn the_reserve_grows_and_shrinks_with_the_store() {
    let reserve =
        |directory: &SimDirectory| directory.disk(|disk| disk.content("0000000000000000.reserve").len());
    let options = Options { min_segment_bytes: 8 << 10, ..OPTIONS };
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    assert_eq!(reserve(&directory), options.reserve_bytes);
    for number in 0..64u16 {
        store.set(&[], &[(&number.to_be_bytes(), Some(&[1; 16 << 10]))], false).unwrap();
    }
    let large = reserve(&directory);
    assert!((24 << 10..=33 << 10).contains(&large), "{large} bytes for 1 MiB");
    for number in 0..64u16 {
        store.set(&[], &[(&number.to_be_bytes(), None)], false).unwrap();
    }
    drop(store);
    FileStore::open_with(directory.clone(), options).unwrap();
    assert_eq!(reserve(&directory), options.reserve_bytes);
}
