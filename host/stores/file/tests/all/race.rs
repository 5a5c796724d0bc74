//! Several openers of one directory, their calls in every order.

use crate::disk::{Disk, SimDirectory, taking_turns};
use crate::steered::{Moment, Steered};
use kvfs_file_store::{FileReader, FileStore, Options, StoreError};
use kvfs_store_rig::{Calls, Handle, Race, Random, State, change, number};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    // Files that others removed stay open. A reader that finds no moment without a change says so:
    // here nobody ever waits.
    may_be_overtaken: |error| matches!(error, StoreError::Unavailable(why) if why.contains("keep")),
    takes_turns: true,
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
fn two_openers_take_turns_and_guards_see_what_the_other_did() {
    let directory = SimDirectory::new(Disk::default());
    let mut first = open(&directory);
    first.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
    let mut second = open(&directory);
    assert_eq!(second.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    first.set(&[(b"a", Some(b"1"))], &[(b"a", Some(b"2"))], false).unwrap();
    let late = second.set(&[(b"a", Some(b"1"))], &[(b"b", Some(b"1"))], true);
    assert_eq!(late, Err(StoreError::Conflict));
    assert_eq!(second.value_of(b"a").unwrap().as_deref(), Some(&b"2"[..]));
    second.set(&[(b"a", Some(b"2"))], &[(b"a", Some(b"3"))], true).unwrap();
    // A guard that fails for what was there before may hold.
    first.set(&[(b"a", Some(b"3"))], &[(b"a", Some(b"4"))], false).unwrap();
    // Guards alone are checked against the newest state too.
    assert_eq!(second.set(&[(b"a", Some(b"3"))], &[], false), Err(StoreError::Conflict));
    second.set(&[(b"a", Some(b"4"))], &[], false).unwrap();
    let mut third = open(&directory);
    assert_eq!(third.value_of(b"a").unwrap().as_deref(), Some(&b"4"[..]));
}

#[test]
fn openers_that_take_turns_for_long_keep_the_store_small_and_each_others_keys() {
    let directory = SimDirectory::new(Disk::default());
    let mut stores: Vec<_> = (0..3).map(|_| open(&directory)).collect();
    let mut random = Random::new(9);
    let mut state = State::new();
    for step in 0..900u32 {
        let who = random.below(3) as usize;
        let key = [who as u8, random.below(40) as u8];
        // Removals too: a collection drops the last trace of some keys.
        let value = (!random.chance(3)).then(|| vec![step as u8; random.below(60) as usize]);
        let old = state.get(&key[..]).cloned();
        stores[who].set(&[(&key, old.as_deref())], &[(&key, value.as_deref())], step % 9 == 0).unwrap();
        change(&mut state, &[(key.to_vec(), value)]);
        // Each sees what it did and what the others did.
        for (reader, store) in stores.iter_mut().enumerate() {
            if reader == who || step % 3 == reader as u32 {
                assert_eq!(store.entries(&[], &[]).unwrap(), state, "step {step}, store {reader}");
                assert_eq!(store.value_of(&key).unwrap(), state.get(&key[..]).cloned(), "step {step}");
            }
        }
        let names = directory.disk(|disk| disk.names().len());
        assert!(names < 60, "{names} files at step {step}");
    }
    let disk = directory.disk(|disk| disk.after_kill());
    assert_eq!(open(&SimDirectory::new(disk)).entries(b"", b"").unwrap(), state);
}

/// A removal goes with its segment once nothing is left that it hides. An opener that slept meanwhile never
/// reads it.
#[test]
fn an_opener_that_slept_knows_of_no_key_whose_removal_was_collected() {
    for writes in 1..60u8 {
        let directory = SimDirectory::new(Disk::default());
        let [mut sleeper, mut first, mut second] = std::array::from_fn(|_| open(&directory));
        sleeper.set(&[], &[(b"key", Some(b"value"))], false).unwrap();
        assert_eq!(sleeper.value_of(b"key").unwrap().as_deref(), Some(&b"value"[..]));
        first.set(&[], &[(b"key", None)], false).unwrap();
        for number in 0..writes {
            let store = if number % 8 == 7 { &mut second } else { &mut first };
            store.set(&[], &[(&[b'b', number % 3], Some(&[number; 300]))], false).unwrap();
        }
        assert_eq!(sleeper.value_of(b"key").unwrap(), None, "after {writes} writes");
        assert!(
            sleeper.set(&[(b"key", Some(b"value"))], &[(b"x", Some(b"y"))], false).is_err(),
            "a guard on what is gone holds after {writes} writes"
        );
    }
}

#[test]
fn a_writer_whose_lease_is_removed_goes_on() {
    for tells_no_names in [false, true] {
        let directory = SimDirectory::new(Disk::default());
        directory.disk(|disk| disk.tells_no_names = tells_no_names);
        let mut older = open(&directory);
        older.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
        if !tells_no_names {
            let is_lease = |name: &&String| name.ends_with(".lease");
            directory.disk(|disk| disk.names().iter().filter(is_lease).for_each(|n| disk.forget(n)));
        }
        let mut newer = open(&directory);
        newer.set(&[], &[(b"b", Some(b"2"))], false).unwrap();
        older.set(&[], &[(b"c", Some(b"3"))], true).unwrap();
        newer.set(&[(b"c", Some(b"3"))], &[(b"a", Some(b"4"))], true).unwrap();
        let expected = [(b"a", b"4"), (b"b", b"2"), (b"c", b"3")].map(|(k, v)| (k.to_vec(), v.to_vec()));
        assert_eq!(open(&directory).entries(b"", b"").unwrap(), State::from(expected));
    }
}

#[test]
fn a_crash_of_openers_that_take_turns_loses_a_suffix() {
    for seed in 0..60 {
        let directory = SimDirectory::new(Disk::default());
        let mut stores: Vec<_> = (0..2).map(|_| open(&directory)).collect();
        let mut random = Random::new(seed);
        let mut durable = 0;
        for step in 0..40u8 {
            let is_durable = random.chance(8);
            let who = random.below(2) as usize;
            stores[who].set(&[], &[(&[step], Some(&[step; 90]))], is_durable).unwrap();
            if is_durable {
                durable = usize::from(step) + 1;
            }
        }
        let disk = directory.disk(|disk| disk.after_crash(&mut random));
        let found = open(&SimDirectory::new(disk)).entries(b"", b"").unwrap();
        assert!(found.len() >= durable, "seed {seed}: {} of {durable} durable steps", found.len());
        let first: Vec<_> = (0..found.len() as u8).map(|step| vec![step]).collect();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), first, "seed {seed}: not a prefix");
    }
}

