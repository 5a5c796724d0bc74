//! Counts store calls: the cost of an operation is part of its promise.

use crate::fixture::{CREATE, WRITE, open_volume, write};
use crate::run::TestClock;
use crate::store::{Calls, LARGE, Map, TestStore};
use kvfs::{Access, At, CacheLimits, Descriptor, Follow, OpenFlags, Options, Quota, Volume};
use std::cell::OnceCell;

fn open(store: &TestStore) -> (Volume, Descriptor) {
    open_volume(store, Options::default())
}

fn write_file(volume: &mut Volume, root: &Descriptor, path: &str, bytes: usize) {
    write(volume, root, path, &vec![7; bytes]);
}

/// A store with `files` files in the directory `many`, and a small and a large file beside it.
fn filled(files: usize) -> TestStore {
    let store = TestStore::new(LARGE);
    let lazy = Options { mode: kvfs::Mode::Lazy, ..Options::default() };
    let (mut volume, root) = open_volume(&store, lazy);
    volume.create_directory_at(&root, "many").unwrap();
    for number in 0..files {
        write_file(&mut volume, &root, &format!("many/file-{number:06}"), 100);
    }
    write_file(&mut volume, &root, "small", 1000);
    write_file(&mut volume, &root, "large", 1 << 20);
    volume.sync_all().unwrap();
    store
}

fn hundred_thousand() -> TestStore {
    thread_local!(static MAP: OnceCell<Map> = const { OnceCell::new() });
    let map = MAP.with(|map| map.get_or_init(|| filled(100_000).0.borrow().map.clone()).clone());
    TestStore::from_map(map, LARGE)
}

/// Counts the store calls while `act` runs.
fn cost<T>(store: &TestStore, act: impl FnOnce() -> T) -> Calls {
    store.reset_calls();
    drop(act());
    store.calls()
}

#[test]
fn opening_costs_four_calls_whatever_the_volume_holds() {
    for store in [filled(10), hundred_thousand()] {
        let calls = cost(&store, || {
            let options = Options::default();
            Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), options).unwrap()
        });
        assert_eq!((calls.limits, calls.gets, calls.applies, calls.scans), (1, 1, 1, 1));
        assert_eq!((calls.keys_got, calls.entries_scanned), (2, 0));
    }
}

#[test]
fn a_known_name_and_a_known_missing_one_cost_nothing() {
    let store = filled(10);
    let (mut volume, root) = open(&store);
    let first = cost(&store, || volume.stat_at(&root, "small", Follow::Yes).unwrap());
    assert_eq!(
        (first.scans, first.gets, first.total()),
        (1, 1, 2),
        "the first look reads the directory and the inode"
    );
    assert_eq!(cost(&store, || volume.stat_at(&root, "small", Follow::Yes).unwrap()).total(), 0);
    assert_eq!(
        cost(&store, || volume.stat_at(&root, "none", Follow::Yes).unwrap_err()).total(),
        0,
        "the directory is known whole"
    );

    let store = hundred_thousand();
    let (mut volume, root) = open(&store);
    let first = cost(&store, || volume.stat_at(&root, "many/none", Follow::Yes).unwrap_err());
    assert!(first.total() <= 5, "{first:?}");
    let another = cost(&store, || volume.stat_at(&root, "many/nothing", Follow::Yes).unwrap_err());
    assert_eq!(
        (another.gets, another.total()),
        (1, 1),
        "names of a large directory are looked up one by one"
    );
    assert_eq!(cost(&store, || volume.stat_at(&root, "many/none", Follow::Yes).unwrap_err()).total(), 0);
    assert_eq!(cost(&store, || volume.stat_at(&root, "many/nothing", Follow::Yes).unwrap_err()).total(), 0);
}

#[test]
fn a_small_file_is_made_written_and_closed_with_one_apply() {
    let store = filled(10);
    let (mut volume, root) = open(&store);
    volume.stat_at(&root, "none", Follow::No).unwrap_err();
    for bytes in [0, 1024, 4096, 100_000] {
        let calls = cost(&store, || write_file(&mut volume, &root, &format!("new{bytes}"), bytes));
        assert_eq!((calls.applies, calls.total()), (1, 1), "{bytes}");
        let again = cost(&store, || write_file(&mut volume, &root, &format!("new{bytes}"), bytes));
        assert!(again.total() <= 1, "{bytes}: {again:?}");
    }
}

