//! Calls that fail: a disk that cannot read something, for once or for good.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileReader, FileStore, Options, StoreError};
use kvfs_store_rig::{Calls, State};

const OPTIONS: Options = Options {
    min_garbage_bytes: 1 << 10,
    reserve_bytes: 256,
    min_segment_bytes: 2 << 10,
    max_recent_changes: 20,
    max_cache_bytes: 0,
    ..Options::DEFAULT
};

fn open(disk: Disk) -> (FileStore<SimDirectory>, SimDirectory) {
    let directory = SimDirectory::new(disk);
    (FileStore::open_with(directory.clone(), OPTIONS).unwrap(), directory)
}

/// Changes the key of a step; each step's value is its own.
fn step(store: &mut FileStore<SimDirectory>, state: &mut State, step: u32) -> Result<(), StoreError> {
    let key = vec![(step * 7 % 30) as u8];
    let value = vec![step as u8; 300];
    store.set(&[], &[(&key, Some(&value))], false)?;
    state.insert(key, value);
    Ok(())
}

fn names(disk: &Disk, end: &str) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(end)).collect()
}

#[test]
fn a_call_during_which_reads_fail_loses_nothing_then_or_later() {
    let (mut failed, mut ended) = (0, 0);
    for applies in 40..110 {
        for reads in 0..40 {
            let (mut store, directory) = open(Disk::default());
            let mut state = State::new();
            for number in 0..applies {
                step(&mut store, &mut state, number).unwrap();
            }
            directory.disk(|disk| disk.reads_left = Some(reads));
            let result = step(&mut store, &mut state, applies);
            let all_failed = directory.disk(|disk| disk.reads_left.take() == Some(0));
            failed += usize::from(all_failed);
            let what = format!("{applies} applies, {reads} reads: {result:?}");
            assert_eq!(store.entries(b"", b"").unwrap(), state, "{what}");
            for number in applies + 1..applies + 60 {
                if step(&mut store, &mut state, number).is_err() {
                    ended += 1;
                    break;
                }
            }
            assert_eq!(store.entries(b"", b"").unwrap(), state, "{what}, later");
            let _ = store.end();
            let (mut store, _) = open(directory.disk(|disk| disk.after_kill()));
            assert_eq!(store.entries(b"", b"").unwrap(), state, "{what}, opened anew");
        }
    }
    assert!(failed > 100 && ended < failed, "{failed} calls, {ended} stores");
}

#[test]
fn a_table_that_cannot_be_read_is_made_anew() {
    let (mut store, directory) = open(Disk::default());
    let mut state = State::new();
    // More than one block, since the root is read once only.
    for number in 0..900u32 {
        let key = [9; 4].into_iter().chain(number.to_be_bytes()).collect::<Vec<_>>();
        store.set(&[], &[(&key, Some(&key))], false).unwrap();
        state.insert(key.clone(), key);
    }
    for number in 0..200 {
        step(&mut store, &mut state, number).unwrap();
    }
    let fail = |directory: &SimDirectory| {
        directory.disk(|disk| {
            let tables = names(disk, ".table");
            assert!(!tables.is_empty());
            tables.iter().for_each(|name| disk.make_unreadable(name));
        });
    };
    fail(&directory);
    let disk = directory.disk(|disk| disk.after_kill());
    assert_eq!(store.entries(b"", b"").unwrap(), state);
    for number in 200..300 {
        step(&mut store, &mut state, number).unwrap();
    }
    fail(&directory);
    for number in 300..400 {
        step(&mut store, &mut state, number).unwrap();
    }
    assert_eq!(store.entries(b"", b"").unwrap(), state);
    assert_eq!(store.rebuilt(), 2);
    let reader = FileReader::open(&SimDirectory::new(disk.clone())).unwrap().unwrap();
    assert_eq!(reader.page(b"", b"", |_| true).unwrap().len(), state.len());
    let (mut store, _) = open(disk);
    assert_eq!((store.entries(b"", b"").unwrap().len(), store.rebuilt()), (state.len(), 1));
}

#[test]
fn a_segment_that_cannot_be_read_keeps_no_other_from_being_collected() {
    let (mut store, directory) = open(Disk::default());
    let mut state = State::new();
    for number in 0..30 {
        step(&mut store, &mut state, number).unwrap();
    }
    let bad = directory.disk(|disk| {
        let bad = names(disk, ".kvfs").remove(0);
        disk.make_unreadable(&bad);
        bad
    });
    for number in 30..1000 {
        step(&mut store, &mut state, number).unwrap();
    }
    let segments = directory.disk(|disk| names(disk, ".kvfs"));
    assert!(segments.contains(&bad), "{segments:?}");
    let live: usize = state.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(store.size_bytes() < 3 * live as u64, "{} bytes, {live} live", store.size_bytes());
}

#[test]
fn a_record_that_a_newer_opener_may_have_is_never_overwritten() {
    let (mut store, directory) = open(Disk::default());
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    // It is written, but nobody knows for whom.
    directory.disk(|disk| disk.no_status_after = Some(disk.calls));
    assert_eq!(store.set(&[], &[(b"a", Some(b"2"))], false), Err(StoreError::UnknownOutcome));
    directory.disk(|disk| disk.no_status_after = None);
    let mut newer = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    let found = newer.value_of(b"a").unwrap();
    newer.set(&[], &[(b"b", Some(b"3"))], true).unwrap();
    let _ = store.set(&[], &[(b"c", Some(b"4"))], false);
    let (mut again, _) = open(directory.disk(|disk| disk.after_kill()));
    assert_eq!(again.value_of(b"a").unwrap(), found);
    assert_eq!(again.value_of(b"b").unwrap().as_deref(), Some(&b"3"[..]));
}