#[test]
fn a_turn_reads_what_others_appended_and_no_more() {
    let options = Options { max_recent_changes: 1_000, min_segment_bytes: 64 << 10, ..Options::DEFAULT };
    let directory = SimDirectory::new(Disk::default());
    let opened = || FileStore::open_with(directory.clone(), options).unwrap();
    let mut stores = [opened(), opened()];
    let mut state = State::new();
    let mut put = |store: &mut FileStore<SimDirectory>, key: &[u8], length: usize| {
        let value = vec![key.len() as u8; length];
        store.set(&[], &[(key, Some(&value))], false).unwrap();
        state.insert(key.to_vec(), value);
        state.clone()
    };
    for step in 0..800u32 {
        put(&mut stores[0], &step.to_be_bytes(), 300);
    }
    let (mut least, mut most) = (u64::MAX, 0);
    for turn in 0..400u32 {
        let store = &mut stores[1 - turn as usize % 2];
        let before = directory.disk(|disk| disk.read_bytes);
        put(store, &[b't', turn as u8, (turn >> 8) as u8], 20);
        let read = directory.disk(|disk| disk.read_bytes) - before;
        let expected = put(store, b"last", turn as usize % 40);
        if turn > 0 {
            (least, most) = (least.min(read), most.max(read));
        }
        if turn % 20 == 0 {
            assert_eq!(store.entries(b"", b"").unwrap(), expected, "turn {turn}");
            let disk = directory.disk(|disk| disk.after_kill());
            assert_eq!(open(&SimDirectory::new(disk)).entries(b"", b"").unwrap(), expected, "turn {turn}");
        }
    }
    // Now and then a checkpoint or a collection of the other makes it read everything.
    assert!(least < 8 << 10, "{least} bytes in a turn");
    assert!(most > 16 << 10, "{most} bytes in a turn");
}

