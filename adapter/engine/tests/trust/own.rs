//! Volumes that a guest makes of its own: random steps beside a model, cut at every apply, with a fault
//! at every call, and beside other openers.

use crate::fixture::write;
use crate::mounts::{spec, table_on};
use crate::rng::Rng;
use crate::store::{Fault, LARGE, Map, TestStore};
use crate::tools::check_layers;
use kvfs::own::{self, OwnError};
use kvfs::{Error, Follow, MountNo, Mounts, StoreError};
use std::collections::BTreeMap;

/// Names in the root, with the bytes of the files.
type Files = BTreeMap<String, Vec<u8>>;

/// What a guest sees: its files, and the files of each of its own volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    files: Files,
    own: BTreeMap<String, Files>,
}

#[derive(Debug, Clone)]
enum Step {
    Write(u8, u8),
    Remove(u8),
    Snapshot(u8),
    Fork(u8),
    Restore(u8),
    Drop(u8),
}

const MAX_OWN: u32 = 3;

fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    let mut next = |most: u64| u8::try_from(rng.below(most)).unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(match next(12) {
            0..=3 => Step::Write(next(4), next(200)),
            4 => Step::Remove(next(4)),
            5..=6 => Step::Snapshot(next(5)),
            7 => Step::Fork(next(5)),
            8..=9 => Step::Restore(next(5)),
            _ => Step::Drop(next(5)),
        });
    }
    all
}

fn mounts(store: &TestStore) -> Mounts {
    table_on(store, vec![spec("/", 0, false)])
}

fn content(number: u8) -> Vec<u8> {
    vec![number; usize::from(number) * 300]
}

/// What a step must give, by the model, which it changes.
fn expected(state: &mut State, step: &Step) -> Result<(), OwnError> {
    let name = |number: &u8| format!("n{number}");
    match step {
        Step::Write(file, number) => drop(state.files.insert(format!("f{file}"), content(*number))),
        Step::Remove(file) => drop(state.files.remove(&format!("f{file}"))),
        Step::Snapshot(number) | Step::Fork(number) => {
            if state.own.len() >= MAX_OWN as usize {
                return Err(OwnError::TooMany);
            }
            if state.own.contains_key(&name(number)) {
                return Err(Error::Exist.into());
            }
            state.own.insert(name(number), state.files.clone());
        }
        Step::Restore(number) => {
            let files = state.own.get(&name(number)).ok_or(Error::NoEntry)?;
            state.files.clone_from(files);
        }
        Step::Drop(number) => drop(state.own.remove(&name(number)).ok_or(Error::NoEntry)?),
    }
    Ok(())
}

