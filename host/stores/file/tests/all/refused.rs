//! Records that were refused, or are in doubt: none counts later, and none that counts is lost.

use crate::disk::{Disk, SimDirectory};
use crate::steered::{Moment, Steered};
use kvfs_file_store::{Directory, FileStore, IoError, IoKind, Options, StoreError};
use kvfs_store_rig::{Calls, Random, State};
use std::cell::Cell;
use std::rc::Rc;

const OPTIONS: Options = Options { reserve_bytes: 256, ..Options::DEFAULT };

/// The flag of the record that ends copies.
const FLAG_END: u32 = 4;

fn open(disk: Disk) -> FileStore<SimDirectory> {
    FileStore::open_with(SimDirectory::new(disk), OPTIONS).unwrap()
}

fn entries(disk: Disk) -> State {
    open(disk).entries(b"", b"").unwrap()
}

fn state(pairs: &[(&[u8], &[u8])]) -> State {
    pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn fails() -> IoError {
    IoError::new(IoKind::Other, "reported as failed")
}

#[test]
fn a_write_that_is_reported_as_failed_counts_if_all_of_it_is_there() {
    let directory = SimDirectory::new(Disk::default());
    let steered = Steered::new(&directory);
    let mut store = FileStore::open_with(steered.clone(), OPTIONS).unwrap();
    steered.at(
        |moment| if matches!(moment, Moment::Wrote(..)) && moment.puts(b"a") { Err(fails()) } else { Ok(()) },
    );
    store.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
    store.set(&[(b"a", Some(b"1"))], &[(b"b", Some(b"2"))], true).unwrap();
    let mut random = Random::new(1);
    for _ in 0..50 {
        let disk = directory.disk(|disk| disk.after_crash(&mut random));
        assert_eq!(entries(disk), state(&[(b"a", b"1"), (b"b", b"2")]));
    }
}

#[test]
fn no_crash_completes_a_write_that_failed_in_the_middle() {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    store.set(&[], &[(b"base", Some(b"0"))], true).unwrap();
    // The missing part of the record is zeros, as holes are and parts of other records.
    directory.disk(|disk| disk.fail = Some(("write half", IoKind::NoSpace)));
    assert_eq!(store.set(&[], &[(b"refused", Some(&[0; 700]))], false), Err(StoreError::QuotaExceeded));
    directory.disk(|disk| disk.fail = None);
    store.set(&[], &[(b"b", Some(b"1"))], false).unwrap();
    store.set(&[], &[(b"c", Some(&[0; 900]))], false).unwrap();
    let mut random = Random::new(2);
    for round in 0..2000 {
        let found = entries(directory.disk(|disk| disk.after_crash(&mut random)));
        assert!(!found.contains_key(&b"refused"[..]), "crash {round}");
        assert!(found.contains_key(&b"b"[..]) || !found.contains_key(&b"c"[..]), "crash {round}");
    }
}

/// A writer that is overtaken in the middle of the apply of the key `late`, and its disk.
struct Overtaken {
    directory: SimDirectory,
    result: Result<(), StoreError>,
}

/// Lets another opener put the key `newer` between the last look at the lease and the write, or
/// between the write and the next look.
fn overtaken(before: bool, guards: &'static [(&'static [u8], Option<&'static [u8]>)]) -> Overtaken {
    let directory = SimDirectory::new(Disk::default());
    let steered = Steered::new(&directory);
    let mut store = FileStore::open_with(steered.clone(), OPTIONS).unwrap();
    store.set(&[], &[(b"base", Some(b"0"))], true).unwrap();
    let (other, done) = (directory.clone(), Rc::new(Cell::new(false)));
    steered.at(move |moment| {
        let now =
            if before { matches!(moment, Moment::Writes(..)) } else { matches!(moment, Moment::Wrote(..)) };
        if now && moment.puts(b"late") && !done.replace(true) {
            let mut newer = FileStore::open_with(other.clone(), OPTIONS).unwrap();
            newer.set(&[], &[(b"newer", Some(b"1"))], false).unwrap();
        }
        Ok(())
    });
    let result = store.set(guards, &[(b"late", Some(b"2"))], false);
    Overtaken { directory, result }
}

#[test]
fn a_record_that_a_newer_opener_did_not_find_counts_under_no_crash() {
    let base = state(&[(b"base", b"0")]);
    let refused = overtaken(true, &[(b"newer", None)]);
    assert_eq!(refused.result, Err(StoreError::Conflict));
    let again = overtaken(true, &[]);
    assert_eq!(again.result, Ok(()));
    for directory in [refused.directory, again.directory] {
        // The crash loses all names of the newer openers, and what nobody synced last.
        for lost_writes in 0..3 {
            let disk = directory.disk(|disk| disk.after_losing(lost_writes));
            assert_eq!(entries(disk), base, "{lost_writes} lost writes");
        }
    }
}

#[test]
fn a_record_that_a_newer_opener_found_is_acknowledged_once() {
    let Overtaken { directory, result } = overtaken(false, &[(b"late", None)]);
    assert_eq!(result, Ok(()));
    let expected = state(&[(b"base", b"0"), (b"late", b"2"), (b"newer", b"1")]);
    assert_eq!(entries(directory.disk(|disk| disk.after_kill())), expected);
}

#[test]
fn a_sync_without_changes_spares_a_record_in_doubt() {
    let directory = SimDirectory::new(Disk::default());
    let steered = Steered::new(&directory);
    let mut store = FileStore::open_with(steered.clone(), OPTIONS).unwrap();
    store.set(&[], &[(b"base", Some(b"0"))], false).unwrap();
    let other = directory.clone();
    steered.at(move |moment| {
        if matches!(moment, Moment::Wrote(..)) && moment.puts(b"late") {
            let mut newer = FileStore::open_with(other.clone(), OPTIONS).unwrap();
            newer.set(&[], &[(b"newer", Some(b"1"))], true).unwrap();
            // Its writer cannot find out what became of the record.
            other.disk(|disk| disk.fail = Some(("create", IoKind::Other)));
        }
        Ok(())
    });
    assert_eq!(store.set(&[], &[(b"late", Some(b"2"))], false), Err(StoreError::UnknownOutcome));
    let expected = state(&[(b"base", b"0"), (b"late", b"2"), (b"newer", b"1")]);
    assert_eq!(store.set(&[], &[], true), Ok(()));
    directory.disk(|disk| disk.fail = None);
    assert_eq!(entries(directory.disk(|disk| disk.after_kill())), expected);
    store.set(&[(b"late", Some(b"2"))], &[(b"base", None)], true).unwrap();
}

#[test]
fn copies_whose_end_is_reported_as_failed_count_at_once_or_never() {
    // Enough garbage for a collection.
    let options = Options { min_garbage_bytes: 1 << 10, ..OPTIONS };
    for whole in [true, false] {
        let directory = SimDirectory::new(Disk::default());
        let steered = Steered::new(&directory);
        let mut store = FileStore::open_with(steered.clone(), options).unwrap();
        let (other, ends) = (directory.clone(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&ends);
        steered.at(move |moment| match moment {
            Moment::Wrote(..) if moment.flags() & FLAG_END != 0 && whole => {
                counted.set(counted.get() + 1);
                // A journal may keep the name of the copy, and lose that it was removed.
                other.sync().unwrap();
                Err(fails())
            }
            Moment::Writes(..) if moment.flags() & FLAG_END != 0 => {
                counted.set(counted.get() + 1);
                other.sync().unwrap();
                other.disk(|disk| disk.fail = Some(("write half", IoKind::Other)));
                Ok(())
            }
            _ => {
                other.disk(|disk| disk.fail = None);
                Ok(())
            }
        });
        for step in 0..60u8 {
            store.set(&[], &[(b"a", Some(&[step; 100]))], true).unwrap();
            let _ = store.end();
            for lost_writes in 0..3 {
                let found = entries(directory.disk(|disk| disk.after_losing(lost_writes)));
                assert_eq!(found, state(&[(b"a", &[step; 100])]), "step {step}, {lost_writes} lost writes");
            }
        }
        assert!(ends.get() > 1, "{} copies", ends.get());
    }
}

#[test]
fn an_overtaken_writer_removes_no_table_that_others_list() {
    let options =
        Options { max_recent_changes: 20, max_cache_bytes: 0, min_segment_bytes: 1 << 20, ..OPTIONS };
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    // Enough that a table has more than its root.
    for step in 0..1200u32 {
        store.set(&[], &[(&step.to_be_bytes(), Some(&[7; 20]))], false).unwrap();
    }
    let tables = |disk: &Disk| -> Vec<_> {
        disk.names().into_iter().filter(|name| name.ends_with(".table")).collect()
    };
    store.set(&[], &[], true).unwrap();
    for overtaken in [false, true] {
        let mut newer = overtaken.then(|| FileStore::open_with(directory.clone(), options).unwrap());
        if let Some(newer) = &mut newer {
            newer.set(&[], &[(b"newer", Some(b"1"))], true).unwrap();
        }
        let before = directory.disk(|disk| tables(disk));
        let flip = |at: usize| {
            directory.disk(|disk| before.iter().for_each(|name| disk.edit(name, |bytes| bytes[at] ^= 1)));
        };
        flip(40);
        assert_eq!(store.entries(b"", b"").unwrap().len(), 1200 + usize::from(overtaken));
        assert_eq!(store.rebuilt(), 1 + u64::from(overtaken));
        flip(40);
        store.set(&[], &[], true).unwrap();
        if overtaken {
            assert_eq!(directory.disk(|disk| tables(disk)), before);
        }
        let disk = directory.disk(|disk| disk.after_kill());
        let mut again = FileStore::open_with(SimDirectory::new(disk), options).unwrap();
        assert_eq!(again.entries(b"", b"").unwrap().len(), 1200 + usize::from(overtaken));
        assert_eq!(again.rebuilt(), 0, "overtaken: {overtaken}");
        // The tables that nobody uses any more go with the next checkpoint.
        if !overtaken {
            for _ in 0..40 {
                store.set(&[], &[(&0u32.to_be_bytes(), Some(b"1"))], true).unwrap();
            }
            let after = directory.disk(|disk| tables(disk));
            assert!(after.iter().all(|name| !before.contains(name)), "{before:?}, then {after:?}");
        }
    }
}

#[test]
fn a_file_in_the_way_of_the_next_number_stops_no_checkpoint_and_no_roll() {
    let options = Options { max_recent_changes: 20, min_segment_bytes: 2 << 10, ..OPTIONS };
    for kind in ["table", "kvfs"] {
        let directory = SimDirectory::new(Disk::default());
        let mut store = FileStore::open_with(directory.clone(), options).unwrap();
        let mut expected = State::new();
        for step in 0..300u32 {
            if step % 100 == 50 {
                // As one that could not be removed.
                let newest =
                    directory.disk(|disk| disk.names()).into_iter().filter(|it| it.ends_with(".lease"));
                let newest = newest.max().and_then(|name| u64::from_str_radix(&name[..16], 16).ok()).unwrap();
                directory.disk(|disk| disk.put_file(&format!("{:016x}.{kind}", newest + 1), b"left over"));
            }
            store.set(&[], &[(&step.to_be_bytes(), Some(&[7; 40]))], step % 10 == 0).unwrap();
            expected.insert(step.to_be_bytes().to_vec(), vec![7; 40]);
        }
        let names = directory.disk(|disk| disk.names());
        let count = |end: &str| names.iter().filter(|name| name.ends_with(end)).count();
        assert!(count(".table") > 0 && count(".kvfs") > 5, "{kind}: {names:?}");
        assert_eq!(store.entries(b"", b"").unwrap(), expected);
        let disk = directory.disk(|disk| disk.after_kill());
        assert_eq!(entries(disk), expected);
    }
}

#[test]
fn an_opener_that_removes_a_table_in_the_making_costs_nobody_anything() {
    let options = Options { max_recent_changes: 20, ..OPTIONS };
    let directory = SimDirectory::new(Disk::default());
    let steered = Steered::new(&directory);
    let mut store = FileStore::open_with(steered.clone(), options).unwrap();
    let (other, removed) = (directory.clone(), Rc::new(Cell::new(0)));
    let counted = Rc::clone(&removed);
    steered.at(move |moment| {
        if let Moment::Created(name) = moment
            && name.ends_with(".table")
        {
            let mut newer = FileStore::open_with(other.clone(), options).unwrap();
            newer.set(&[], &[(b"newer", Some(name.as_bytes()))], true).unwrap();
            let gone = other.disk(|disk| !disk.names().iter().any(|it| it == name));
            counted.set(counted.get() + u32::from(gone));
        }
        Ok(())
    });
    let mut random = Random::new(3);
    for step in 0..100u8 {
        store.set(&[], &[(&[step], Some(&[step; 30]))], false).unwrap();
        for crash in [false, true] {
            let disk =
                directory.disk(|disk| if crash { disk.after_crash(&mut random) } else { disk.after_kill() });
            let mut again = FileStore::open_with(SimDirectory::new(disk), options).unwrap();
            let mut found = again.entries(b"", b"").unwrap();
            found.remove(&b"newer"[..]);
            let first: Vec<_> = (0..found.len() as u8).map(|step| vec![step]).collect();
            assert_eq!(found.into_keys().collect::<Vec<_>>(), first, "step {step}, crash {crash}");
            assert!(crash || first.len() == usize::from(step) + 1, "step {step}");
            assert!(crash || again.rebuilt() == 0, "step {step}");
        }
    }
    assert!(removed.get() > 2, "{} tables in the making were removed", removed.get());
}