/// A writer that writes all the time waits for an opener that reads much no longer than for any other.
#[test]
fn an_opener_that_needs_longer_than_a_writer_waits_is_done_beside_it() {
    const MOST_BYTES: usize = 16 << 10;
    let options = Options { max_recent_changes: 10_000, min_segment_bytes: 1 << 20, ..Options::DEFAULT };
    for takes_back in [false, true] {
        let directory = SimDirectory::new(Disk::default());
        let steered = Steered::new(&directory);
        let opened = || FileStore::open_with(steered.clone(), options).unwrap();
        let before = takes_back.then(opened);
        let mut writer = FileStore::open_with(directory.clone(), options).unwrap();
        for step in 0..2000u32 {
            writer.set(&[], &[(&step.to_be_bytes(), Some(&[7; 30]))], false).unwrap();
        }
        let overtaken = Rc::new(Cell::new(0u32));
        let (counted, mut read) = (overtaken.clone(), Some(0));
        steered.at(move |moment| {
            match moment {
                Moment::Created(name) if name.ends_with(".lease") => read = Some(0),
                Moment::Read(bytes) => read = read.map(|read| read + bytes),
                _ => {}
            }
            if read.is_some_and(|read| read > MOST_BYTES) {
                // Once for each time that the opener claims the store.
                read = None;
                counted.set(counted.get() + 1);
                writer.set(&[], &[(b"turns", Some(&counted.get().to_be_bytes()))], false).unwrap();
            }
            Ok(())
        });
        let mut opener = before.unwrap_or_else(opened);
        opener.set(&[], &[(b"mine", Some(b"1"))], false).unwrap();
        steered.at(|_| Ok(()));
        let turns = overtaken.get();
        assert!((1..4).contains(&turns), "it was overtaken {turns} times");
        let entries = opener.entries(b"", b"").unwrap();
        assert_eq!(entries.len(), 2002);
        assert_eq!(entries.get(&b"turns"[..]), Some(&turns.to_be_bytes().to_vec()));
        let left = open(&SimDirectory::new(directory.disk(|disk| disk.after_kill()))).entries(b"", b"");
        assert_eq!(left.unwrap(), entries);
    }
}

#[test]
fn a_read_sees_all_that_others_acknowledged_before_it_and_nothing_that_is_lost() {
    let mut reads = 0;
    for seed in 0..120 {
        let threads = 2 + seed as usize % 3;
        let handles = taking_turns(Disk::default(), threads, seed);
        let acknowledged = AtomicU64::new(0);
        let seen = Handle::run_all(&handles, &format!("seed {seed}"), |handle, thread| {
            let Ok(mut store) = FileStore::open_with(SimDirectory(handle.clone()), OPTIONS) else {
                return (0, BTreeSet::new());
            };
            let (mut read, mut seen) = (0, BTreeSet::new());
            for step in 0..30u64 {
                let least = acknowledged.load(Ordering::SeqCst);
                let Ok(count) = store.value_of(b"count") else { continue };
                let count = count.as_deref().map_or(0, number);
                assert!(count >= least, "step {step} of {thread}: {count} after {least}");
                let Ok(marks) = store.entries(b"mark", b"n") else { continue };
                assert!(marks.len() as u64 >= count, "step {step} of {thread}: {} of {count}", marks.len());
                read += 1;
                seen.extend(marks.into_keys());
                // The last thread only reads.
                if thread + 1 == threads {
                    continue;
                }
                let (old, next) = (count.to_be_bytes(), (count + 1).to_be_bytes());
                let guard = (&b"count"[..], (count > 0).then_some(&old[..]));
                let mark = format!("mark {thread} {step}");
                let pairs = [
                    (&b"count"[..], Some(&next[..])),
                    (mark.as_bytes(), Some(&[][..])),
                    (b"ballast", Some(&[step as u8; 300][..])),
                ];
                if store.set(&[guard], &pairs, step % 7 == 0).is_ok() {
                    acknowledged.fetch_max(count + 1, Ordering::SeqCst);
                }
            }
            (read, seen)
        });
        let mut left = open(&SimDirectory::new(handles[0].look(|disk| disk.after_kill())));
        let marks: BTreeSet<Vec<u8>> = left.entries(b"mark", b"n").unwrap().into_keys().collect();
        for (read, seen) in seen {
            assert!(seen.is_subset(&marks), "seed {seed}: a step that was read is lost");
            reads += read;
        }
    }
    assert!(reads > 5000, "only {reads} reads");
}

