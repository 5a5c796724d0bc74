//! Segments that end at a size: what counts of them after a crash, and what is collected.

use crate::disk::{Disk, SimDirectory};
use crate::steered::{Moment, Steered};
use kvfs_file_store::{FileReader, FileStore, IoError, IoKind, Options, StoreError};
use kvfs_store_rig::{Calls, Random, State};
use std::cell::Cell;
use std::rc::Rc;

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

#[test]
fn a_collection_takes_little_of_each_call() {
    let options = Options { min_garbage_bytes: 64 << 10, min_segment_bytes: 1 << 20, ..OPTIONS };
    let directory = SimDirectory::new(Disk::default());
    let steered = Steered::new(&directory);
    let mut store = FileStore::open_with(steered.clone(), options).unwrap();
    let written = Rc::new(Cell::new(0));
    let counted = Rc::clone(&written);
    steered.at(move |moment| {
        if let Moment::Wrote(name, bytes) = moment
            && name.ends_with(".kvfs")
        {
            counted.set(counted.get() + bytes.len());
        }
        Ok(())
    });
    let mut random = Random::new(5);
    let (mut longest, mut all, mut copied_in) = (0, 0, 0);
    const VALUE_BYTES: usize = 4 << 10;
    for step in 0..6000u32 {
        let key = (random.below(1000) as u16).to_be_bytes();
        written.set(0);
        store.set(&[], &[(&key, Some(&vec![step as u8; VALUE_BYTES]))], false).unwrap();
        longest = longest.max(written.get());
        all += written.get();
        copied_in += u32::from(written.get() > 2 * VALUE_BYTES);
    }
    // 128 KiB, to the end of a record, which may be as long again.
    assert!(longest < (256 << 10) + 3 * VALUE_BYTES, "{longest} bytes in one call");
    assert!(copied_in > 50, "{copied_in} calls copied");
    let amplification = all as f64 / (6000.0 * VALUE_BYTES as f64);
    assert!(amplification < 1.5, "each byte is written {amplification:.2} times");
    assert!(store.size_bytes() < 10 << 20, "{} bytes for 4 MiB", store.size_bytes());
}

#[test]
fn every_cut_of_a_collection_in_steps_leaves_the_same_keys() {
    let options = Options { min_garbage_bytes: 1 << 10, min_segment_bytes: 2 << 10, ..OPTIONS };
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    let mut states = vec![State::new()];
    directory.disk(|disk| disk.cuts = Some(Vec::new()));
    let mut random = Random::new(11);
    for step in 0..150u32 {
        let key = vec![random.below(12) as u8];
        let mut state = states[states.len() - 1].clone();
        if random.chance(4) {
            store.set(&[], &[(&key, None)], false).unwrap();
            state.remove(&key);
        } else {
            let value = vec![step as u8; 60 + random.below(200) as usize];
            store.set(&[], &[(&key, Some(&value))], step % 7 == 0).unwrap();
            state.insert(key, value);
        }
        states.push(state);
    }
    let cuts = directory.disk(|disk| disk.cuts.take()).unwrap();
    assert!(cuts.len() > 300, "{} cuts", cuts.len());
    let mut at = 0;
    for (number, cut) in cuts.iter().enumerate() {
        let found = open_with(cut.disk.clone(), options);
        // A kill loses nothing, so states follow each other.
        let next = states[at..].iter().position(|state| *state == found);
        at += next.unwrap_or_else(|| panic!("cut {number}: no state from {at} on: {found:?}"));
        for _ in 0..2 {
            let crashed = open_with(cut.disk.after_crash(&mut random), options);
            assert!(
                states[..states.len().min(at + 2)].contains(&crashed),
                "cut {number}, crashed: no state up to {at}"
            );
        }
    }
    assert!(at + 2 >= states.len(), "the last state is {at} of {}", states.len());
}

fn open_with(disk: Disk, options: Options) -> State {
    FileStore::open_with(SimDirectory::new(disk), options).unwrap().entries(b"", b"").unwrap()
}

#[test]
fn regression_a_segment_whose_last_copies_were_refused_stays() {
    let options = Options { min_garbage_bytes: 1 << 10, min_segment_bytes: 4 << 10, ..OPTIONS };
    let mut most = 0;
    for refused in 1..12u32 {
        let directory = SimDirectory::new(Disk::default());
        let steered = Steered::new(&directory);
        let mut store = FileStore::open_with(steered.clone(), options).unwrap();
        let (writes, copies) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (in_call, counted) = (Rc::clone(&writes), Rc::clone(&copies));
        steered.at(move |moment| {
            if matches!(moment, Moment::Writes(name, _) if name.ends_with(".kvfs")) && moment.flags() == 0 {
                in_call.set(in_call.get() + 1);
                // The first record of a call is its own.
                counted.set(counted.get() + u32::from(in_call.get() > 1));
                if in_call.get() > 1 && counted.get() % 12 == refused {
                    return Err(IoError::new(IoKind::NoSpace, "no room for a copy"));
                }
            }
            Ok(())
        });
        let mut state = State::new();
        for step in 0..600u32 {
            let key = [&b"put"[..], &[(step % 37) as u8, (step % 3) as u8]].concat();
            let value = vec![step as u8; 200];
            writes.set(0);
            if store.set(&[], &[(&key, Some(&value))], false).is_ok() {
                state.insert(key, value);
            }
        }
        assert_eq!(store.entries(b"", b"").unwrap(), state, "copy {refused}");
        let disk = directory.disk(|disk| disk.after_kill());
        assert_eq!(open_with(disk, options), state, "copy {refused}, opened anew");
        most = most.max(copies.get());
    }
    assert!(most > 12, "at most {most} copies in a run");
}