/// Files are made at the same cost however many there are: in one directory and in a tree, with a
/// quota and without.
#[test]
fn filling_with_100_000_files_stays_flat() {
    const FILES: usize = 100_000;
    const COUNTED: usize = 500;
    for (in_tree, quota) in [(false, false), (false, true), (true, false), (true, true)] {
        let store = TestStore::new(LARGE);
        let most = |number: u64| quota.then_some(number);
        let quota = Quota {
            bytes: most(1 << 30),
            inodes: most(1 << 20),
            names: most(1 << 20),
            file_bytes: most(1 << 20),
        };
        let options =
            Options { quota: Some(quota), max_dirty_age_nanoseconds: u64::MAX, ..Options::default() };
        let (mut volume, root) = open_volume(&store, options);
        let mut counts = Vec::new();
        let path = |number: usize| match in_tree {
            true => format!("d{:03}/{number:06}", number / 500),
            false => format!("{number:06}"),
        };
        for start in (0..FILES).step_by(COUNTED) {
            if in_tree {
                volume.create_directory_at(&root, &format!("d{:03}", start / 500)).unwrap();
            }
            // The log would hold all bytes once more.
            store.0.borrow_mut().log.clear();
            let before = store.0.borrow().map.len();
            let calls = cost(&store, || {
                for number in start..start + COUNTED {
                    write_file(&mut volume, &root, &path(number), 100);
                }
            });
            let mutations: usize = store.0.borrow().log.iter().map(|applied| applied.changes.len()).sum();
            counts.push((calls, mutations, store.0.borrow().map.len() - before));
        }
        // The first files are made before the directory is known to be large.
        for at in [1000, 10_000, FILES - COUNTED] {
            let (calls, mutations, records) = counts[at / COUNTED];
            assert_eq!((calls.applies, calls.scans, records), (COUNTED as u64, 0, 2 * COUNTED), "at {at}");
            assert_eq!((calls, mutations), (counts[1].0, counts[1].1), "at {at}, in a tree: {in_tree}");
        }
        let used = volume.used();
        let directories = if in_tree { 200 } else { 0 };
        assert_eq!((used.inodes, used.names), (100_001 + directories, 100_000 + directories));
    }
}

#[test]
fn name_changes_cost_one_apply_each_and_removals_gather() {
    let store = filled(10);
    let (mut volume, root) = open(&store);
    volume.stat_at(&root, "small", Follow::No).unwrap();
    volume.stat_at(&root, "large", Follow::No).unwrap();
    type Act = fn(&mut Volume, &Descriptor) -> Result<(), kvfs::Error>;
    let acts: [(&str, Act); 5] = [
        ("mkdir", |volume, root| volume.create_directory_at(root, "d")),
        ("link", |volume, root| volume.link_at(root, "small", Follow::No, root, "hard")),
        ("symlink", |volume, root| volume.symlink_at("small", root, "soft")),
        ("rename", |volume, root| volume.rename_at(root, "soft", root, "d/soft")),
        ("rename over", |volume, root| volume.rename_at(root, "hard", root, "large")),
    ];
    let removals: [(&str, Act); 3] = [
        ("unlink", |volume, root| volume.unlink_file_at(root, "d/soft")),
        ("rmdir", |volume, root| volume.remove_directory_at(root, "d")),
        ("unlink of the last name", |volume, root| volume.unlink_file_at(root, "large")),
    ];
    for (name, act) in acts {
        let calls = cost(&store, || act(&mut volume, &root).unwrap());
        assert_eq!((calls.applies, calls.total()), (1, 1), "{name}");
    }
    for (name, act) in removals {
        let calls = cost(&store, || act(&mut volume, &root).unwrap());
        assert_eq!(calls.total(), 0, "{name}");
    }
    let rest = u64::from(kvfs::limits::MAX_GATHERED_REMOVALS);
    for index in 0..rest {
        volume.symlink_at("small", &root, &format!("soft{index}")).unwrap();
    }
    let calls = cost(&store, || {
        for index in 0..rest {
            volume.unlink_file_at(&root, &format!("soft{index}")).unwrap();
        }
    });
    assert_eq!((calls.applies, calls.total()), (1, 1), "{rest} removals");
}

