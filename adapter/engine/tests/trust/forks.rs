//! Forks, snapshots, restores and removals of volumes, beside a writer that goes on.

use crate::fixture::{create, open_volume, read, write};
use crate::run::TestClock;
use crate::store::{LARGE, TestStore};
use kvfs::volumes::{self, Taken};
use kvfs::{
    Access, At, CacheLimits, Descriptor, Error, Follow, Mode, OpenFlags, Options, Quota, SetTime, Timestamp,
    Volume, fsck,
};

fn options(volume: &str) -> Options {
    Options {
        volume: volume.to_owned(),
        mode: Mode::Close,
        extent_bytes: 512,
        inline_bytes: 64,
        ..Options::default()
    }
}

fn open(store: &TestStore, volume: &str) -> (Volume, Descriptor) {
    open_volume(store, options(volume))
}

fn fork(store: &TestStore, from: &str, to: &str) {
    volumes::fork(&mut store.clone(), &mut TestClock::default(), from, to, Taken::Writable).unwrap();
}

fn check(store: &TestStore, volume: &str) {
    let report = fsck(&mut store.clone(), volume).unwrap();
    assert!(report.is_clean(), "{volume}: {:?}", report.findings);
}

fn names(store: &TestStore) -> Vec<String> {
    let mut names = Vec::new();
    volumes::list(&mut store.clone(), &mut |name, info| {
        assert_eq!(info.unwrap().name, name);
        names.push(name.to_owned());
        Ok(())
    })
    .unwrap();
    names
}

/// Frees all garbage.
fn collect(store: &TestStore) {
    while !volumes::collect_garbage(&mut store.clone(), 3).unwrap().done {}
}

