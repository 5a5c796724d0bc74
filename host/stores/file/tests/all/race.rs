//! Several openers of one directory, their calls in every order.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileReader, FileStore, Options, StoreError};
use std::collections::BTreeSet;

const OPTIONS: Options = Options { min_garbage_bytes: 1 << 10, reserve_bytes: 256 };
const APPLIES: usize = 12;

/// Counts up under a guard, with a mark for each step, and opens anew whenever it is told that it was replaced.
fn count_up(directory: &SimDirectory, thread: usize) -> Vec<Vec<u8>> {
    let mut acknowledged = Vec::new();
    let mut store = None;
    for step in 0..APPLIES {
        let Some(open) = &mut store else {
            store = FileStore::open_with(directory.clone(), OPTIONS).ok();
            continue;
        };
        let mark = format!("mark {thread} {step}").into_bytes();
        let read = open.get(b"count");
        let Ok(count) = read else {
            store = None;
            continue;
        };
        let next = count.as_deref().map_or(0, number) + 1;
        let guard: (&[u8], Option<&[u8]>) = (b"count", count.as_deref());
        let next = next.to_be_bytes();
        // Garbage enough for a compaction now and then.
        let ballast = [step as u8; 400];
        let mutations: [(&[u8], Option<&[u8]>); 3] =
            [(b"count", Some(&next)), (&mark, Some(b"")), (b"ballast", Some(&ballast))];
        match open.apply(&[guard], &mutations, step % 5 == 0) {
            Ok(()) => acknowledged.push(mark),
            Err(StoreError::Fenced | StoreError::UnknownOutcome) => store = None,
            Err(error) => panic!("thread {thread}, step {step}: {error}"),
        }
    }
    acknowledged
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
}

#[test]
fn openers_that_race_lose_no_acknowledged_step_and_take_none_twice() {
    let mut acknowledged_in_all = 0;
    for seed in 0..80 {
        let threads = 2 + seed as usize / 4 % 2;
        let directories = SimDirectory::taking_turns(Disk::default(), threads, seed);
        let acknowledged: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let running: Vec<_> = directories
                .iter()
                .enumerate()
                .map(|(thread, directory)| {
                    scope.spawn(move || {
                        let steps = std::panic::catch_unwind(|| count_up(directory, thread));
                        directory.done();
                        steps.unwrap_or_else(|_| panic!("seed {seed}"))
                    })
                })
                .collect();
            running.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
        });
        acknowledged_in_all += acknowledged.len();

        let disk = directories[0].disk(|disk| disk.after_kill());
        let mut store = FileStore::open_with(SimDirectory::new(disk), OPTIONS).unwrap();
        let count = store.get(b"count").unwrap().as_deref().map_or(0, number);
        let marks: BTreeSet<Vec<u8>> =
            store.scan(b"mark", b"n", |_| true).unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(count, marks.len() as u64, "seed {seed}: steps and their marks");
        for mark in acknowledged {
            assert!(marks.contains(&mark), "seed {seed}: {} is lost", String::from_utf8_lossy(&mark));
        }
    }
    assert!(acknowledged_in_all > 150, "they only got {acknowledged_in_all} steps done");
}

/// Reads again and again beside a writer. Returns how often it got something to read.
fn read_along(directory: &SimDirectory) -> usize {
    let mut last = 0;
    let mut read = 0;
    for _ in 0..40 {
        let store = match FileReader::open(directory) {
            Ok(Some(store)) => store,
            Ok(None) if last == 0 => continue,
            Ok(None) => panic!("the store is gone"),
            Err(StoreError::Unavailable(text)) if text.contains("in use") => continue,
            Err(error) => panic!("a healthy store: {error}"),
        };
        let count = store.get(b"count").unwrap().as_deref().map_or(0, number);
        let marks = store.scan(b"mark", b"n", |_| true).unwrap();
        assert_eq!(count, marks.len() as u64, "steps and their marks");
        assert!(count >= last, "after {last} steps {count}");
        last = count;
        read += 1;
    }
    read
}

#[test]
fn a_reader_beside_a_writer_that_compacts_finds_a_sound_store() {
    let (mut read, mut compactions) = (0, 0);
    for seed in 0..60 {
        let directories = SimDirectory::taking_turns(Disk::default(), 2, seed);
        read += std::thread::scope(|scope| {
            let run = |thread: usize| {
                let directory = directories[thread].clone();
                scope.spawn(move || {
                    let done = std::panic::catch_unwind(|| match thread {
                        0 => count_up(&directory, thread).len(),
                        _ => read_along(&directory),
                    });
                    directory.done();
                    done.unwrap_or_else(|_| panic!("seed {seed}"))
                })
            };
            let [writer, reader] = [0, 1].map(run);
            writer.join().expect("the writer");
            reader.join().expect("the reader")
        });
        let names = directories[0].disk(|disk| disk.names());
        compactions += usize::from(!names.iter().any(|name| name.starts_with("0000000000000001.")));
    }
    assert!(compactions > 50, "only {compactions} of the stores were compacted");
    assert!(read > 2000, "only {read} of the readings found something");
}

#[test]
fn the_newer_opener_has_the_store_and_the_older_is_told() {
    let directory = SimDirectory::new(Disk::default());
    let mut older = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    older.apply(&[], &[(b"a", Some(b"1"))], false).unwrap();
    let mut newer = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    assert_eq!(newer.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(older.apply(&[], &[(b"a", Some(b"2"))], false), Err(StoreError::UnknownOutcome));
    assert_eq!(older.apply(&[], &[(b"a", Some(b"2"))], false), Err(StoreError::Fenced));
    newer.apply(&[(b"a", Some(b"1"))], &[(b"b", Some(b"1"))], true).unwrap();
    // What the older one wrote too late is not found by anybody.
    let mut third = FileStore::open_with(directory, OPTIONS).unwrap();
    assert_eq!(third.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_writer_whose_lease_is_removed_has_lost_the_store() {
    let directory = SimDirectory::new(Disk::default());
    let mut older = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    older.apply(&[], &[(b"a", Some(b"1"))], false).unwrap();
    directory.disk(|disk| disk.names().iter().filter(|n| n.ends_with(".lease")).for_each(|n| disk.forget(n)));
    let mut newer = FileStore::open_with(directory, OPTIONS).unwrap();
    newer.apply(&[], &[(b"a", Some(b"2"))], false).unwrap();
    assert_eq!(older.apply(&[], &[(b"a", Some(b"3"))], true), Err(StoreError::UnknownOutcome));
    assert_eq!(older.apply(&[], &[(b"a", Some(b"3"))], true), Err(StoreError::Fenced));
    newer.apply(&[], &[(b"a", Some(b"4"))], true).unwrap();
}

#[test]
fn where_names_are_not_counted_the_lease_itself_decides() {
    let directory = SimDirectory::new(Disk::default());
    directory.disk(|disk| disk.tells_no_names = true);
    let mut older = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    older.apply(&[], &[(b"a", Some(b"1"))], true).unwrap();
    let mut newer = FileStore::open_with(directory, OPTIONS).unwrap();
    assert_eq!(older.apply(&[], &[(b"a", Some(b"2"))], true), Err(StoreError::UnknownOutcome));
    newer.apply(&[], &[(b"a", Some(b"3"))], true).unwrap();
}
