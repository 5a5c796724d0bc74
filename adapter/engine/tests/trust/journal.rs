//! The journal on stores with the smallest limits: promises that the other suites do not check.

use crate::fixture::write;
use crate::run::TestClock;
use crate::store::{Fault, JOURNALLED, LARGE, Map, SMALL, TINY, TestStore, tag_of};
use crate::tree;
use kvfs::{Descriptor, Error, Follow, Limits, Mode, Options, Volume, fsck, probe};
use std::rc::Rc;

fn options() -> Options {
    Options { volume: "v".to_owned(), mode: Mode::Lazy, ..Options::default() }
}

fn try_open(store: &TestStore) -> Result<(Volume, Descriptor), Error> {
    let mut volume = Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), options())?;
    let root = volume.root()?;
    Ok((volume, root))
}

fn open(store: &TestStore) -> (Volume, Descriptor) {
    try_open(store).unwrap()
}

fn make(volume: &mut Volume, root: &Descriptor, path: &str, bytes: usize) {
    write(volume, root, path, &vec![7; bytes]);
}

/// The stores after each apply of a commit in several parts, and the index of the apply that
/// committed it.
fn cuts_of_a_commit(limits: Limits) -> (Vec<Map>, usize) {
    let store = TestStore::new(limits);
    let (mut volume, root) = open(&store);
    volume.create_directory_at(&root, "d").unwrap();
    volume.symlink_at(&"x/".repeat(250), &root, "before").unwrap();
    volume.sync_all().unwrap();
    let before = store.log_len();
    volume.rename_at(&root, "before", &root, "d/after").unwrap();
    for name in ["one", "two", "three", "four", "five", "six"] {
        volume.symlink_at(&"y/".repeat(250), &root, name).unwrap();
    }
    volume.sync_all().unwrap();
    let (mut map, mut maps, mut commit) = (Map::new(), Vec::new(), None);
    for (number, applied) in store.0.borrow().log.iter().enumerate() {
        applied.replay(&mut map);
        if number >= before {
            if applied.commits_journal() {
                commit = Some(maps.len());
            }
            maps.push(map.clone());
        }
    }
    (maps, commit.expect("the commit went through the journal"))
}

