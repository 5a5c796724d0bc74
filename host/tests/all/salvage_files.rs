//! Salvage of a store in a directory: killed at any moment, without anything to salvage, and beside
//! a program that has the store open.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kvfs_host::{Durability, FileStore, FileStoreReader, OpenError, SyncStore};
use kvfs_store_rig::Random;

use crate::redb_files::{child, path_of_child};
use crate::{value_of, write};

const ENTRIES: u32 = 300;

fn value(number: u32) -> Vec<u8> {
    vec![number as u8; 500 + number as usize * 31 % 9000]
}

/// Makes a store whose newest segment is damaged in the middle.
fn damaged_store(path: &Path) {
    let store = FileStore::open(path).unwrap();
    for number in 0..ENTRIES {
        let level = if number % 50 == 49 { Durability::Durable } else { Durability::Buffered };
        write(&store, &[(&number.to_be_bytes(), &value(number))], level).unwrap();
    }
    drop(store);
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|kind| kind == "kvfs"));
    let largest = segments.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    // Longer than a record, so that the head of one is among them.
    bytes[middle..middle + 20_000].fill(0x5A);
    fs::write(&largest, bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Returns the entries that are right.
fn right(store: &dyn SyncStore) -> BTreeSet<u32> {
    (0..ENTRIES)
        .filter(|number| value_of(store, &number.to_be_bytes()).is_some_and(|found| found == value(*number)))
        .collect()
}

fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
#[ignore = "run by a_salvage_that_is_killed_at_any_moment_leaves_the_old_store_or_the_new_one"]
fn child_salvages() {
    FileStore::salvage(path_of_child()).unwrap();
}

#[test]
fn a_salvage_that_is_killed_at_any_moment_leaves_the_old_store_or_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let (origin, path) = (directory.path().join("origin"), directory.path().join("store"));
    damaged_store(&origin);
    let damage = FileStoreReader::open(&origin).map(drop).unwrap_err();
    assert!(matches!(damage, OpenError::Damaged { .. }), "{damage}");
    let reset = || {
        for name in names(directory.path()).iter().filter(|name| *name != "origin") {
            fs::remove_dir_all(directory.path().join(name)).unwrap();
        }
        copy(&origin, &path);
    };
    let start = || {
        let mut command = child("salvage_files::child_salvages", &path, None);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    reset();
    let begun = Instant::now();
    assert!(start().wait().unwrap().success());
    let whole = begun.elapsed();
    let expected = right(&FileStore::open(&path).unwrap());
    assert!(expected.len() < ENTRIES as usize && expected.len() > 200, "{}", expected.len());

    let mut random = Random::new(5);
    let (mut old, mut new, mut between, mut leftovers) = (0, 0, 0, 0);
    for round in 0..120 {
        reset();
        let mut salvaging = start();
        // Most of the time passes before the first call of the store; the last kills are near the
        // end, where the renames are.
        let within = if round % 2 == 0 { (40, 60) } else { (80, 30) };
        let percent = within.0 + random.below(within.1);
        std::thread::sleep(whole * percent as u32 / 100);
        salvaging.kill().unwrap();
        salvaging.wait().unwrap();
        let found = names(directory.path());
        leftovers += usize::from(found.iter().any(|name| name.contains(".repairing-")));
        between += usize::from(!path.exists());
        match FileStore::open(&path) {
            Ok(store) => {
                new += 1;
                assert_eq!(right(&store), expected, "{found:?}");
                drop(store);
                assert!(names(directory.path()).iter().any(|name| name.contains(".damaged-")), "{found:?}");
            }
            Err(OpenError::Damaged { .. }) => {
                old += 1;
                // The next salvage gets as far as the first, and removes what was left.
                FileStore::salvage(&path).unwrap();
                assert_eq!(right(&FileStore::open(&path).unwrap()), expected, "{found:?}");
            }
            Err(error) => panic!("{found:?}: {error}"),
        }
        let left = names(directory.path());
        assert!(
            !left.iter().any(|name| name.contains(".repairing-") || name.contains(".repaired")) || new > 0,
            "{left:?}"
        );
    }
    println!("old {old}, new {new}, between the renames {between}, with leftovers {leftovers}");
    assert!(old > 5 && new > 0 && leftovers > 0, "old {old}, new {new}, with leftovers {leftovers}");
}

#[test]
fn a_salvage_cut_off_between_its_renames_is_completed_by_the_next_opener() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    damaged_store(&path);
    FileStore::salvage(&path).unwrap();
    let expected = right(&FileStore::open(&path).unwrap());
    fs::rename(&path, directory.path().join("store.repaired")).unwrap();
    // A reader finds it there and changes nothing.
    assert_eq!(right(&FileStoreReader::open(&path).unwrap()), expected);
    assert!(!path.exists());
    assert_eq!(right(&FileStore::open(&path).unwrap()), expected);
    assert!(path.exists() && !directory.path().join("store.repaired").exists());
}