fn act(mounts: &mut Mounts, step: &Step) -> Result<(), OwnError> {
    let name = |number: &u8| format!("n{number}");
    match step {
        Step::Write(file, number) => {
            let volume = mounts.volume(MountNo(0))?;
            let root = volume.root()?;
            let path = format!("f{file}");
            if let Err(error) = volume.unlink_file_at(&root, &path)
                && error != Error::NoEntry
            {
                volume.close(root)?;
                return Err(error.into());
            }
            let create = kvfs::OpenFlags { create: true, ..Default::default() };
            let access = kvfs::Access { write: true, ..Default::default() };
            let file = volume.open_at(&root, &path, Follow::No, create, access);
            let wrote = file.and_then(|file| {
                let wrote = volume.write(&file, kvfs::At::Offset(0), &content(*number)).map(drop);
                wrote.and(volume.close(file))
            });
            volume.close(root)?;
            Ok(wrote?)
        }
        Step::Remove(file) => {
            let volume = mounts.volume(MountNo(0))?;
            let root = volume.root()?;
            let outcome = volume.unlink_file_at(&root, &format!("f{file}"));
            volume.close(root)?;
            match outcome {
                Ok(()) | Err(Error::NoEntry) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        Step::Snapshot(number) => own::snapshot(mounts, "/", &name(number), MAX_OWN),
        Step::Fork(number) => own::fork(mounts, "/", &name(number), MAX_OWN),
        Step::Restore(number) => own::restore(mounts, "/", &name(number)),
        Step::Drop(number) => own::remove(mounts, "/", &name(number)),
    }
}

fn files_of(store: &TestStore, volume: &str) -> Files {
    let options = kvfs::Options { volume: volume.to_owned(), ..Default::default() };
    let clock = Box::new(crate::run::TestClock::default());
    let mut volume = kvfs::Volume::open(Box::new(store.clone()), clock, options).unwrap();
    files(&mut volume)
}

fn files(volume: &mut kvfs::Volume) -> Files {
    let root = volume.root().unwrap();
    let mut listing = volume.read_directory(&root).unwrap();
    let mut names = Vec::new();
    while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
        names.push(entry.name.to_string());
    }
    volume.close_directory(listing).unwrap();
    let mut found = Files::new();
    for name in names {
        let access = kvfs::Access { read: true, ..Default::default() };
        let file = volume.open_at(&root, &name, Follow::No, Default::default(), access).unwrap();
        let mut bytes = Vec::new();
        volume.read(&file, 0, 1 << 20, &mut bytes).unwrap();
        volume.close(file).unwrap();
        found.insert(name, bytes);
    }
    volume.close(root).unwrap();
    found
}

/// What is in the store, of the volume and of its own, in a copy of it.
fn stored(map: &Map) -> State {
    let store = TestStore::from_map(map.clone(), LARGE);
    check_layers(&store).unwrap();
    let mut names = Vec::new();
    kvfs::volumes::list(&mut store.clone(), &mut |name, info| {
        names.push(name.to_owned());
        info.map(drop)
    })
    .unwrap();
    let mut state = State::default();
    for name in names {
        let report = kvfs::fsck(&mut store.clone(), &name).unwrap();
        assert!(report.is_clean(), "{name}: {:?}", report.findings);
        match name.split_once('@') {
            None => state.files = files_of(&store, &name),
            Some((_, own)) => drop(state.own.insert(own.to_owned(), files_of(&store, &name))),
        }
    }
    state
}

fn shown(mounts: &mut Mounts) -> State {
    let files = files(mounts.volume(MountNo(0)).unwrap());
    let own = own::entries(mounts, "/").unwrap();
    State { files, own: own.into_iter().map(|own| (own.name, Files::new())).collect() }
}

fn without_content(state: &State) -> State {
    let own = state.own.keys().map(|name| (name.clone(), Files::new())).collect();
    State { files: state.files.clone(), own }
}

#[test]
fn random_steps_give_what_a_model_gives_and_the_store_holds_it() {
    for seed in 0..150 {
        let store = TestStore::new(LARGE);
        let mut mounts = mounts(&store);
        let held = mounts.volume(MountNo(0)).unwrap().root().unwrap();
        let mut state = State::default();
        for (number, step) in steps(seed, 60).iter().enumerate() {
            let before = state.clone();
            let wanted = expected(&mut state, step);
            let found = act(&mut mounts, step);
            assert_eq!(found, wanted, "seed {seed}, step {number}: {step:?}");
            assert_eq!(shown(&mut mounts), without_content(&state), "seed {seed}, step {number}: {step:?}");
            if let Step::Snapshot(name) = step
                && wanted.is_ok()
            {
                assert_eq!(own::diff(&mut mounts, "/", &format!("n{name}")), Ok(Vec::new()));
                assert_eq!(before.files, state.files);
            }
        }
        // A root that was opened at first is open all the time.
        let volume = mounts.volume(MountNo(0)).unwrap();
        assert!(volume.stat(&held).is_ok());
        volume.close(held).unwrap();
        mounts.sync_all().unwrap();
        drop(mounts);
        let map = store.0.borrow().map.clone();
        assert_eq!(stored(&map), state, "seed {seed}");
    }
}

/// After each apply, the store holds what there was before a step or after it.
#[test]
fn every_cut_leaves_the_state_before_a_step_or_after_it() {
    for seed in 0..25 {
        let store = TestStore::new(LARGE);
        let mut mounts = mounts(&store);
        mounts.volume(MountNo(0)).unwrap().sync_all().unwrap();
        let mut states = vec![(store.log_len(), State::default())];
        let mut state = State::default();
        for step in steps(seed, 30) {
            let _ = expected(&mut state, &step);
            let _ = act(&mut mounts, &step);
            // Each is in the store before the next one begins.
            mounts.sync_all().unwrap();
            states.push((store.log_len(), state.clone()));
        }
        let log = &store.0.borrow().log;
        let (mut map, mut at) = (Map::new(), 0);
        for (cut, applied) in log.iter().enumerate() {
            applied.replay(&mut map);
            if cut + 1 < states[0].0 {
                continue;
            }
            while states.get(at + 1).is_some_and(|(length, _)| *length <= cut + 1) {
                at += 1;
            }
            let found = stored(&map);
            // A write first removes the file that it replaces, in a commit of its own or not.
            let possible = |(_, state): &(usize, State)| {
                found.own == state.own
                    && found.files.iter().all(|(name, bytes)| state.files.get(name) == Some(bytes))
                    && found.files.len() + 1 >= state.files.len()
            };
            let near = &states[at..states.len().min(at + 2)];
            assert!(near.iter().any(possible), "seed {seed}, cut {cut}: {found:?}\nof {near:?}");
        }
    }
}

/// A store that fails once, or loses an answer: a call fails or not, and what there is afterwards is
/// what there was before it or what it was to make.
#[test]
fn a_fault_at_any_call_tears_nothing() {
    let mut injected = 0;
    for seed in 0..12 {
        for fault in [Fault::Unavailable, Fault::UnknownApplied, Fault::UnknownNotApplied] {
            for call in 1.. {
                let store = TestStore::new(LARGE);
                let mut mounts = mounts(&store);
                mounts.volume(MountNo(0)).unwrap().sync_all().unwrap();
                let mut state = State::default();
                let all = steps(seed, 12);
                store.set_fault(fault, call, 1);
                for (number, step) in all.iter().enumerate() {
                    let before = state.clone();
                    let wanted = expected(&mut state, step);
                    let found = act(&mut mounts, step);
                    if store.0.borrow().faults_injected == 0 {
                        assert_eq!(
                            found, wanted,
                            "seed {seed}, {fault:?} at {call}, step {number}: {step:?}"
                        );
                        continue;
                    }
                    store.clear_fault();
                    mounts.sync_all().unwrap();
                    let map = store.0.borrow().map.clone();
                    let kept = stored(&map);
                    let is_whole = kept == state || kept == before;
                    let is_write = matches!(step, Step::Write(..));
                    assert!(
                        is_whole || is_write && kept.own == before.own,
                        "seed {seed}, {fault:?} at {call}, step {number}: {step:?} gave {found:?}\n{kept:?}"
                    );
                    if found.is_ok() && wanted.is_ok() && !is_write {
                        assert_eq!(kept, state, "seed {seed}, {fault:?} at {call}, step {number}: {step:?}");
                    }
                    // It works on.
                    assert_eq!(shown(&mut mounts), without_content(&kept));
                    break;
                }
                if store.0.borrow().faults_injected == 0 {
                    break;
                }
                injected += 1;
            }
        }
    }
    assert!(injected > 500, "{injected}");
}

/// An opener that another one has replaced changes nothing that is the volume's.
#[test]
fn a_replaced_opener_can_do_nothing() {
    let store = TestStore::new(LARGE);
    let mut old = mounts(&store);
    own::snapshot(&mut old, "/", "s", 9).unwrap();
    let mut new = mounts(&store);
    let volume = new.volume(MountNo(0)).unwrap();
    let root = volume.root().unwrap();
    write(volume, &root, "kept", b"by the new one");
    volume.close(root).unwrap();
    volume.sync_all().unwrap();
    let map = store.0.borrow().map.clone();
    let fenced = Err(OwnError::Failed(Error::Fenced));
    assert_eq!(own::restore(&mut old, "/", "s"), fenced);
    assert_eq!(own::snapshot(&mut old, "/", "t", 9), fenced);
    assert_eq!(own::fork(&mut old, "/", "t", 9), fenced);
    assert_eq!(own::remove(&mut old, "/", "s"), fenced);
    assert_eq!(own::diff(&mut old, "/", "s").map(drop), fenced);
    assert_eq!(own::entries(&mut old, "/").map(drop), fenced);
    assert_eq!(store.0.borrow().map, map);
    own::restore(&mut new, "/", "s").unwrap();
    assert!(files(new.volume(MountNo(0)).unwrap()).is_empty());
}

/// A host may name volumes of others in the same way. Names alone show nothing.
#[test]
fn volumes_that_the_owner_has_not_made_are_neither_listed_nor_read_nor_changed() {
    let store = TestStore::new(LARGE);
    let mut mounts = mounts(&store);
    act(&mut mounts, &Step::Write(0, 1)).unwrap();
    own::snapshot(&mut mounts, "/", "mine", 9).unwrap();
    let fork = |from: &str, to: &str| {
        let mut clock = crate::run::TestClock::default();
        kvfs::volumes::fork(&mut store.clone(), &mut clock, from, to, kvfs::volumes::Taken::Writable)
            .unwrap();
    };
    fork("v0", "v0@forked");
    fork("v0", "other");
    fork("other", "v0@other");
    fork("v0@mine", "v0@copied");
    let map = store.0.borrow().map.clone();
    let names = |mounts: &mut Mounts| -> Vec<String> {
        own::entries(mounts, "/").unwrap().into_iter().map(|own| own.name).collect()
    };
    assert_eq!(names(&mut mounts), ["mine"]);
    for name in ["forked", "other", "copied"] {
        let missing = Err(OwnError::Failed(Error::NoEntry));
        assert_eq!(own::restore(&mut mounts, "/", name), missing, "{name}");
        assert_eq!(own::remove(&mut mounts, "/", name), missing, "{name}");
        assert_eq!(own::diff(&mut mounts, "/", name).map(drop), missing, "{name}");
        let taken = Err(OwnError::Failed(Error::Exist));
        assert_eq!(own::snapshot(&mut mounts, "/", name, 9), taken, "{name}");
    }
    for name in ["", "@other", "..", "a/b", "a b", "a\0", "\u{e4}", ".a", "-a", "x@other", &"l".repeat(65)] {
        let bad = Err(OwnError::Name);
        assert_eq!(own::restore(&mut mounts, "/", name), bad, "{name:?}");
        assert_eq!(own::snapshot(&mut mounts, "/", name, 9), bad, "{name:?}");
    }
    assert_eq!(store.0.borrow().map, map);
    // What a host gives another name is not the guest's any more; with its old name it is again.
    let rename = |from: &str, to: &str| {
        let mut clock = crate::run::TestClock::default();
        kvfs::volumes::rename(&mut store.clone(), &mut clock, from, to).unwrap();
    };
    rename("v0@mine", "kept");
    rename("v0@copied", "v0@mine");
    assert!(names(&mut mounts).is_empty());
    rename("v0@mine", "v0@copied");
    rename("kept", "v0@mine");
    assert_eq!(names(&mut mounts), ["mine"]);
}

/// What snapshots cost, in calls: nothing that grows with the volume or the store.
#[test]
fn a_snapshot_costs_a_few_calls_whatever_the_store_holds() {
    let mut costs = Vec::new();
    for others in [0, 300] {
        let store = TestStore::new(LARGE);
        let mut mounts = mounts(&store);
        let volume = mounts.volume(MountNo(0)).unwrap();
        let root = volume.root().unwrap();
        for number in 0..=others {
            write(volume, &root, &format!("file{number}"), b"some bytes");
        }
        volume.close(root).unwrap();
        own::snapshot(&mut mounts, "/", "first", 64).unwrap();
        for number in 0..others {
            let to = format!("tenant{number}");
            let taken = kvfs::volumes::Taken::Writable;
            let mut clock = crate::run::TestClock::default();
            kvfs::volumes::fork(&mut store.clone(), &mut clock, "v0", &to, taken).unwrap();
        }
        let volume = mounts.volume(MountNo(0)).unwrap();
        let root = volume.root().unwrap();
        write(volume, &root, "one", b"more");
        volume.close(root).unwrap();
        volume.sync_all().unwrap();
        store.reset_calls();
        own::snapshot(&mut mounts, "/", "second", 64).unwrap();
        costs.push((store.calls().gets, store.calls().scans, store.calls().applies));
    }
    assert_eq!(costs[0], costs[1]);
    assert!(costs[0].0 <= 6 && costs[0].1 == 0 && costs[0].2 == 1, "{costs:?}");
}

/// A guest may have the longest paths, and as many files as it likes.
#[test]
fn a_comparison_of_too_much_is_refused_before_it_takes_the_memory() {
    let store = TestStore::new(LARGE);
    let mut mounts = mounts(&store);
    let deep = |volume: &mut kvfs::Volume| {
        let mut dir = volume.root().unwrap();
        for number in 0..15 {
            let name = format!("{number:0>250}");
            let _ = volume.create_directory_at(&dir, &name);
            let inner = volume
                .open_at(&dir, &name, Follow::No, kvfs::OpenFlags::default(), kvfs::Access::default())
                .unwrap();
            volume.close(std::mem::replace(&mut dir, inner)).unwrap();
        }
        dir
    };
    own::snapshot(&mut mounts, "/", "before", 9).unwrap();
    for (files, is_too_much) in [(0..10_000, false), (10_000..16_000, true)] {
        let volume = mounts.volume(MountNo(0)).unwrap();
        let dir = deep(volume);
        for number in files.clone() {
            write(volume, &dir, &format!("{number:0>250}"), b"x");
        }
        volume.close(dir).unwrap();
        let found = own::diff(&mut mounts, "/", "before").map(|found| found.len());
        assert_eq!(found, if is_too_much { Err(OwnError::TooDifferent) } else { Ok(files.len() + 15) });
    }
    // The way out.
    own::snapshot(&mut mounts, "/", "now", 9).unwrap();
    assert_eq!(own::diff(&mut mounts, "/", "now"), Ok(Vec::new()));
    own::restore(&mut mounts, "/", "before").unwrap();
    assert_eq!(own::diff(&mut mounts, "/", "before"), Ok(Vec::new()));
}

/// A store that is full: nothing is lost, and a restore to an emptier snapshot works.
#[test]
fn a_guest_of_a_full_store_can_restore_a_snapshot() {
    let store = TestStore::new(LARGE);
    let mut mounts = mounts(&store);
    own::snapshot(&mut mounts, "/", "empty", 9).unwrap();
    act(&mut mounts, &Step::Write(0, 100)).unwrap();
    mounts.sync_all().unwrap();
    store.set_room(store.bytes() + 2_000);
    let full = (1..40).map(|file| act(&mut mounts, &Step::Write(file % 4, 150))).find(Result::is_err);
    let full = full.expect("a full store").unwrap_err();
    assert!(matches!(full, OwnError::Failed(Error::Store(StoreError::QuotaExceeded))), "{full:?}");
    own::restore(&mut mounts, "/", "empty").unwrap();
    assert!(files(mounts.volume(MountNo(0)).unwrap()).is_empty());
    act(&mut mounts, &Step::Write(0, 2)).unwrap();
    mounts.sync_all().unwrap();
}
