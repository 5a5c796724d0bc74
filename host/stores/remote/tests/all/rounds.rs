//! Rounds of the engine on a store that writes behind: each is a round trip that its caller waits for, or
//! that goes on beside it.

use std::time::{Duration, Instant};

use kvfs::{Access, At, Clock, Descriptor, Follow, Mode, OpenFlags, Options, Timestamp, Volume};
use kvfs_remote::Pace;
use kvfs_remote::testing::{Delayed, Memory, Rounds};

use crate::near::Near;

type Far = Near<Rounds<Delayed<Memory>>>;

struct NoClock;

impl Clock for NoClock {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 1, nanoseconds: 0 }
    }
}

fn far(delay: Duration) -> Far {
    Near::new(Rounds::new(Delayed::new(Memory::new(), delay)), Pace::DEFAULT)
}

fn open(store: &Far) -> Volume {
    let options = Options { volume: "v".to_owned(), mode: Mode::Close, ..Options::default() };
    Volume::open(Box::new(store.clone()), Box::new(NoClock), options).unwrap()
}

/// Unpacks so many files of 1 KiB into directories of a hundred, as an archive has them.
fn unpack(volume: &mut Volume, files: usize) {
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    for number in 0..files {
        if number % 100 == 0 {
            volume.create_directory_at(&root, &format!("d{}", number / 100)).unwrap();
        }
        let path = format!("d{}/file-{number}", number / 100);
        let file = volume.open_at(&root, &path, Follow::Yes, create, access).unwrap();
        volume.write(&file, At::Offset(0), &[number as u8; 1024]).unwrap();
        volume.close(file).unwrap();
    }
    volume.close(root).unwrap();
}

#[test]
fn unpacking_1000_small_files_takes_at_most_20_rounds() {
    let store = far(Duration::from_millis(1));
    let mut volume = open(&store);
    store.inner().reset();
    let begin = Instant::now();
    unpack(&mut volume, 1000);
    let unpacked = begin.elapsed();
    volume.sync_all().unwrap();
    let (rounds, calls) = (store.inner().rounds(), store.inner().calls());
    println!(
        "{rounds} rounds, {calls} calls; {unpacked:?} until the last close, {:?} until the sync",
        begin.elapsed()
    );
    assert!(rounds <= 20 && calls <= 20, "{rounds} rounds, {calls} calls");
}

#[test]
fn opening_a_volume_again_and_reading_a_file_takes_a_round_for_each_step() {
    let store = far(Duration::from_micros(100));
    unpack(&mut open(&store), 200);
    store.0.close().unwrap();
    let again = Near::new(store.inner().clone(), Pace::DEFAULT);
    again.inner().reset();
    let mut volume = open(&again);
    let opening = again.inner().rounds();
    assert!(opening <= 3, "{opening} rounds");
    let root = volume.root().unwrap();
    again.inner().reset();
    let access = Access { read: true, ..Access::default() };
    let file = volume.open_at(&root, "d1/file-150", Follow::Yes, OpenFlags::default(), access).unwrap();
    let mut bytes = Vec::new();
    volume.read(&file, 0, 4096, &mut bytes).unwrap();
    assert_eq!(bytes, [150; 1024]);
    assert!(again.inner().rounds() <= 3, "{} rounds", again.inner().rounds());
}

/// Opens the volume again, with nothing of it in memory but its root, and counts the rounds of what is
/// done with it.
fn rounds_of(store: &Far, work: impl FnOnce(&mut Volume, &Descriptor, &dyn Fn() -> u64)) {
    let again = Near::new(store.inner().clone(), Pace::DEFAULT);
    let mut volume = open(&again);
    let root = volume.root().unwrap();
    again.inner().reset();
    let rounds = || {
        let rounds = again.inner().rounds();
        again.inner().reset();
        rounds
    };
    work(&mut volume, &root, &rounds);
}

fn open_file(volume: &mut Volume, root: &Descriptor, path: &str) -> Vec<u8> {
    let access = Access { read: true, ..Access::default() };
    let file = volume.open_at(root, path, Follow::Yes, OpenFlags::default(), access).unwrap();
    let mut bytes = Vec::new();
    volume.read(&file, 0, 4096, &mut bytes).unwrap();
    volume.close(file).unwrap();
    bytes
}

/// Lists a directory with the attributes of its files, as `ls -l` does. Returns how many it has.
fn list(volume: &mut Volume, root: &Descriptor, path: &str) -> usize {
    let flags = OpenFlags { directory: true, ..OpenFlags::default() };
    let directory = volume.open_at(root, path, Follow::Yes, flags, Access::default()).unwrap();
    let mut listing = volume.read_directory(&directory).unwrap();
    let mut found = 0;
    while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
        let name = entry.name.to_string();
        volume.stat_at(&directory, &name, Follow::No).unwrap();
        found += 1;
    }
    volume.close_directory(listing).unwrap();
    volume.close(directory).unwrap();
    found
}

#[test]
fn a_cold_path_of_four_names_takes_at_most_5_rounds_and_a_warm_one_none() {
    let store = far(Duration::from_micros(100));
    let mut volume = open(&store);
    let root = volume.root().unwrap();
    for directory in ["a", "a/b", "a/b/c"] {
        volume.create_directory_at(&root, directory).unwrap();
        // Their inodes are not neighbours, which would come together.
        unpack_into(&mut volume, &format!("{directory}/beside"), 40);
    }
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, "a/b/c/d", Follow::Yes, create, access).unwrap();
    volume.write(&file, At::Offset(0), b"small").unwrap();
    volume.close(file).unwrap();
    volume.close(root).unwrap();
    drop(volume);
    store.0.close().unwrap();
    rounds_of(&store, |volume, root, rounds| {
        assert_eq!(open_file(volume, root, "a/b/c/d"), b"small");
        let cold = rounds();
        println!("a/b/c/d: {cold} rounds with its bytes");
        assert!(cold <= 5, "{cold} rounds");
        assert_eq!(open_file(volume, root, "a/b/c/d"), b"small");
        assert_eq!(rounds(), 0);
    });
}

/// Makes a directory of so many small files.
fn unpack_into(volume: &mut Volume, directory: &str, files: usize) {
    let root = volume.root().unwrap();
    volume.create_directory_at(&root, directory).unwrap();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    for number in 0..files {
        let path = format!("{directory}/{number:05}");
        let file = volume.open_at(&root, &path, Follow::Yes, create, access).unwrap();
        volume.write(&file, At::Offset(0), &[number as u8; 100]).unwrap();
        volume.close(file).unwrap();
    }
    volume.close(root).unwrap();
}

#[test]
fn a_listing_with_attributes_takes_a_few_rounds_a_page_and_then_its_files_open_without_one() {
    for files in [100, 3000] {
        let store = far(Duration::from_micros(100));
        unpack_into(&mut open(&store), "many", files);
        store.0.close().unwrap();
        rounds_of(&store, |volume, root, rounds| {
            assert_eq!(list(volume, root, "many"), files);
            let listed = rounds();
            println!("{files} files: {listed} rounds");
            assert!(listed <= 2 * (files as u64 / 1024 + 1) + 6, "{files}: {listed} rounds");
            for number in [0, files / 2, files - 1] {
                let bytes = open_file(volume, root, &format!("many/{number:05}"));
                assert_eq!(bytes, [number as u8; 100]);
                assert_eq!(rounds(), 0, "file {number} of {files}");
            }
        });
    }
}