#[test]
fn a_listing_costs_one_scan_per_page_and_reads_no_inodes() {
    let store = hundred_thousand();
    let (mut volume, root) = open(&store);
    let flags = OpenFlags { directory: true, ..OpenFlags::default() };
    let many = volume.open_at(&root, "many", Follow::No, flags, Access::default()).unwrap();
    volume.stat(&many).unwrap();
    let mut entries = 0;
    let calls = cost(&store, || entries = crate::tree::list(&mut volume, &many).unwrap().len());
    assert_eq!(entries, 100_000);
    let pages = 100_000_u64.div_ceil(1024);
    assert!(calls.scans <= pages + 1 && calls.gets == 0 && calls.applies == 0, "{calls:?}");
    let again = cost(&store, || crate::tree::list(&mut volume, &many).unwrap());
    assert!(again.scans <= pages + 1 && again.total() == again.scans, "{again:?}");

    let store = filled(100);
    let (mut volume, root) = open(&store);
    let many = volume.open_at(&root, "many", Follow::No, flags, Access::default()).unwrap();
    volume.stat(&many).unwrap();
    let calls = cost(&store, || crate::tree::list(&mut volume, &many).unwrap());
    assert_eq!((calls.scans, calls.total()), (1, 1));
    assert_eq!(cost(&store, || crate::tree::list(&mut volume, &many).unwrap()).total(), 0);
}

/// What everyone does: `ls -l`, `os.walk`, `find -newer`.
#[test]
fn a_listing_with_a_stat_of_each_entry_asks_for_inodes_once_a_page() {
    let flags = OpenFlags { directory: true, ..OpenFlags::default() };
    for (store, files) in [(filled(1000), 1000_u64), (hundred_thousand(), 100_000)] {
        let (mut volume, root) = open(&store);
        let many = volume.open_at(&root, "many", Follow::No, flags, Access::default()).unwrap();
        let mut sizes = 0;
        let calls = cost(&store, || {
            let mut listing = volume.read_directory(&many).unwrap();
            while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
                sizes += volume.stat_at(&many, &entry.name, Follow::No).unwrap().size;
            }
            volume.close_directory(listing)
        });
        assert_eq!(sizes, 100 * files);
        let pages = files.div_ceil(1024);
        // The first page begins with single inodes.
        assert!(calls.scans <= pages + 1 && calls.gets <= pages + 4, "{files}: {calls:?}");
        assert_eq!((calls.keys_got, calls.total()), (files, calls.scans + calls.gets), "{files}");
    }
}

/// As if the directory had millions of files: the cache holds a few thousand names and inodes.
#[test]
fn directories_far_beyond_the_cache_cost_as_many_calls_and_bounded_memory() {
    const FILES: u64 = 100_000;
    const CACHE: kvfs::CacheLimits = kvfs::CacheLimits::of_bytes(4 << 20);
    let store = hundred_thousand();
    let (mut volume, root) = open_volume(&store, Options { cache: CACHE, ..Options::default() });
    let flags = OpenFlags { directory: true, ..OpenFlags::default() };
    let many = volume.open_at(&root, "many", Follow::No, flags, Access::default()).unwrap();
    let bounded = |volume: &Volume| {
        let (inodes, names, bytes) = volume.memory();
        // One more may come with the operation that follows a trim; a small directory as a whole.
        assert!(inodes <= CACHE.inodes + 2 && names <= CACHE.dentries + 1, "{inodes} inodes, {names} names");
        assert!(bytes <= CACHE.extent_bytes + CACHE.inode_bytes + 4096, "{bytes} bytes");
    };
    let name = |number: u64| format!("file-{number:06}");
    let pages = FILES.div_ceil(1024);
    for round in 0..2 {
        let calls = cost(&store, || {
            let mut listing = volume.read_directory(&many).unwrap();
            while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
                volume.stat_at(&many, &entry.name, Follow::No).unwrap();
                bounded(&volume);
            }
            volume.close_directory(listing)
        });
        // A quarter of the table's limit is read ahead at most.
        let reads = FILES / (CACHE.inodes as u64 / 4) + pages + 4;
        assert!(calls.scans <= pages + 1 && calls.gets <= reads, "round {round}: {calls:?}");
        assert!(calls.applies == 0 && calls.keys_got <= FILES, "round {round}: {calls:?}");
    }
    // Without a listing, each name costs a call. Inodes come many at once in the order of creation.
    let calls = cost(&store, || {
        for number in 20_000..30_000 {
            volume.stat_at(&many, &name(number), Follow::No).unwrap();
            bounded(&volume);
        }
    });
    // The first look at the directory is a scan.
    assert!(calls.scans <= 1 && calls.gets <= 10_000 + 100, "{calls:?}");
    let calls = cost(&store, || {
        for number in (0..10_000).map(|number| number * 48_271 % FILES) {
            volume.stat_at(&many, &name(number), Follow::No).unwrap();
            volume.stat_at(&many, &format!("none-{number}"), Follow::No).unwrap_err();
            bounded(&volume);
        }
    });
    assert!(calls.total() <= 3 * 10_000 && calls.keys_got <= 3 * 10_000, "{calls:?}");
}

