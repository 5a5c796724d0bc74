//! Volumes as wholes in a store that is full.

use crate::fixture::{open_volume, read, write};
use crate::full::FULL;
use crate::run::TestClock;
use crate::store::{Fault, LARGE, Map, TestStore};
use kvfs::volumes::{self, Taken};
use kvfs::{Error, Mode, Options, fsck};
use std::collections::BTreeMap;

/// The files that the tests use, by volume and path.
type Content = BTreeMap<(String, &'static str), Vec<u8>>;

fn options(volume: &str) -> Options {
    Options {
        volume: volume.to_owned(),
        mode: Mode::Close,
        extent_bytes: 512,
        inline_bytes: 64,
        ..Options::default()
    }
}

fn fork(store: &TestStore, from: &str, to: &str, taken: Taken) -> Result<(), Error> {
    volumes::fork(&mut store.clone(), &mut TestClock::default(), from, to, taken)
}

/// Frees all garbage, in small steps.
fn collect(store: &TestStore) -> Result<(), Error> {
    while !volumes::collect_garbage(&mut store.clone(), 4)?.done {}
    Ok(())
}

/// Makes `main` of several layers, the snapshot `then` in the middle of them, and garbage.
fn prepared() -> TestStore {
    let store = TestStore::new(LARGE);
    for number in 0..4_u8 {
        let (mut main, root) = open_volume(&store, options("main"));
        write(&mut main, &root, "a", &[number; 900]);
        write(&mut main, &root, ["b", "c", "d", "e"][usize::from(number)], &[number; 2000]);
        main.sync_all().unwrap();
        drop(main);
        let (to, taken) = if number == 1 { ("then", Taken::ReadOnly) } else { ("passing", Taken::Writable) };
        fork(&store, "main", to, taken).unwrap();
        if number != 1 {
            let (mut other, root) = open_volume(&store, options(to));
            write(&mut other, &root, "b", &[9; 3000]);
            other.sync_all().unwrap();
            drop(other);
            volumes::remove(&mut store.clone(), to).unwrap();
        }
    }
    let (mut main, root) = open_volume(&store, options("main"));
    write(&mut main, &root, "a", b"last");
    main.sync_all().unwrap();
    drop(main);
    store
}

fn names(store: &TestStore) -> Vec<String> {
    let mut names = Vec::new();
    let listed = volumes::list(&mut store.clone(), &mut |name, info| {
        names.push(name.to_owned());
        info.map(drop)
    });
    listed.unwrap();
    names
}

/// Reads all volumes of a copy of the store, and checks that store and volumes are sound.
fn content(store: &TestStore) -> Content {
    let store = TestStore::from_map(store.0.borrow().map.clone(), LARGE);
    let layers = volumes::check_layers(&mut store.clone()).unwrap();
    assert_eq!(layers.findings, []);
    let mut found = Content::new();
    for name in names(&store) {
        let report = fsck(&mut store.clone(), &name).unwrap();
        assert!(report.is_clean(), "{name}: {:?}", report.findings);
        // A snapshot is opened as a reader would.
        let readable = format!("copy of {name}");
        fork(&store, &name, &readable, Taken::Writable).unwrap();
        let (mut volume, root) = open_volume(&store, options(&readable));
        for path in ["a", "b", "c", "d", "e"] {
            match read(&mut volume, &root, path) {
                Ok(bytes) => drop(found.insert((name.clone(), path), bytes)),
                Err(error) => assert_eq!(error, Error::NoEntry, "{name}: {path}"),
            }
        }
    }
    found
}

type Tool = fn(&TestStore) -> Result<(), Error>;

const TOOLS: [(&str, Tool); 7] = [
    ("fork", |store| fork(store, "main", "try", Taken::Writable)),
    ("snapshot", |store| fork(store, "main", "now", Taken::ReadOnly)),
    ("restore", |store| volumes::restore(&mut store.clone(), &mut TestClock::default(), "main", "then")),
    ("rename", |store| volumes::rename(&mut store.clone(), &mut TestClock::default(), "main", "other")),
    ("remove", |store| volumes::remove(&mut store.clone(), "main")),
    ("flatten", |store| volumes::flatten(&mut store.clone(), &mut TestClock::default(), "main")),
    ("garbage", collect),
];

/// Wherever a tool meets a store that refuses everything: it says so, all volumes are sound and as they
/// were, and it succeeds once there is room.
#[test]
fn a_tool_that_meets_a_full_store_changes_nothing_and_goes_on_later() {
    let prepared: Map = prepared().0.borrow().map.clone();
    let fresh = || TestStore::from_map(prepared.clone(), LARGE);
    let before = content(&fresh());
    for (name, tool) in TOOLS {
        let expected = {
            let store = fresh();
            tool(&store).unwrap();
            content(&store)
        };
        let mut refusals = 0;
        for call in 0.. {
            let store = fresh();
            store.set_fault(Fault::QuotaExceeded, call, u64::MAX);
            let done = tool(&store);
            store.clear_fault();
            if done.is_ok() {
                break;
            }
            refusals += 1;
            assert_eq!(done, Err(FULL), "{name}, refused from apply {call} on");
            assert_eq!(content(&store), before, "{name}, refused from apply {call} on");
            tool(&store).unwrap_or_else(|error| panic!("{name}, again after apply {call}: {error}"));
            assert_eq!(content(&store), expected, "{name}, again after apply {call}");
            for volume in self::names(&store) {
                volumes::remove(&mut store.clone(), &volume).unwrap();
            }
            collect(&store).unwrap();
            assert_eq!(store.bytes(), 0, "{name}, refused from apply {call} on, leaves records");
        }
        let least = if ["flatten", "garbage"].contains(&name) { 3 } else { 1 };
        assert!(refusals >= least, "{name} was refused {refusals} times");
    }
}

/// What makes room needs none.
#[test]
fn volumes_of_a_store_without_room_are_removed_and_freed() {
    let store = prepared();
    store.set_room(0);
    assert_eq!(fork(&store, "main", "try", Taken::Writable), Err(FULL));
    assert_eq!(volumes::flatten(&mut store.clone(), &mut TestClock::default(), "main"), Err(FULL));
    let before = content(&store);
    let bytes = store.bytes();
    collect(&store).unwrap();
    assert!(store.bytes() < bytes && content(&store) == before);
    // In the room that the garbage took.
    fork(&store, "main", "try", Taken::Writable).unwrap();
    store.set_room(0);
    for volume in ["main", "then", "try"] {
        volumes::remove(&mut store.clone(), volume).unwrap();
        content(&store);
    }
    collect(&store).unwrap();
    assert_eq!(store.bytes(), 0);
}