#[test]
fn a_reader_behind_a_writer_takes_nothing_from_it_and_reads_only_what_is_new() {
    let options = Options { max_recent_changes: 10_000, min_segment_bytes: 1 << 20, ..Options::DEFAULT };
    let directory = SimDirectory::new(Disk::default());
    let opened = || FileStore::open_with(directory.clone(), options).unwrap();
    let mut reader = opened();
    // Nothing of its own is left to be made durable.
    reader.set(&[], &[], true).unwrap();
    let mut writer = opened();
    let (mut most, mut state) = (0, State::new());
    for step in 0..500u32 {
        writer.set(&[], &[(&step.to_be_bytes(), Some(&[step as u8; 300]))], step % 50 == 0).unwrap();
        state.insert(step.to_be_bytes().to_vec(), vec![step as u8; 300]);
        let before = directory.disk(|disk| (disk.read_bytes, disk.calls));
        let value = reader.value_of(&step.to_be_bytes()).unwrap();
        assert_eq!(value.as_ref(), state.get(&step.to_be_bytes()[..]));
        let after = directory.disk(|disk| (disk.read_bytes, disk.calls));
        assert_eq!(after.1, before.1, "it changes nothing at step {step}");
        if step > 0 {
            most = most.max(after.0 - before.0);
        }
        assert!(writer.is_held().unwrap());
    }
    assert!(most < 4 << 10, "{most} bytes for a step");
    assert_eq!(reader.entries(b"", b"").unwrap(), state);
    // What it makes durable is what it saw, whoever wrote it.
    for round in 0..3u8 {
        writer.set(&[], &[(b"last", Some(&[round]))], false).unwrap();
        reader.set(&[], &[], true).unwrap();
        state.insert(b"last".to_vec(), vec![round]);
        for seed in 0..20 {
            let disk = directory.disk(|disk| disk.after_crash(&mut Random::new(seed)));
            let found = open(&SimDirectory::new(disk)).entries(b"", b"").unwrap();
            assert_eq!(found, state, "round {round}, seed {seed}");
        }
    }
}

#[test]
fn a_reader_finds_the_store_whatever_a_killed_opener_left() {
    for cut in 0..40 {
        let directory = SimDirectory::new(Disk::default());
        let mut reader = open(&directory);
        reader.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
        let mut writer = open(&directory);
        writer.set(&[], &[(b"a", Some(b"2"))], true).unwrap();
        assert_eq!(reader.value_of(b"a").unwrap().as_deref(), Some(&b"2"[..]));
        // A third opener is killed after some of its calls.
        directory.disk(|disk| disk.calls_left = Some(cut));
        let third = FileStore::open_with(directory.clone(), OPTIONS)
            .and_then(|mut third| third.set(&[], &[(b"a", Some(b"3"))], false));
        directory.disk(|disk| disk.calls_left = None);
        let found = reader.value_of(b"a").unwrap().unwrap();
        assert!(found == b"2" || found == b"3", "cut {cut}: {found:?}");
        assert!(third.is_err() || found == b"3", "cut {cut}: an acknowledged change is not seen");
        // All see the same from then on.
        assert_eq!(writer.value_of(b"a").unwrap().as_deref(), Some(&found[..]), "cut {cut}");
        writer.set(&[(b"a", Some(&found))], &[(b"a", Some(b"4"))], false).unwrap();
        assert_eq!(reader.value_of(b"a").unwrap().as_deref(), Some(&b"4"[..]), "cut {cut}");
    }
}