/// Names that are evicted leave the greatest one behind.
#[test]
fn names_made_in_order_cost_one_apply_each_beyond_the_cache_too() {
    let cache = kvfs::CacheLimits { dentries: 100, inodes: 100, ..kvfs::CacheLimits::default() };
    let store = TestStore::new(LARGE);
    let options = Options { cache, max_dirty_age_nanoseconds: u64::MAX, ..Options::default() };
    let (mut volume, root) = open_volume(&store, options);
    volume.create_directory_at(&root, "many").unwrap();
    let calls = cost(&store, || {
        for number in 0..2000 {
            write_file(&mut volume, &root, &format!("many/{number:06}"), 100);
        }
    });
    // Now and then the directory's own name is evicted, and read with those beside it.
    assert!(calls.applies == 2000 && calls.gets == 0 && calls.scans <= 2000 / 50, "{calls:?}");
    // A name that was evicted is still found, and a greater one that was removed is not.
    for name in ["many/000000", "many/001999"] {
        assert_eq!(volume.stat_at(&root, name, Follow::No).unwrap().size, 100);
    }
    volume.unlink_file_at(&root, "many/001999").unwrap();
    volume.stat_at(&root, "many/001999", Follow::No).unwrap_err();
    volume.rename_at(&root, "many/000000", &root, "many/1").unwrap();
    for number in 1..1999 {
        assert_eq!(volume.stat_at(&root, &format!("many/{number:06}"), Follow::No).unwrap().size, 100);
    }
    assert_eq!(volume.stat_at(&root, "many/1", Follow::No).unwrap().size, 100);
    volume.stat_at(&root, "many/2", Follow::No).unwrap_err();
}

#[test]
fn a_listing_of_which_few_inodes_are_asked_for_reads_few() {
    let store = hundred_thousand();
    let (mut volume, root) = open(&store);
    let flags = OpenFlags { directory: true, ..OpenFlags::default() };
    let many = volume.open_at(&root, "many", Follow::No, flags, Access::default()).unwrap();
    let names = crate::tree::list(&mut volume, &many).unwrap();
    for at in [0, 50_000, 99_999] {
        let name = &names[at].0;
        let calls = cost(&store, || volume.stat_at(&many, name, Follow::No).unwrap());
        assert_eq!((calls.gets, calls.keys_got, calls.total()), (1, 1, 1), "{at}");
    }
}

#[test]
fn attributes_of_a_file_whose_bytes_were_evicted_cost_nothing() {
    let store = TestStore::new(LARGE);
    let cache = kvfs::CacheLimits { inode_bytes: 64 << 10, ..kvfs::CacheLimits::default() };
    let (mut volume, root) = open_volume(&store, Options { cache, ..Options::default() });
    let path = |number: usize| format!("file-{number:03}");
    (0..500).for_each(|number| write_file(&mut volume, &root, &path(number), 1000));
    let calls = cost(&store, || {
        for number in 0..500 {
            assert_eq!(volume.stat_at(&root, &path(number), Follow::No).unwrap().size, 1000);
        }
    });
    assert_eq!(calls.total(), 0);
    let file = volume.open_at(&root, &path(0), Follow::No, OpenFlags::default(), WRITE).unwrap();
    let mut bytes = Vec::new();
    volume.read(&file, 0, 4096, &mut bytes).unwrap();
    assert_eq!(bytes, [7; 1000]);
}

