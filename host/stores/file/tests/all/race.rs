//! Several openers of one directory, their calls in every order.

use crate::disk::{Disk, SimDirectory, taking_turns};
use kvfs_file_store::{FileReader, FileStore, Options, StoreError};
use kvfs_store_rig::{
    Calls, Handle, Race, State, number, the_newer_opener_has_the_store_and_the_older_is_told,
};

const OPTIONS: Options = Options {
    min_garbage_bytes: 1 << 10,
    reserve_bytes: 256,
    min_segment_bytes: 1 << 10,
    max_recent_changes: 30,
    max_cache_bytes: 4 << 10,
    ..Options::DEFAULT
};

const RACE: Race<Disk, FileStore<SimDirectory>> = Race {
    open: |handle, _| FileStore::open_with(SimDirectory(handle.clone()), OPTIONS),
    // Garbage enough for a compaction now and then.
    ballast: |step| State::from([(b"ballast".to_vec(), vec![step as u8; 400])]),
    // A newer opener may have removed the segment that has the value.
    may_be_overtaken: |_| true,
};

fn open(directory: &SimDirectory) -> FileStore<SimDirectory> {
    FileStore::open_with(directory.clone(), OPTIONS).unwrap()
}

#[test]
fn openers_that_race_lose_no_acknowledged_step_and_take_none_twice() {
    let mut acknowledged = 0;
    for seed in 0..80 {
        let handles = taking_turns(Disk::default(), 2 + seed as usize / 4 % 2, seed);
        acknowledged +=
            RACE.run(&handles, seed, || open(&SimDirectory::new(handles[0].look(|disk| disk.after_kill()))));
    }
    assert!(acknowledged > 150, "they only got {acknowledged} steps done");
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
        let count = store.value(b"count").unwrap().as_deref().map_or(0, number);
        let marks = store.page(b"mark", b"n", |_| true).unwrap();
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
        let handles = taking_turns(Disk::default(), 2, seed);
        let done = Handle::run_all(&handles, &format!("seed {seed}"), |handle, thread| match thread {
            0 => RACE.count_up(handle, thread).len(),
            _ => read_along(&SimDirectory(handle.clone())),
        });
        read += done.iter().sum::<usize>();
        let names = handles[0].look(|disk| disk.names());
        compactions += usize::from(!names.iter().any(|name| name.starts_with("0000000000000001.")));
    }
    assert!(compactions > 50, "only {compactions} of the stores were compacted");
    assert!(read > 2000, "only {read} of the readings found something");
}

#[test]
fn the_newer_opener_has_the_store() {
    let directory = SimDirectory::new(Disk::default());
    the_newer_opener_has_the_store_and_the_older_is_told(|| open(&directory));
}

#[test]
fn a_writer_whose_lease_is_removed_has_lost_the_store() {
    let directory = SimDirectory::new(Disk::default());
    let mut older = open(&directory);
    older.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
    directory.disk(|disk| disk.names().iter().filter(|n| n.ends_with(".lease")).for_each(|n| disk.forget(n)));
    let mut newer = open(&directory);
    newer.set(&[], &[(b"a", Some(b"2"))], false).unwrap();
    assert_eq!(older.set(&[], &[(b"a", Some(b"3"))], true), Err(StoreError::UnknownOutcome));
    assert_eq!(older.set(&[], &[(b"a", Some(b"3"))], true), Err(StoreError::AccessDenied));
    newer.set(&[], &[(b"a", Some(b"4"))], true).unwrap();
}

#[test]
fn where_names_are_not_counted_the_lease_itself_decides() {
    let directory = SimDirectory::new(Disk::default());
    directory.disk(|disk| disk.tells_no_names = true);
    let mut older = open(&directory);
    older.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    let mut newer = open(&directory);
    assert_eq!(older.set(&[], &[(b"a", Some(b"2"))], true), Err(StoreError::UnknownOutcome));
    newer.set(&[], &[(b"a", Some(b"3"))], true).unwrap();
}
