//! Counts of calls one after another: what a round trip to a store at a distance is multiplied with. The
//! engine makes one call at a time, so each is a round.

use crate::fixture::{CREATE, WRITE, open_volume, read, write};
use crate::store::{Calls, LARGE, TestStore};
use kvfs::{Access, At, Descriptor, Follow, Mode, OpenFlags, Options, Volume};

/// A directory of `files` small files, a path of four names, and a large directory on a path.
fn filled(files: usize) -> TestStore {
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open_volume(&store, Options { mode: Mode::Lazy, ..Options::default() });
    for (number, directory) in ["a", "a/b", "a/b/c", "a/many", "list"].into_iter().enumerate() {
        volume.create_directory_at(&root, directory).unwrap();
        // Inodes of consecutive numbers are read ahead.
        write(&mut volume, &root, &format!("between {number}"), b"");
    }
    write(&mut volume, &root, "a/b/c/d", b"small");
    write(&mut volume, &root, "between", b"");
    write(&mut volume, &root, "a/b/c/e", b"small");
    for number in 0..files {
        write(&mut volume, &root, &format!("list/{number:05}"), b"listed");
        write(&mut volume, &root, &format!("a/many/{number:05}"), b"one of many");
    }
    volume.sync_all().unwrap();
    store
}

fn rounds<T>(store: &TestStore, act: impl FnOnce() -> T) -> u64 {
    calls(store, act).total()
}

fn calls<T>(store: &TestStore, act: impl FnOnce() -> T) -> Calls {
    store.reset_calls();
    drop(act());
    store.calls()
}

fn open(volume: &mut Volume, root: &Descriptor, path: &str) -> Descriptor {
    volume.open_at(root, path, Follow::Yes, OpenFlags::default(), Access { read: true, ..WRITE }).unwrap()
}

#[test]
fn a_path_costs_a_round_for_each_name_that_is_not_in_memory_and_one_more() {
    let store = filled(300);
    let (mut volume, root) = open_volume(&store, Options::default());
    assert!(rounds(&store, || open(&mut volume, &root, "a/b/c/d")) <= 5);
    // All of it is in memory then.
    assert_eq!(rounds(&store, || open(&mut volume, &root, "a/b/c/d")), 0);
    // The directory is read whole when a second name of it is looked up.
    assert_eq!(rounds(&store, || open(&mut volume, &root, "a/b/c/e")), 2);
    assert_eq!(rounds(&store, || volume.stat_at(&root, "a/b/c/f", Follow::Yes).unwrap_err()), 0);

    // A large directory makes it no longer, and its names are looked up alone.
    let (mut volume, root) = open_volume(&store, Options::default());
    assert!(rounds(&store, || open(&mut volume, &root, "a/many/00007")) <= 4);
    assert_eq!(rounds(&store, || open(&mut volume, &root, "a/many/00200")), 2);
    assert_eq!(rounds(&store, || volume.stat_at(&root, "a/many/none", Follow::Yes).unwrap_err()), 1);
}

#[test]
fn a_path_through_a_directory_that_was_listed_is_no_longer() {
    let store = filled(10);
    let (mut volume, root) = open_volume(&store, Options::default());
    let listing = volume.read_directory(&root).unwrap();
    volume.close_directory(listing).unwrap();
    assert!(rounds(&store, || open(&mut volume, &root, "a/b/c/d")) <= 5);
}

#[test]
fn a_small_file_comes_with_its_inode() {
    let store = filled(10);
    let (mut volume, root) = open_volume(&store, Options::default());
    let file = open(&mut volume, &root, "a/b/c/d");
    let mut bytes = Vec::new();
    assert_eq!(rounds(&store, || volume.read(&file, 0, 100, &mut bytes).unwrap()), 0);
    assert_eq!(bytes, b"small");
    volume.close(file).unwrap();
    assert_eq!(rounds(&store, || read(&mut volume, &root, "a/b/c/d").unwrap()), 0);
}

#[test]
fn a_listing_with_the_attributes_of_its_files_costs_a_few_rounds_for_each_page() {
    for files in [100, 1000, 5000] {
        let store = filled(files);
        let (mut volume, root) = open_volume(&store, Options::default());
        let list = open_directory(&mut volume, &root, "list");
        let mut found = 0;
        let made = calls(&store, || {
            let mut listing = volume.read_directory(&list).unwrap();
            while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
                let name = entry.name.to_string();
                volume.stat_at(&list, &name, Follow::No).unwrap();
                found += 1;
            }
        });
        assert_eq!(found, files);
        let pages = files as u64 / 1024 + 1;
        assert!(made.total() <= 2 * pages + 6, "{files}: {made:?}");
    }
}

fn open_directory(volume: &mut Volume, root: &Descriptor, path: &str) -> Descriptor {
    let flags = OpenFlags { directory: true, ..OpenFlags::default() };
    volume.open_at(root, path, Follow::Yes, flags, Access::default()).unwrap()
}

#[test]
fn a_sequential_reader_asks_for_more_with_each_call() {
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open_volume(&store, Options::default());
    const BYTES: u64 = 8 << 20;
    let file = volume.open_at(&root, "large", Follow::No, CREATE, WRITE).unwrap();
    for at in (0..BYTES).step_by(1 << 20) {
        volume.write(&file, At::Offset(at), &vec![7; 1 << 20]).unwrap();
    }
    volume.close(file).unwrap();
    drop(volume);
    let (mut volume, root) = open_volume(&store, Options::default());
    let file = open(&mut volume, &root, "large");
    let made = rounds(&store, || {
        let (mut at, mut bytes) = (0, Vec::new());
        while at < BYTES {
            bytes.clear();
            at += volume.read(&file, at, 64 << 10, &mut bytes).unwrap() as u64;
        }
    });
    println!("8 MiB in reads of 64 KiB: {made} rounds");
    assert!(made <= 40, "{made}");
}