#[test]
fn reading_costs_one_get_for_missing_extents_and_nothing_for_cached_ones() {
    let store = filled(10);
    let (mut volume, root) = open(&store);
    let file = volume.open_at(&root, "large", Follow::No, OpenFlags::default(), WRITE).unwrap();
    let mut bytes = Vec::new();
    let calls = cost(&store, || volume.read(&file, 0, 1 << 20, &mut bytes).unwrap());
    assert_eq!((calls.gets, calls.total()), (1, 1));
    assert_eq!(cost(&store, || volume.read(&file, 0, 1 << 20, &mut bytes).unwrap()).total(), 0);

    let (mut volume, root) = open(&store);
    let file = volume.open_at(&root, "large", Follow::No, OpenFlags::default(), WRITE).unwrap();
    let calls = cost(&store, || {
        for offset in (0..1 << 20).step_by(4096) {
            volume.read(&file, offset, 4096, &mut bytes).unwrap();
        }
    });
    assert!(calls.gets <= 9 && calls.keys_got == 64, "no read-ahead for a sequential reader: {calls:?}");

    let small = volume.open_at(&root, "small", Follow::No, OpenFlags::default(), WRITE).unwrap();
    assert_eq!(
        cost(&store, || volume.read(&small, 0, 4096, &mut bytes).unwrap()).total(),
        0,
        "its bytes lie in its inode"
    );
}

/// A file that is read or written once, far larger than the cache, does not displace what is used
/// again and again.
#[test]
fn a_long_stream_leaves_in_memory_what_others_use() {
    const MIB: u64 = 1 << 20;
    let store = TestStore::new(LARGE);
    let options = Options {
        cache: CacheLimits { extent_bytes: 4 << 20, ..CacheLimits::default() },
        max_dirty_bytes: 1 << 20,
        max_dirty_age_nanoseconds: u64::MAX,
        ..Options::default()
    };
    let piece = vec![7; MIB as usize];
    let (mut volume, root) = open_volume(&store, options.clone());
    for (name, size_mib) in [("pages", 1), ("stream", 16)] {
        let file = volume.open_at(&root, name, Follow::No, CREATE, WRITE).unwrap();
        for number in 0..size_mib {
            volume.write(&file, At::Offset(number * MIB), &piece).unwrap();
        }
        volume.close(file).unwrap();
    }
    for step in [MIB, 64 << 10, 4 << 10] {
        for writes in [false, true] {
            let (mut volume, root) = open_volume(&store, options.clone());
            let open = |volume: &mut Volume, name| {
                volume.open_at(&root, name, Follow::No, OpenFlags::default(), WRITE).unwrap()
            };
            let (pages, stream) = (open(&mut volume, "pages"), open(&mut volume, "stream"));
            let mut bytes = Vec::new();
            let mut use_pages = |volume: &mut Volume| {
                cost(&store, || {
                    for offset in (0..MIB).step_by(32 << 10) {
                        bytes.clear();
                        volume.read(&pages, offset, 100, &mut bytes).unwrap();
                    }
                })
            };
            use_pages(&mut volume);
            use_pages(&mut volume);
            for number in 0..16 {
                for offset in (number * MIB..(number + 1) * MIB).step_by(step as usize) {
                    if writes {
                        volume.write(&stream, At::Offset(offset), &piece[..step as usize]).unwrap();
                    } else {
                        volume.lend(&stream, offset, step as usize, |_| {}).unwrap();
                    }
                }
                let calls = use_pages(&mut volume);
                assert_eq!(calls.total(), 0, "in pieces of {step} bytes, writes: {writes}, MiB {number}");
            }
        }
    }
}

#[test]
fn reopening_a_stream_and_a_second_sync_cost_nothing() {
    let store = filled(10);
    let (mut volume, root) = open(&store);
    let file = volume.open_at(&root, "small", Follow::No, OpenFlags::default(), WRITE).unwrap();
    volume.write(&file, At::End, b"more").unwrap();
    let calls = cost(&store, || {
        let stream = volume.reopen(&file).unwrap();
        volume.close_stream(stream)
    });
    assert_eq!(calls.total(), 0);
    assert_eq!(cost(&store, || volume.sync_all().unwrap()).applies, 1);
    assert_eq!(cost(&store, || volume.sync_all().unwrap()).total(), 0);
}

#[test]
fn regression_garbage_of_a_sparse_file_costs_two_calls_an_extent() {
    let store = filled(1);
    let (mut volume, root) = open(&store);
    let flags = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, "sparse", Follow::No, flags, access).unwrap();
    for index in 0..20_000_u64 {
        volume.write(&file, At::Offset(index << 33), b"x").unwrap();
    }
    volume.sync(&file).unwrap();
    volume.set_size(&file, 0).unwrap();
    volume.sync(&file).unwrap();
    // Growing over the garbage deletes it first.
    volume.write(&file, At::Offset(1 << 60), b"y").unwrap();
    let calls = cost(&store, || volume.sync(&file).unwrap());
    assert!(calls.total() <= 2 * 20_000 / 500 + 10, "{calls:?}");
    volume.close(file).unwrap();
}
