//! Segments that end at a size: what counts of them after a crash, and what is collected.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileReader, FileStore, Options, StoreError};
use kvfs_store_rig::{Calls, Random, State};

const OPTIONS: Options = Options {
    min_garbage_bytes: 1 << 20,
    reserve_bytes: 256,
    min_segment_bytes: 1 << 10,
    ..Options::DEFAULT
};

const STEPS: u8 = 60;

fn segments(disk: &Disk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(".kvfs")).collect()
}

fn open(disk: &Disk) -> Result<State, StoreError> {
    FileStore::open_with(SimDirectory::new(disk.clone()), OPTIONS)?.entries(b"", b"")
}

/// The disk of a store that got a key per step; the steps of some numbers were durable.
fn written(durable: impl Fn(u8) -> bool) -> Disk {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    for step in 0..STEPS {
        store.set(&[], &[(&[step], Some(&[step; 100]))], durable(step)).unwrap();
    }
    directory.disk(|disk| disk.after_kill())
}

fn first(steps: usize) -> Vec<Vec<u8>> {
    (0..steps as u8).map(|step| vec![step]).collect()
}

#[test]
fn an_older_segment_that_ends_early_voids_the_newer_ones_if_nothing_was_durable() {
    let whole = written(|_| false);
    let names = segments(&whole);
    assert!(names.len() > 8, "{names:?}");
    assert_eq!(open(&whole).unwrap().len(), usize::from(STEPS));
    let mut before = usize::from(STEPS);
    for name in names.iter().rev() {
        // Its last byte, which is in a value, is lost.
        let mut cut = whole.clone();
        cut.edit(name, |bytes| *bytes.last_mut().unwrap() ^= 1);
        let found = open(&cut).unwrap();
        assert!(found.len() <= before, "{name}: {} keys", found.len());
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), first(found.len()), "{name}: not a prefix");
        before = found.len();
        // Its name is lost.
        let mut gone = whole.clone();
        gone.forget(name);
        let found = open(&gone).unwrap();
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), first(found.len()), "{name} is gone");
        assert!(found.len() <= before);
    }
    assert!(before < 10, "{before} keys without the last byte of the first segment");
}

#[test]
fn an_older_segment_that_ends_early_is_an_error_once_a_newer_one_is_durable() {
    let whole = written(|step| step == STEPS - 1);
    let names = segments(&whole);
    for name in &names[..names.len() - 1] {
        // In the list of its start; in the last record, and the note behind it if there is one.
        for damage in
            [|bytes: &mut Vec<u8>| bytes[70] ^= 1, |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 65)]
        {
            let mut damaged = whole.clone();
            damaged.edit(name, damage);
            let error = open(&damaged).map(|found| found.len()).unwrap_err();
            assert!(matches!(&error, StoreError::Corrupt(text) if text.contains(name)), "{error}");
        }
        let mut gone = whole.clone();
        gone.forget(name);
        let error = open(&gone).map(|found| found.len()).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(text) if text.contains(name)), "{error}");
    }
}

#[test]
fn what_was_durable_before_a_segment_is_an_error_where_it_ends_early() {
    // The last durable step is in the middle of the segments.
    let whole = written(|step| step == STEPS / 2);
    let names = segments(&whole);
    let (mut errors, mut prefixes) = (0, 0);
    for name in &names {
        let mut damaged = whole.clone();
        damaged.edit(name, |bytes| *bytes.last_mut().unwrap() ^= 1);
        match open(&damaged) {
            Err(StoreError::Corrupt(_)) => errors += 1,
            Err(error) => panic!("{name}: {error}"),
            Ok(found) => {
                assert!(found.len() > usize::from(STEPS / 2), "{name}: {} keys", found.len());
                assert_eq!(found.keys().cloned().collect::<Vec<_>>(), first(found.len()));
                // The flipped bit may be in a value that was durable, which has readers' checksums.
                prefixes += usize::from(found.len() < usize::from(STEPS));
            }
        }
    }
    assert!(prefixes >= names.len() / 2 - 1, "{errors} errors, {prefixes} prefixes of {names:?}");
}

#[test]
fn garbage_is_collected_a_segment_at_a_time_and_removals_stay_removed() {
    let options = Options { min_garbage_bytes: 4 << 10, min_segment_bytes: 4 << 10, ..OPTIONS };
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    let mut random = Random::new(3);
    let mut state = State::new();
    let mut most = 0;
    for step in 0..4000u32 {
        let key = (random.below(300) as u16).to_be_bytes();
        if random.chance(3) {
            store.set(&[], &[(&key, None)], false).unwrap();
            state.remove(&key[..]);
        } else {
            let value = vec![step as u8; random.below(200) as usize];
            store.set(&[], &[(&key, Some(&value))], step % 50 == 0).unwrap();
            state.insert(key.to_vec(), value);
        }
        most = most.max(store.size_bytes());
        if step % 500 == 0 {
            let disk = directory.disk(|disk| disk.after_kill());
            let mut again = FileStore::open_with(SimDirectory::new(disk), options).unwrap();
            assert_eq!(again.entries(b"", b"").unwrap(), state, "step {step}");
        }
    }
    let live: usize = state.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(most < 2 * live as u64 + (16 << 10), "{most} bytes at most, {live} live");
    assert_eq!(store.entries(b"", b"").unwrap(), state);
}

#[test]
fn a_damaged_record_is_not_copied_and_its_segment_stays() {
    let options = Options { min_garbage_bytes: 1 << 10, min_segment_bytes: 2 << 10, ..OPTIONS };
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    for step in 0..14u8 {
        store.set(&[], &[(&[step], Some(&[step; 100]))], true).unwrap();
    }
    let name = segments(&directory.disk(|disk| disk.clone())).remove(0);
    // The value of the first step.
    directory.disk(|disk| disk.edit(&name, |bytes| bytes[64 + 32 + 64 + 6 + 1 + 50] ^= 1));
    for round in 0..400u32 {
        store.set(&[], &[(&[1 + (round % 13) as u8], Some(&[round as u8; 100]))], true).unwrap();
    }
    let names = segments(&directory.disk(|disk| disk.clone()));
    assert!(names.contains(&name), "{names:?}");
    assert!(names.len() < 12, "the others are collected: {names:?}");
    let value = FileReader::open(&directory).unwrap().unwrap().value(&[0]).unwrap().unwrap();
    assert_eq!(value.iter().filter(|&&byte| byte != 0).count(), 1, "the reader's checksum finds it");
}