#[test]
fn a_salvage_that_finds_nothing_fails_and_leaves_everything_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    damaged_store(&path);
    for entry in fs::read_dir(&path).unwrap() {
        let file = entry.unwrap().path();
        let length = fs::metadata(&file).unwrap().len();
        fs::write(&file, vec![0x5A; length as usize]).unwrap();
    }
    let files = || {
        let names = names(&path).into_iter().filter(|name| !name.ends_with(".lease"));
        names.map(|name| (fs::read(path.join(&name)).unwrap(), name)).collect::<Vec<_>>()
    };
    let before = files();
    let error = FileStore::salvage(&path).unwrap_err();
    assert!(matches!(error, OpenError::NothingLeft { .. }), "{error}");
    assert!(error.to_string().contains("left as it was"), "{error}");
    assert_eq!(names(directory.path()).len(), 1, "{:?}", names(directory.path()));
    // All but the lease: a salvage shuts out other openers.
    assert!(files() == before, "{:?}", names(&path));
}

/// Writes numbered keys and prints those that were acknowledged, until it is killed. Stops to think
/// now and then, as otherwise no salvage comes to its end.
#[test]
#[ignore = "run by nothing_that_a_program_stores_beside_a_salvage_is_lost"]
fn child_writes() {
    let mut out = std::io::stdout().lock();
    let mut opened = None;
    for number in 0u32.. {
        if number % 256 == 255 {
            std::thread::sleep(Duration::from_millis(100));
        }
        let store = match opened.take() {
            Some(store) => store,
            None => match FileStore::open(path_of_child()) {
                Ok(store) => store,
                // Between two renames, or in the middle of a salvage.
                Err(_) => continue,
            },
        };
        let level = if number % 3 == 0 { Durability::Durable } else { Durability::Buffered };
        if write(&store, &[(&number.to_be_bytes(), b"stored")], level).is_ok() {
            writeln!(out, "stored {number}").unwrap();
            opened = Some(store);
        }
    }
}

#[test]
fn nothing_that_a_program_stores_beside_a_salvage_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    drop(FileStore::open(&path).unwrap());
    let mut writing = child("salvage_files::child_writes", &path, None)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writing.stdout.take().unwrap()).lines();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let reading = std::thread::spawn(move || {
        let numbers = lines.map_while(Result::ok);
        let numbers = numbers.filter_map(|line| line.strip_prefix("stored ")?.parse::<u32>().ok());
        let counted = numbers.inspect(|_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        counted.collect::<Vec<_>>()
    });
    let (mut done, mut refused) = (0_u64, 0);
    let until = Instant::now() + Duration::from_secs(60);
    while (done < 4 || count.load(Ordering::Relaxed) <= 100) && Instant::now() < until {
        // The more salvages were made, the more room has the program beside.
        std::thread::sleep(Duration::from_millis(7 + 10 * done));
        match FileStore::salvage(&path) {
            Ok(_) => done += 1,
            Err(_) => refused += 1,
        }
    }
    writing.kill().unwrap();
    writing.wait().unwrap();
    let stored = reading.join().unwrap();
    println!("{done} salvages, {refused} refused, {} applies", stored.len());
    let store = FileStore::open(&path).unwrap();
    let lost: Vec<_> =
        stored.iter().filter(|number| value_of(&store, &number.to_be_bytes()).is_none()).collect();
    assert!(lost.is_empty(), "lost {} of {}, such as {:?}", lost.len(), stored.len(), lost.first());
    assert!(done > 0 && stored.len() > 100, "{done} salvages, {refused} refused, {} applies", stored.len());
}