#[test]
fn damage_is_reported_in_a_committed_journal_and_ignored_in_another() {
    let (mut looked_at, mut refused) = (0, 0);
    for limits in JOURNALLED {
        let (maps, commit) = cuts_of_a_commit(limits);
        for (cut, map) in maps.iter().enumerate() {
            let committed = map.keys().any(|key| tag_of(key) == 0x02 && key.len() == 3);
            assert!(committed || cut < commit || cut > commit + 1);
            for key in map.keys().filter(|key| tag_of(key) == 0x02) {
                for damage in 0..3 {
                    let mut bad = map.clone();
                    let mut value = bad[key].to_vec();
                    match damage {
                        0 => drop(bad.remove(key)),
                        1 => {
                            value[30] ^= 1;
                            bad.insert(key.clone(), Rc::from(value));
                        }
                        _ => drop(bad.insert(key.clone(), Rc::from(&value[..20]))),
                    }
                    looked_at += 1;
                    let store = TestStore::from_map(bad, limits);
                    let report = fsck(&mut store.clone(), "v").unwrap();
                    let is_commit_record = key.len() == 3;
                    match try_open(&store) {
                        // A journal without its commit record was never committed. The loss of a
                        // whole record by the store shows in other records.
                        Ok((mut volume, _)) => {
                            assert!(!committed || (damage == 0 && is_commit_record));
                            let _ = tree::of_volume(&mut volume);
                        }
                        Err(Error::Damaged(damage)) => {
                            refused += 1;
                            assert!(committed && damage.record == "journal");
                            assert!(!report.is_clean());
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
        }
    }
    assert!(refused > 50 && looked_at > refused + 50, "{refused} of {looked_at}");
}

#[test]
fn after_any_cut_an_opener_leaves_no_journal_record() {
    for limits in JOURNALLED {
        let (maps, commit) = cuts_of_a_commit(limits);
        for (cut, map) in maps.into_iter().enumerate() {
            let store = TestStore::from_map(map, limits);
            let (mut volume, root) = open(&store);
            assert!(!store.0.borrow().map.keys().any(|key| tag_of(key) == 0x02), "cut {cut}");
            let renamed = volume.stat_at(&root, "d/after", Follow::No).is_ok();
            assert_eq!(renamed, cut >= commit, "cut {cut}");
            assert_eq!(volume.stat_at(&root, "three", Follow::No).is_ok(), renamed);
            assert_eq!(volume.stat_at(&root, "before", Follow::No).is_err(), renamed);
        }
    }
}

#[test]
fn a_journal_that_a_full_store_keeps_from_its_place_is_read_nevertheless() {
    for limits in JOURNALLED {
        let (maps, commit) = cuts_of_a_commit(limits);
        let store = TestStore::from_map(maps[commit].clone(), limits);
        // The opener's own apply succeeds, and nothing after it.
        store.set_fault(Fault::QuotaExceeded, 1, u64::MAX);
        let (mut volume, root) = open(&store);
        let found = tree::of_volume(&mut volume).unwrap();
        assert!(
            found.contains_key("d/after") && found.contains_key("three") && !found.contains_key("before")
        );
        assert_eq!(found["three"].target, "y/".repeat(250));
        volume.create_directory_at(&root, "new").unwrap();
        assert!(volume.sync_all().is_err());
        store.clear_fault();
        volume.sync_all().unwrap();
        let found = tree::of_volume(&mut open(&store).0).unwrap();
        assert!(found.contains_key("d/after") && found.contains_key("new"));
        assert!(fsck(&mut store.clone(), "v").unwrap().is_clean());
    }
}

#[test]
fn a_volume_too_large_for_the_stores_limits_is_refused_and_its_writer_stays() {
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open(&store);
    make(&mut volume, &root, "a", 100_000);
    volume.sync_all().unwrap();
    for (limits, word) in [
        (TINY, "max-value-bytes"),
        (Limits { max_value_bytes: 1 << 20, ..SMALL }, "max-batch-bytes"),
        (Limits { max_batch_entries: 1, ..LARGE }, "max-batch-entries"),
        (Limits { max_batch_bytes: 4095, ..LARGE }, "max-batch-bytes"),
        (Limits { max_value_bytes: 639, ..LARGE }, "max-value-bytes"),
        (Limits { max_key_bytes: 519, ..LARGE }, "max-key-bytes"),
    ] {
        store.0.borrow_mut().limits = limits;
        for outcome in [try_open(&store).map(drop), probe(&mut store.clone(), "v").map(drop)] {
            let Err(Error::StoreLimits(what)) = outcome else { panic!("{limits:?}: {outcome:?}") };
            assert!(what.contains(word), "{limits:?}: {what}");
        }
    }
    store.0.borrow_mut().limits = LARGE;
    make(&mut volume, &root, "b", 10);
    volume.sync_all().unwrap();

    // A volume whose records fit goes on with smaller limits: neither the number of entries
    // matters, nor a batch of a single extent.
    let little =
        Limits { max_value_bytes: 40 << 10, max_batch_entries: 2, max_batch_bytes: 40 << 10, ..LARGE };
    store.0.borrow_mut().limits = little;
    let (mut volume, root) = open(&store);
    make(&mut volume, &root, "c", 100_000);
    volume.rename_at(&root, "c", &root, "a").unwrap();
    volume.sync_all().unwrap();
    assert!(fsck(&mut store.clone(), "v").unwrap().is_clean());
}

#[test]
fn the_longest_links_and_names_fit_the_smallest_store() {
    for limits in JOURNALLED {
        let name = "n".repeat(255);
        let volume_name = "v".repeat(255);
        let store = TestStore::new(limits);
        let options = Options { volume: volume_name.clone(), ..options() };
        let again = || {
            Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), options.clone()).unwrap()
        };
        let mut volume = again();
        let root = volume.root().unwrap();
        let mut longest = 0;
        for length in [4095, 2048, 2047, 1024, 1023, 512] {
            match volume.symlink_at(&"t".repeat(length), &root, &name) {
                Ok(()) => {
                    longest = length;
                    break;
                }
                Err(error) => assert_eq!(error, Error::NameTooLong),
            }
        }
        assert!(longest >= 512, "{limits:?}");
        volume.create_directory_at(&root, "d").unwrap();
        volume.link_at(&root, &name, Follow::No, &root, &format!("d/{name}")).unwrap();
        make(&mut volume, &root, &"f".repeat(255), 50_000);
        volume.rename_at(&root, &"f".repeat(255), &root, &format!("d/{}", "g".repeat(255))).unwrap();
        volume.sync_all().unwrap();
        let mut volume = again();
        let root = volume.root().unwrap();
        assert_eq!(volume.readlink_at(&root, &format!("d/{name}")).unwrap().len(), longest);
        let found = tree::of_volume(&mut volume).unwrap();
        assert_eq!(found[&format!("d/{}", "g".repeat(255))].regions[0].1, vec![7; 50_000]);
        assert!(fsck(&mut store.clone(), &volume_name).unwrap().is_clean());
    }
}

/// Each apply takes the superblock and one record. A new file is three records.
#[test]
fn on_the_smallest_store_a_small_file_costs_five_applies_and_one_change_one() {
    let limits = Limits { max_value_bytes: 4 << 10, ..TINY };
    let store = TestStore::new(limits);
    let (mut volume, root) = open(&store);
    make(&mut volume, &root, "a", 100);
    volume.sync_all().unwrap();
    store.reset_calls();
    make(&mut volume, &root, "b", 100);
    volume.sync_all().unwrap();
    let calls = store.calls();
    assert_eq!((calls.applies, calls.total()), (5, 5), "journal, three records, journal deleted");
    store.reset_calls();
    make(&mut volume, &root, "b", 100);
    volume.sync_all().unwrap();
    assert_eq!((store.calls().applies, store.calls().total()), (1, 1));
}