/// What a volume holds, by paths that the tests use.
fn content(store: &TestStore, volume: &str) -> Vec<(String, Vec<u8>)> {
    let (mut volume, root) = open(store, volume);
    let mut found = Vec::new();
    for name in ["a", "b", "c", "d", "e", "large"] {
        match read(&mut volume, &root, name) {
            Ok(bytes) => found.push((name.to_owned(), bytes)),
            Err(Error::NoEntry) => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
    found
}

fn of(pairs: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    pairs.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
}

#[test]
fn a_fork_and_its_origin_go_their_own_ways() {
    let store = TestStore::new(LARGE);
    let (mut main, root) = open(&store, "main");
    write(&mut main, &root, "a", b"1");
    write(&mut main, &root, "b", b"2");
    write(&mut main, &root, "large", &[1; 3000]);
    fork(&store, "main", "try");
    // The writer goes on, in its new layer.
    write(&mut main, &root, "a", b"11");
    main.unlink_file_at(&root, "b").unwrap();
    let large = create(&mut main, &root, "large");
    main.write(&large, At::Offset(1000), &[2; 10]).unwrap();
    main.close(large).unwrap();
    main.sync_all().unwrap();
    let mut now = vec![1; 3000];
    now[1000..1010].fill(2);
    let (mut other, other_root) = open(&store, "try");
    write(&mut other, &other_root, "c", b"3");
    other.unlink_file_at(&other_root, "large").unwrap();
    other.sync_all().unwrap();
    for volume in ["main", "try"] {
        check(&store, volume);
    }
    assert_eq!(content(&store, "main"), of(&[("a", b"11"), ("large", &now)]));
    assert_eq!(content(&store, "try"), of(&[("a", b"1"), ("b", b"2"), ("c", b"3")]));
    assert_eq!(names(&store), ["try", "main"]);
}

#[test]
fn removed_volumes_leave_nothing_and_take_nothing_from_others() {
    let store = TestStore::new(LARGE);
    {
        let (mut main, root) = open(&store, "main");
        write(&mut main, &root, "a", b"1");
        write(&mut main, &root, "large", &[7; 5000]);
        main.sync_all().unwrap();
    }
    fork(&store, "main", "one");
    fork(&store, "one", "two");
    for volume in ["main", "one", "two"] {
        let (mut volume, root) = open(&store, volume);
        write(&mut volume, &root, "b", b"2");
        volume.sync_all().unwrap();
    }
    volumes::remove(&mut store.clone(), "main").unwrap();
    collect(&store);
    assert_eq!(names(&store), ["one", "two"]);
    let all = of(&[("a", b"1"), ("b", b"2"), ("large", &[7; 5000])]);
    assert_eq!(content(&store, "one"), all);
    // The name is free for another volume, whose records lie elsewhere.
    {
        let (mut main, root) = open(&store, "main");
        assert_eq!(read(&mut main, &root, "a"), Err(Error::NoEntry));
        write(&mut main, &root, "c", b"3");
        main.sync_all().unwrap();
    }
    check(&store, "main");
    volumes::remove(&mut store.clone(), "one").unwrap();
    collect(&store);
    assert_eq!(content(&store, "two"), all);
    check(&store, "two");
    volumes::remove(&mut store.clone(), "two").unwrap();
    collect(&store);
    assert_eq!(content(&store, "main"), of(&[("c", b"3")]));
    check(&store, "main");
    volumes::remove(&mut store.clone(), "main").unwrap();
    collect(&store);
    assert_eq!(store.bytes(), 0, "{:?}", store.0.borrow().map.keys());
    assert_eq!(volumes::remove(&mut store.clone(), "main"), Err(Error::NoEntry));
}

#[test]
fn a_renamed_volume_is_found_under_its_new_name_alone() {
    let store = TestStore::new(LARGE);
    {
        let (mut main, root) = open(&store, "main");
        write(&mut main, &root, "a", b"1");
        main.sync_all().unwrap();
    }
    let mut clock = TestClock::default();
    let before = volumes::info(&mut store.clone(), "main").unwrap();
    for (from, to) in [("main", "x"), ("x", "main"), ("main", "y")] {
        volumes::rename(&mut store.clone(), &mut clock, from, to).unwrap();
        assert_eq!(names(&store), [to]);
        check(&store, to);
        assert_eq!(content(&store, to), of(&[("a", b"1")]));
        assert_eq!(volumes::info(&mut store.clone(), from), Err(Error::NoEntry));
        assert_eq!(volumes::info(&mut store.clone(), to).unwrap().uuid, before.uuid);
    }
    assert_eq!(volumes::rename(&mut store.clone(), &mut clock, "y", "y"), Err(Error::Exist));
}

#[test]
fn a_snapshot_takes_no_writer_until_it_is_thawed_and_gives_its_files_back() {
    let store = TestStore::new(LARGE);
    let mut clock = TestClock::default();
    let (mut main, root) = open(&store, "main");
    write(&mut main, &root, "a", b"1");
    volumes::fork(&mut store.clone(), &mut clock, "main", "then", Taken::ReadOnly).unwrap();
    write(&mut main, &root, "a", b"2");
    write(&mut main, &root, "b", b"2");
    main.unlink_file_at(&root, "a").unwrap();
    main.sync_all().unwrap();
    let before = store.0.borrow().map.clone();
    {
        let (mut then, root) = open(&store, "then");
        assert_eq!(read(&mut then, &root, "a"), Ok(b"1".to_vec()));
        assert_eq!(then.unlink_file_at(&root, "a"), Err(Error::ReadOnly));
        then.set_read_only(false);
        assert_eq!(then.create_directory_at(&root, "d"), Err(Error::ReadOnly));
        assert_eq!(then.set_quota(Quota { bytes: Some(1), ..Quota::default() }), Err(Error::ReadOnly));
        then.sync_all().unwrap();
    }
    assert_eq!(store.0.borrow().map, before, "reading a snapshot changes nothing");
    volumes::restore(&mut store.clone(), &mut clock, "main", "then").unwrap();
    assert_eq!(main.create_directory_at(&root, "late"), Err(Error::Fenced));
    assert_eq!(content(&store, "main"), of(&[("a", b"1")]));
    check(&store, "main");
    collect(&store);
    check(&store, "main");
    assert_eq!(content(&store, "main"), of(&[("a", b"1")]));
    assert_eq!(content(&store, "then"), of(&[("a", b"1")]));
    volumes::thaw(&mut store.clone(), "then").unwrap();
    {
        let (mut then, root) = open(&store, "then");
        write(&mut then, &root, "c", b"3");
        then.sync_all().unwrap();
    }
    assert_eq!(content(&store, "main"), of(&[("a", b"1")]));
    assert_eq!(content(&store, "then"), of(&[("a", b"1"), ("c", b"3")]));
    volumes::freeze(&mut store.clone(), "main").unwrap();
    let (mut frozen, root) = open(&store, "main");
    assert_eq!(frozen.unlink_file_at(&root, "a"), Err(Error::ReadOnly));
    assert_eq!(volumes::restore(&mut store.clone(), &mut clock, "main", "then"), Err(Error::ReadOnly));
    check(&store, "then");
}

#[test]
fn a_volume_can_be_forked_for_ever() {
    let store = TestStore::new(LARGE);
    let mut clock = TestClock::default();
    let (mut main, root) = open(&store, "main");
    for number in 0..300 {
        write(&mut main, &root, "a", format!("{number}").as_bytes());
        let other = ["b", "c", "d", "e"][number % 4];
        match number % 3 {
            0 => write(&mut main, &root, other, &vec![number as u8; number * 7]),
            _ => drop(main.unlink_file_at(&root, other)),
        }
        main.sync_all().unwrap();
        let name = format!("s{number}");
        volumes::fork(&mut store.clone(), &mut clock, "main", &name, Taken::ReadOnly).unwrap();
        if number >= 20 {
            volumes::remove(&mut store.clone(), &format!("s{}", number - 20)).unwrap();
        }
        collect(&store);
        let depth = volumes::info(&mut store.clone(), "main").unwrap().layers.len();
        assert!(depth <= kvfs::limits::MAX_LAYERS + 1, "{depth} layers after {number} forks");
    }
    for number in 280..300 {
        let name = format!("s{number}");
        check(&store, &name);
        let found = content(&store, &name);
        assert_eq!(found[0], ("a".to_owned(), format!("{number}").into_bytes()));
    }
    check(&store, "main");
    let before = content(&store, "s299");
    volumes::flatten(&mut store.clone(), &mut clock, "s299").unwrap();
    assert_eq!(volumes::info(&mut store.clone(), "s299").unwrap().layers.len(), 2);
    assert_eq!(content(&store, "s299"), before);
    for volume in names(&store) {
        check(&store, &volume);
        volumes::remove(&mut store.clone(), &volume).unwrap();
    }
    collect(&store);
    assert_eq!(store.bytes(), 0);
}

#[test]
fn forks_of_an_unchanged_volume_lie_side_by_side() {
    let store = TestStore::new(LARGE);
    {
        let (mut main, root) = open(&store, "main");
        write(&mut main, &root, "a", b"1");
        main.sync_all().unwrap();
    }
    fork(&store, "main", "base");
    let before = store.bytes();
    for number in 0..1000 {
        fork(&store, "base", &format!("f{number}"));
    }
    let each = (store.bytes() - before) / 1000;
    assert!(each < 512, "{each} bytes a fork");
    assert_eq!(volumes::info(&mut store.clone(), "f999").unwrap().layers.len(), 2);
    assert_eq!(content(&store, "f999"), of(&[("a", b"1")]));
    assert_eq!(names(&store).len(), 1002);
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let store = TestStore::new(LARGE);
    let mut clock = TestClock::default();
    drop(open(&store, "main"));
    drop(open(&store, "other"));
    let before = store.0.borrow().map.clone();
    let mut calls = store.clone();
    assert_eq!(volumes::fork(&mut calls, &mut clock, "none", "x", Taken::Writable), Err(Error::NoEntry));
    assert_eq!(volumes::fork(&mut calls, &mut clock, "main", "other", Taken::Writable), Err(Error::Exist));
    assert_eq!(volumes::fork(&mut calls, &mut clock, "main", "a\0b", Taken::Writable), Err(Error::Invalid));
    assert_eq!(volumes::fork(&mut calls, &mut clock, "main", "", Taken::Writable), Err(Error::Invalid));
    assert_eq!(volumes::restore(&mut calls, &mut clock, "main", "main"), Err(Error::Invalid));
    assert_eq!(volumes::rename(&mut calls, &mut clock, "main", "other"), Err(Error::Exist));
    assert_eq!(volumes::flatten(&mut calls, &mut clock, "none"), Err(Error::NoEntry));
    assert_eq!(store.0.borrow().map, before);
    let (mut main, root) = open(&store, "main");
    assert!(main.stat_at(&root, "x", Follow::No).is_err());
}

/// Makes `main` with a file and puts so many layers below it.
fn stacked(depth: usize) -> TestStore {
    let store = TestStore::new(LARGE);
    let (mut main, root) = open(&store, "main");
    write(&mut main, &root, "a", b"1");
    write(&mut main, &root, "large", &[1; 3000]);
    for number in 0..depth {
        main.sync_all().unwrap();
        fork(&store, "main", &format!("s{number}"));
        write(&mut main, &root, "b", &[number as u8]);
    }
    main.sync_all().unwrap();
    assert_eq!(volumes::info(&mut store.clone(), "main").unwrap().layers.len(), depth + 1);
    store
}

/// The costs that SEMANTICS states.
#[test]
fn forks_and_reading_in_layers_cost_what_is_promised() {
    let count = |store: &TestStore, act: &mut dyn FnMut()| {
        store.reset_calls();
        act();
        store.calls()
    };
    for depth in [1, 4, 16, 31] {
        let store = stacked(depth);
        let calls = count(&store, &mut || fork(&store, "main", "new"));
        assert_eq!((calls.limits, calls.gets, calls.scans, calls.applies), (1, 4, 0, 1), "fork at {depth}");
        let calls = count(&store, &mut || fork(&store, "new", "newer"));
        assert_eq!(
            (calls.limits, calls.gets, calls.scans, calls.applies),
            (1, 4, 0, 1),
            "of an unchanged one"
        );
        let mut opened = None;
        let calls = count(&store, &mut || {
            let outcome =
                Volume::open(Box::new(store.clone()), Box::<TestClock>::default(), options("newer"));
            opened = Some(outcome.unwrap());
        });
        // What waits for removal is read with a scan of each layer, and the superblock behind it.
        let layers = depth as u64 + 2;
        assert_eq!(
            (calls.limits, calls.gets, calls.scans, calls.applies),
            (1, 3, layers, 1),
            "open at {depth}"
        );
        let mut volume = opened.unwrap();
        let root = volume.root().unwrap();
        let calls = count(&store, &mut || assert!(volume.stat_at(&root, "a", Follow::No).is_ok()));
        // All layers are asked for the directory's inode, and for its names; those that have any are
        // asked for more.
        assert!(calls.gets <= 3 && calls.scans <= 2 * layers, "a look at a small directory: {calls:?}");
        let file =
            volume.open_at(&root, "large", Follow::No, Default::default(), Default::default()).unwrap();
        let mut bytes = Vec::new();
        let calls = count(&store, &mut || assert!(volume.read(&file, 0, 500, &mut bytes).is_ok()));
        assert_eq!((calls.total(), calls.gets, calls.keys_got), (1, 1, layers + 1), "an extent at {depth}");
        volume.close(file).unwrap();
        let calls = count(&store, &mut || {
            volume.unlink_file_at(&root, "a").unwrap();
            volume.sync_all().unwrap();
        });
        // The top layer has only what this opener put there, and the file is not among it.
        assert_eq!((calls.gets, calls.scans, calls.applies), (0, 0, 1), "a removal at {depth}");
        let calls = count(&store, &mut || write(&mut volume, &root, "new", b"2"));
        assert_eq!((calls.total(), calls.applies), (1, 1), "a new file at {depth}");
        drop(volume);
        check(&store, "newer");
        let mut volume =
            Volume::open(Box::new(store.clone()), Box::<TestClock>::default(), options("newer")).unwrap();
        let root = volume.root().unwrap();
        assert!(volume.stat_at(&root, "new", Follow::No).is_ok());
        let calls = count(&store, &mut || {
            volume.unlink_file_at(&root, "new").unwrap();
            volume.sync_all().unwrap();
        });
        assert_eq!(
            (calls.gets, calls.scans, calls.applies),
            (1, 0, 1),
            "what another opener made, at {depth}"
        );
        check(&store, "newer");
    }
}

/// Nothing is removed from the layers below for a name that never was in the store, however often that happens.
#[test]
fn a_name_that_comes_and_goes_between_two_commits_leaves_nothing_in_a_layer() {
    let store = TestStore::new(LARGE);
    let cache = CacheLimits { dentries: 100, inodes: 100, ..CacheLimits::default() };
    let options = Options { cache, mode: Mode::Lazy, max_dirty_age_nanoseconds: u64::MAX, ..options("main") };
    let (mut main, root) = open_volume(&store, options);
    main.create_directory_at(&root, "many").unwrap();
    // More names than are kept in memory: it is known that none is greater.
    for number in 0..500 {
        write(&mut main, &root, &format!("many/{number:06}"), b"1");
    }
    main.sync_all().unwrap();
    fork(&store, "main", "snapshot");
    for number in 0..50 {
        let name = format!("many/2{number:06}");
        write(&mut main, &root, &name, b"1");
        main.unlink_file_at(&root, &name).unwrap();
        main.sync_all().unwrap();
    }
    let names_it = |key: &&Vec<u8>| key.windows(6).any(|bytes| bytes == b"200000" || bytes == b"200001");
    assert_eq!(store.0.borrow().map.keys().find(names_it), None);
    drop(main);
    check(&store, "main");
}

/// A writer beside whom many snapshots are taken looks only where it put things, whatever is in memory.
#[test]
fn a_writer_looks_for_a_record_in_few_of_the_layers_that_it_wrote() {
    const FILES: u64 = 25;
    let store = TestStore::new(LARGE);
    // Nothing stays in memory.
    let cache = CacheLimits { inodes: 1, dentries: 1, extent_bytes: 512, inode_bytes: 64 };
    let (mut main, root) = open_volume(&store, Options { cache, ..options("main") });
    let content = |number: u64| vec![number as u8; 1000];
    for number in 0..FILES {
        main.create_directory_at(&root, &format!("d{number}")).unwrap();
        write(&mut main, &root, &format!("d{number}/f"), &content(number));
        write(&mut main, &root, &format!("f{number}"), &content(number));
        main.sync_all().unwrap();
        fork(&store, "main", &format!("s{number}"));
    }
    // Makes the writer see its new layer.
    write(&mut main, &root, "last", b"1");
    main.sync_all().unwrap();
    assert_eq!(volumes::info(&mut store.clone(), "main").unwrap().layers.len() as u64, FILES + 1);
    let mut count = |act: &mut dyn FnMut(&mut Volume)| {
        store.reset_calls();
        act(&mut main);
        store.calls()
    };
    for number in (0..FILES).rev() {
        let calls = count(&mut |main| {
            assert_eq!(read(main, &root, &format!("f{number}")).unwrap(), content(number));
        });
        // A name, an inode and two extents: in the top layer, where it was put, and, of the root's names, in
        // the lowest one; with the superblock each time.
        assert!(calls.gets <= 4 && calls.keys_got <= 16 && calls.scans == 0, "f{number}: {calls:?}");
        let calls = count(&mut |main| {
            let path = format!("d{number}");
            let directory = main.open_at(&root, &path, Follow::No, Default::default(), Default::default());
            let mut names = Vec::new();
            let directory = directory.unwrap();
            let mut listing = main.read_directory(&directory).unwrap();
            while let Some(entry) = main.next_entry(&mut listing).unwrap() {
                names.push(entry.name.to_string());
            }
            main.close_directory(listing).unwrap();
            main.close(directory).unwrap();
            assert_eq!(names, ["f"]);
        });
        assert!(calls.scans <= 4, "d{number}: {calls:?}");
        let calls = count(&mut |main| {
            main.unlink_file_at(&root, &format!("f{number}")).unwrap();
            main.sync_all().unwrap();
        });
        assert!(calls.keys_got <= 10 && calls.applies <= 2, "a removal of f{number}: {calls:?}");
    }
    drop(main);
    check(&store, "main");
    let (mut main, root) = open(&store, "main");
    assert_eq!(read(&mut main, &root, "f3"), Err(Error::NoEntry));
    assert_eq!(read(&mut main, &root, "d3/f").unwrap(), content(3));
    for number in 0..FILES {
        let (mut snapshot, root) = open(&store, &format!("s{number}"));
        assert_eq!(read(&mut snapshot, &root, &format!("f{number}")).unwrap(), content(number));
        assert_eq!(read(&mut snapshot, &root, &format!("f{}", number + 1)), Err(Error::NoEntry));
    }
}

/// A fork takes as long, however much there is and however many there are, in calls and in bytes.
#[test]
fn a_fork_costs_the_same_whatever_the_volume_holds() {
    let store = TestStore::new(LARGE);
    drop(open(&store, "main"));
    fork(&store, "main", "first");
    let mut before = None;
    for files in [10, 1000] {
        let (mut main, root) = open(&store, "main");
        for number in 0..files {
            write(&mut main, &root, &format!("f{number}"), b"1");
        }
        main.sync_all().unwrap();
        let bytes = store.bytes();
        store.reset_calls();
        fork(&store, "main", &format!("of {files}"));
        let calls = store.calls();
        assert_eq!((calls.scans, calls.applies), (0, 1));
        println!("{} bytes for a fork of {files} files", store.bytes() - bytes);
        assert!(store.bytes() - bytes < 1024);
        assert!(before.replace(calls).is_none_or(|before| before == calls));
    }
}

/// The lines that `kvfs diff` would print.
fn differences(store: &TestStore, first: &str, second: &str) -> Vec<String> {
    use volumes::Changed;
    let found = volumes::diff(&mut store.clone(), first, second, None).unwrap();
    let line = |difference: volumes::Difference| match difference.change {
        Changed::Added => format!("A {}", difference.path),
        Changed::Removed => format!("D {}", difference.path),
        Changed::Modified(what) if what.bytes => format!("M {} bytes", difference.path),
        Changed::Modified(_) => format!("M {}", difference.path),
        Changed::Renamed { from, also } => {
            format!("R {from} {}{}", difference.path, if also.bytes { " bytes" } else { "" })
        }
    };
    found.into_iter().map(line).collect()
}

#[test]
fn differences_are_told_by_path() {
    let store = TestStore::new(LARGE);
    let (mut main, root) = open(&store, "main");
    for directory in ["d", "d/deep", "gone", "moved"] {
        main.create_directory_at(&root, directory).unwrap();
    }
    for (path, bytes) in
        [("a", 10), ("d/deep/large", 3000), ("gone/x", 5), ("moved/y", 7), ("same", 9), ("old", 3)]
    {
        write(&mut main, &root, path, &vec![1; bytes]);
    }
    main.sync_all().unwrap();
    fork(&store, "main", "try");
    assert_eq!(differences(&store, "main", "try"), [""; 0]);
    let (mut other, root) = open(&store, "try");
    let large = create(&mut other, &root, "d/deep/large");
    other.write(&large, At::Offset(2000), b"2").unwrap();
    other.close(large).unwrap();
    other.unlink_file_at(&root, "gone/x").unwrap();
    other.remove_directory_at(&root, "gone").unwrap();
    other.rename_at(&root, "moved", &root, "d/moved").unwrap();
    other.rename_at(&root, "old", &root, "new").unwrap();
    write(&mut other, &root, "new", b"more");
    write(&mut other, &root, "d/added", b"3");
    // Written, with the bytes that it had.
    write(&mut other, &root, "same", &[1; 9]);
    other.sync_all().unwrap();
    let expected = [
        "A /d/added",
        "M /d/deep/large bytes",
        "R /moved /d/moved",
        "D /gone",
        "D /gone/x",
        "R /old /new bytes",
    ];
    assert_eq!(differences(&store, "main", "try"), expected);
    let back = [
        "D /d/added",
        "M /d/deep/large bytes",
        "A /gone",
        "A /gone/x",
        "R /d/moved /moved",
        "R /new /old bytes",
    ];
    assert_eq!(differences(&store, "try", "main"), back);
    // Volumes without anything in common are compared by their paths.
    let (mut apart, root) = open(&store, "apart");
    write(&mut apart, &root, "a", &[1; 10]);
    write(&mut apart, &root, "same", b"other");
    apart.sync_all().unwrap();
    let found = differences(&store, "main", "apart");
    assert_eq!(found.iter().filter(|line| line.starts_with('D')).count(), 8, "{found:?}");
    assert!(found.contains(&"M /same bytes".to_owned()), "{found:?}");
    assert!(found.iter().all(|line| !line.starts_with('A')), "{found:?}");
}

#[test]
fn regression_a_moved_directory_is_not_told_of_when_something_new_has_its_old_name() {
    let store = TestStore::new(LARGE);
    let (mut main, root) = open(&store, "main");
    for directory in ["build", "a", "b"] {
        main.create_directory_at(&root, directory).unwrap();
        write(&mut main, &root, &format!("{directory}/{directory}"), b"1");
    }
    main.sync_all().unwrap();
    fork(&store, "main", "try");
    let (mut other, root) = open(&store, "try");
    other.rename_at(&root, "build", &root, "old").unwrap();
    other.create_directory_at(&root, "build").unwrap();
    other.rename_at(&root, "a", &root, "c").unwrap();
    write(&mut other, &root, "a", b"2");
    write(&mut other, &root, "c/a", b"more");
    // A name that sorts before the old one was always told of.
    other.rename_at(&root, "b", &root, "B").unwrap();
    write(&mut other, &root, "b", b"3");
    other.sync_all().unwrap();
    let expected = ["R /b /B", "A /a", "A /b", "A /build", "R /a /c", "M /c/a bytes", "R /build /old"];
    assert_eq!(differences(&store, "main", "try"), expected);
}

/// Finding a changed file must not need a look at all names, however many there are.
#[test]
fn differences_cost_what_differs() {
    let mut before = None;
    for files in [100, 3000] {
        let store = TestStore::new(LARGE);
        let (mut main, root) = open(&store, "main");
        for directory in 0..files / 50 {
            main.create_directory_at(&root, &format!("d{directory}")).unwrap();
        }
        for file in 0..files {
            write(&mut main, &root, &format!("d{}/f{}", file / 50, file % 50), &[1; 600]);
        }
        main.sync_all().unwrap();
        fork(&store, "main", "try");
        let (mut other, root) = open(&store, "try");
        let large = create(&mut other, &root, "d0/f9");
        other.write(&large, At::Offset(500), b"2").unwrap();
        other.close(large).unwrap();
        write(&mut other, &root, "d1/new", b"3");
        other.sync_all().unwrap();
        check(&store, "try");
        store.reset_calls();
        assert_eq!(differences(&store, "main", "try"), ["M /d0/f9 bytes", "A /d1/new"]);
        let calls = store.calls();
        println!("{files} files: {calls:?}");
        assert!(calls.entries_scanned < 200, "{calls:?}");
        let calls = (calls.gets, calls.scans);
        assert!(before.replace(calls).is_none_or(|before| before == calls), "{calls:?}, before {before:?}");
    }
}

/// Whatever is changed, and wherever: nothing beside it is read. A writer that has just opened the volume
/// tells the way to what it changes, in each layer anew.
#[test]
fn differences_are_found_without_a_look_at_directories() {
    let mut before = None;
    for files in [100, 3000] {
        let store = TestStore::new(LARGE);
        let (mut main, root) = open(&store, "main");
        main.create_directory_at(&root, "big").unwrap();
        for number in 0..files {
            main.create_directory_at(&root, &format!("d{number}")).unwrap();
            write(&mut main, &root, &format!("d{number}/f"), b"1");
            write(&mut main, &root, &format!("big/f{number}"), b"1");
        }
        let deep = |depth: usize| format!("d9{}", "/deep".repeat(depth));
        for depth in 1..=40 {
            main.create_directory_at(&root, &deep(depth)).unwrap();
        }
        write(&mut main, &root, &format!("{}/f", deep(40)), b"1");
        main.sync_all().unwrap();
        fork(&store, "main", "try");
        let (mut other, root) = open(&store, "try");
        write(&mut other, &root, "d50/f", b"2");
        write(&mut other, &root, &format!("{}/f", deep(40)), b"2");
        write(&mut other, &root, "big/new", b"2");
        other.unlink_file_at(&root, "d51/f").unwrap();
        let time = SetTime::At(Timestamp { seconds: 7, nanoseconds: 0 });
        other.set_times_at(&root, "d52/f", Follow::Yes, SetTime::Keep, time).unwrap();
        other.set_times_at(&root, "d53", Follow::Yes, SetTime::Keep, time).unwrap();
        other.link_at(&root, "d54/f", Follow::No, &root, "d55/hard").unwrap();
        other.rename_at(&root, "d56", &root, "d57/moved").unwrap();
        write(&mut other, &root, "d57/moved/f", b"2");
        other.rename_at(&root, "big/f7", &root, "d58/f7").unwrap();
        let (flags, access) = (OpenFlags::default(), Access { mutate_directory: true, ..Access::default() });
        let inside = other.open_at(&root, "d59", Follow::No, flags, access).unwrap();
        write(&mut other, &inside, "new", b"2");
        other.sync_all().unwrap();
        let expected = [
            "A /big/new".to_owned(),
            "R /big/f7 /d58/f7".to_owned(),
            "M /d50/f bytes".to_owned(),
            "D /d51/f".to_owned(),
            "M /d52/f".to_owned(),
            "M /d53".to_owned(),
            "M /d54/f".to_owned(),
            "A /d55/hard".to_owned(),
            "R /d56 /d57/moved".to_owned(),
            "M /d57/moved/f bytes".to_owned(),
            "A /d59/new".to_owned(),
            format!("M /{}/f bytes", deep(40)),
        ];
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        store.reset_calls();
        assert_eq!(sorted(differences(&store, "main", "try")), sorted(expected.to_vec()));
        let there = store.calls();
        store.reset_calls();
        let back = differences(&store, "try", "main");
        assert!(back.contains(&"R /d57/moved /d56".to_owned()) && back.len() == expected.len(), "{back:?}");
        let calls = [there, store.calls()];
        // The same writer, in the next layer.
        fork(&store, "try", "kept");
        write(&mut other, &root, "d50/f", b"3");
        write(&mut other, &inside, "more", b"3");
        other.sync_all().unwrap();
        store.reset_calls();
        assert_eq!(differences(&store, "kept", "try"), ["M /d50/f bytes", "A /d59/more"]);
        let calls = [calls[0], calls[1], store.calls()];
        check(&store, "try");
        for calls in &calls {
            assert!(calls.entries_scanned < 200 && calls.keys_got < 1000, "{files} files: {calls:?}");
        }
        let calls = calls.map(|calls| (calls.gets, calls.scans, calls.entries_scanned));
        assert!(before.replace(calls).is_none_or(|before| before == calls), "{calls:?}, before {before:?}");
    }
}

/// Nothing tells the other names of a changed file, which are looked for until the last one is found.
#[test]
fn a_changed_file_is_told_by_all_its_names() {
    let store = TestStore::new(LARGE);
    let (mut main, root) = open(&store, "main");
    for directory in ["a", "b", "many"] {
        main.create_directory_at(&root, directory).unwrap();
    }
    write(&mut main, &root, "a/one", b"1");
    main.link_at(&root, "a/one", Follow::No, &root, "b/two").unwrap();
    main.link_at(&root, "a/one", Follow::No, &root, "b/three").unwrap();
    for number in 0..5000 {
        write(&mut main, &root, &format!("many/f{number}"), b"1");
    }
    main.sync_all().unwrap();
    fork(&store, "main", "try");
    let (mut other, root) = open(&store, "try");
    write(&mut other, &root, "b/two", b"2");
    other.sync_all().unwrap();
    store.reset_calls();
    let expected = ["M /a/one bytes", "M /b/three bytes", "M /b/two bytes"];
    assert_eq!(differences(&store, "main", "try"), expected);
    assert!(store.calls().entries_scanned < 3000, "{:?}", store.calls());
    // One name goes, another comes, and one stays.
    other.unlink_file_at(&root, "a/one").unwrap();
    other.rename_at(&root, "b/two", &root, "a/four").unwrap();
    other.sync_all().unwrap();
    let found = differences(&store, "main", "try");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.contains(&"M /b/three bytes".to_owned()), "{found:?}");
}

/// However many layers there are, a page of a directory reads about twice what it shows, and a merge of
/// layers reads each of them once.
#[test]
fn records_of_low_layers_are_not_read_again_for_each_page() {
    const LAYERS: usize = 31;
    const FILES_IN_LAYER: usize = 200;
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open(&store, "main");
    for layer in 0..LAYERS {
        for file in 0..FILES_IN_LAYER {
            let made = create(&mut volume, &root, &format!("f{}", file * LAYERS + layer));
            volume.close(made).unwrap();
        }
        volume.sync_all().unwrap();
        fork(&store, "main", &format!("s{layer}"));
    }
    volume.close(root).unwrap();
    drop(volume);
    let files = (LAYERS * FILES_IN_LAYER) as u64;
    let (mut volume, root) = open(&store, "main");
    store.reset_calls();
    assert_eq!(crate::tree::list(&mut volume, &root).unwrap().len() as u64, files);
    let calls = store.calls();
    assert!(calls.entries_scanned < 5 * files / 2, "{calls:?} for {files} names");
    drop(volume);
    store.reset_calls();
    volumes::flatten(&mut store.clone(), &mut TestClock::default(), "main").unwrap();
    let calls = store.calls();
    // A name and an inode each, and the root in each layer.
    assert!(calls.entries_scanned <= 2 * files + LAYERS as u64, "{calls:?} for {files} files");
    check(&store, "main");
}
