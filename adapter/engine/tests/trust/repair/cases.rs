//! Single cases of repair: names, rings of directories, lost bytes, garbage.

use super::{ACCEPT, KEEP, key, mend, seal, sealed};
use crate::fixture::open_volume;
use crate::ops::Setup;
use crate::run::TestClock;
use crate::store::{LARGE, Map, TestStore};
use crate::tree::{self, Tree};
use kvfs::{
    Access, At, Error, Follow, Invariant, Kind, KvStore, OpenFlags, Repair, RepairOptions, Volume, fsck,
    repair,
};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A small volume: a file `f` in extents, a directory `d` with a file `d/g`, and a symbolic link
/// `l`.
fn small() -> (TestStore, BTreeMap<&'static str, u64>) {
    let store = TestStore::new(LARGE);
    let options = kvfs::Options { extent_bytes: 512, inline_bytes: 64, ..Setup::plain().options() };
    let (mut volume, root) = open_volume(&store, options);
    volume.create_directory_at(&root, "d").unwrap();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let write = Access { read: true, write: true, ..Access::default() };
    let mut numbers = BTreeMap::new();
    for (name, length) in [("f", 2000), ("d/g", 10)] {
        let file = volume.open_at(&root, name, Follow::No, create, write).unwrap();
        volume.write(&file, At::Offset(0), &vec![7; length]).unwrap();
        volume.close(file).unwrap();
    }
    volume.symlink_at("f", &root, "l").unwrap();
    for name in ["f", "d", "d/g", "l"] {
        numbers.insert(name, volume.stat_at(&root, name, Follow::No).unwrap().ino.0);
    }
    volume.sync_all().unwrap();
    (store, numbers)
}

fn look(store: &TestStore) -> Tree {
    let open =
        Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), Setup::plain().options());
    tree::of_volume(&mut open.unwrap()).unwrap()
}

fn change(store: &TestStore, change: impl FnOnce(&mut Map)) {
    change(&mut store.0.borrow_mut().map);
}

fn mended_with(store: &TestStore, options: RepairOptions) -> (Repair, Tree) {
    let done = mend(&Setup::plain(), store, options).unwrap();
    assert!(done.after.is_clean(), "{done:#?}");
    (done, look(store))
}

#[test]
fn a_file_without_a_name_goes_to_lost_and_found() {
    let (store, numbers) = small();
    change(&store, |map| drop(map.remove(&key(0x11, &[&1u64.to_be_bytes()[..], b"f"].concat()))));
    let (_, tree) = mended_with(&store, KEEP);
    assert_eq!(tree[&format!("lost+found/#{}", numbers["f"])].regions, [(0, vec![7; 2000])]);
    assert!(!tree.contains_key("f"));
}

#[test]
fn a_flipped_bit_in_an_entry_costs_no_name() {
    let (store, numbers) = small();
    for at in [0, 9, 12, 15] {
        change(&store, |map| {
            let entry = map.get_mut(&key(0x11, &[&1u64.to_be_bytes()[..], b"d"].concat())).unwrap();
            let mut value = entry.to_vec();
            value[at] ^= 4;
            *entry = Rc::from(value);
        });
        let (_, tree) = mended_with(&store, KEEP);
        assert_eq!(tree["d/g"].id, numbers["d/g"], "byte {at}");
        assert!(!tree.contains_key("lost+found"), "byte {at}");
    }
}

#[test]
fn a_ring_of_directories_is_cut_and_moved_to_lost_and_found() {
    let (store, numbers) = small();
    let d = numbers["d"].to_be_bytes();
    // `d` is moved into itself, so nothing leads to it any more.
    change(&store, |map| {
        let entry = map.remove(&key(0x11, &[&1u64.to_be_bytes()[..], b"d"].concat())).unwrap();
        let inside = key(0x11, &[&d[..], b"d"].concat());
        map.insert(inside.clone(), sealed(&inside, 0x11, &entry[16..]));
    });
    let (_, tree) = mended_with(&store, KEEP);
    assert_eq!(tree[&format!("lost+found/#{}/g", numbers["d"])].id, numbers["d/g"]);
}

#[test]
fn a_directory_keeps_the_name_that_it_agrees_with() {
    let (store, numbers) = small();
    let options = Setup::plain().options();
    let (mut volume, root) = open_volume(&store, options);
    volume.create_directory_at(&root, "d/s").unwrap();
    let s = volume.stat_at(&root, "d/s", Follow::No).unwrap().ino.0;
    volume.sync_all().unwrap();
    drop(volume);
    // A walk from the root finds this name first.
    let wrong = key(0x11, &[&1u64.to_be_bytes()[..], b"again"].concat());
    let entry = [&[2], &s.to_be_bytes()[..]].concat();
    change(&store, |map| drop(map.insert(wrong.clone(), sealed(&wrong, 0x11, &entry))));
    let (_, tree) = mended_with(&store, KEEP);
    assert_eq!((tree["d/s"].id, tree["d/g"].id), (s, numbers["d/g"]));
    assert!(!tree.contains_key("again"), "{:?}", tree.keys());
}

#[test]
fn garbage_and_unlinked_files_do_not_come_back() {
    let (store, numbers) = small();
    change(&store, |map| {
        map.remove(&key(0x11, &[&1u64.to_be_bytes()[..], b"f"].concat()));
        // Inode 500 was removed and its extents wait. Inode 501 was unlinked while open, and is
        // damaged.
        let (reap, orphan) = (key(0x30, &500u64.to_be_bytes()), key(0x31, &501u64.to_be_bytes()));
        let body = [0u64.to_be_bytes(), 3u64.to_be_bytes()].concat();
        map.insert(reap.clone(), sealed(&reap, 0x30, &body));
        map.insert(orphan.clone(), sealed(&orphan, 0x31, &[]));
        map.insert(key(0x10, &501u64.to_be_bytes()), Rc::from(&b"damaged"[..]));
        for (ino, index) in [(500u64, 0u64), (500, 2), (501, 0), (501, 7)] {
            let at = key(0x20, &[ino.to_be_bytes(), index.to_be_bytes()].concat());
            map.insert(at.clone(), sealed(&at, 0x20, b"garbage"));
        }
    });
    let (_, tree) = mended_with(&store, ACCEPT);
    let found: Vec<&str> = tree.keys().filter_map(|path| path.strip_prefix("lost+found/")).collect();
    assert_eq!(found, [format!("#{}", numbers["f"])]);
}

#[test]
fn a_dangling_name_is_removed_before_its_number_is_reused() {
    let (store, _) = small();
    let next = u64::from_be_bytes(store.0.borrow().map[&key(0, &[])][80..88].try_into().unwrap());
    change(&store, |map| {
        for name in [&b"ghost"[..], b"ghoul"] {
            let number = next + u64::from(name == b"ghoul");
            let at = key(0x11, &[&1u64.to_be_bytes()[..], name].concat());
            map.insert(at.clone(), sealed(&at, 0x11, &[&[1], &number.to_be_bytes()[..]].concat()));
        }
        map.insert(key(0x77, &[]), Rc::from(&b"strange"[..]));
    });
    let (_, tree) = mended_with(&store, KEEP);
    assert!(!tree.contains_key("ghost") && !tree.contains_key("ghoul"), "{:?}", tree.keys());
    assert!(tree.contains_key("lost+found"));
}

#[test]
fn a_damaged_extent_stays_an_error_until_the_loss_is_accepted() {
    let (store, numbers) = small();
    let at = key(0x20, &[numbers["f"].to_be_bytes(), 1u64.to_be_bytes()].concat());
    change(&store, |map| {
        let mut value = map[&at].to_vec();
        value[100] ^= 1;
        map.insert(at.clone(), Rc::from(value));
    });
    let before = store.0.borrow().map[&at].clone();
    let done = mend(&Setup::plain(), &store, KEEP).unwrap();
    assert!(done.fixes.is_empty() && done.after.findings.len() == 1, "{done:#?}");
    let (mut volume, root) = open_volume(&store, Setup::plain().options());
    let file = volume.open_at(&root, "f", Follow::No, OpenFlags::default(), Access::default()).unwrap();
    assert!(matches!(volume.read(&file, 0, 2000, &mut Vec::new()), Err(Error::Damaged(_))));
    volume.close(file).unwrap();
    volume.close(root).unwrap();
    drop(volume);
    let (_, tree) = mended_with(&store, ACCEPT);
    let expected = [vec![7; 512], vec![0; 512], vec![7; 2000 - 1024]].concat();
    assert_eq!(tree["f"].regions, [(0, expected)]);
    // Key and value of the damaged record are kept.
    let found = tree.iter().find(|(path, leaf)| path.starts_with("lost+found/") && leaf.kind == Kind::File);
    let bytes = &found.unwrap().1.regions[0].1;
    let hex: String = at.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(*bytes, [format!("damaged record of key {hex}\n").as_bytes(), &before].concat());
}

#[test]
fn a_missing_extent_is_an_error_and_not_zeros() {
    let (store, numbers) = small();
    change(&store, |map| {
        map.remove(&key(0x20, &[numbers["f"].to_be_bytes(), 2u64.to_be_bytes()].concat()));
    });
    let done = mend(&Setup::plain(), &store, KEEP).unwrap();
    assert_eq!(done.after.findings[0].invariant, Invariant::ExtentCount);
    let mut volume =
        Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), Setup::plain().options())
            .unwrap();
    assert!(matches!(tree::of_volume(&mut volume), Err(Error::Damaged(_))));
    drop(volume);
    mended_with(&store, ACCEPT);
}

#[test]
fn a_lost_superblock_is_rebuilt_and_no_new_volume_replaces_it() {
    let (store, _) = small();
    let whole = look(&store);
    change(&store, |map| drop(map.remove(&key(0, &[]))));
    let open = || {
        let options = Setup::plain().options();
        Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), options).map(drop)
    };
    let before = store.0.borrow().map.clone();
    assert!(matches!(open(), Err(Error::Damaged(_))));
    assert!(matches!(kvfs::probe(&mut store.clone(), "v"), Err(Error::Damaged(_))));
    assert_eq!(store.0.borrow().map, before);
    let (_, tree) = mended_with(&store, KEEP);
    assert_eq!(tree::difference(&whole, &tree), None);
}

#[test]
fn records_of_impossible_inode_numbers_are_moved_away() {
    let (store, _) = small();
    let whole = look(&store);
    let last = u64::MAX.to_be_bytes();
    change(&store, |map| {
        for (tag, rest) in [
            (0x10, last.to_vec()),
            (0x10, vec![0; 8]),
            (0x11, [&last[..], b"x"].concat()),
            (0x20, [last, last].concat()),
            (0x20, [5000u64.to_be_bytes(), last].concat()),
            (0x30, last.to_vec()),
            (0x31, last.to_vec()),
            (0x77, vec![]),
        ] {
            let at = key(tag, &rest);
            map.insert(at.clone(), sealed(&at, tag, &[1; 16]));
        }
        let at = key(0x11, &[&1u64.to_be_bytes()[..], b"nowhere"].concat());
        map.insert(at.clone(), sealed(&at, 0x11, &[&[1], &(u64::MAX - 1).to_be_bytes()[..]].concat()));
    });
    let (_, mut tree) = mended_with(&store, KEEP);
    tree.retain(|path, _| !path.starts_with("lost+found"));
    tree.get_mut("").unwrap().clone_from(&whole[""]);
    assert_eq!(tree::difference(&whole, &tree), None);
}

#[test]
fn a_file_called_lost_and_found_is_left_alone() {
    let (store, numbers) = small();
    let (mut volume, root) = open_volume(&store, Setup::plain().options());
    volume.rename_at(&root, "l", &root, "lost+found").unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    change(&store, |map| drop(map.remove(&key(0x11, &[&1u64.to_be_bytes()[..], b"f"].concat()))));
    let (_, tree) = mended_with(&store, KEEP);
    assert_eq!(tree["lost+found"].id, numbers["l"]);
    assert_eq!(tree[&format!("lost+found-1/#{}", numbers["f"])].id, numbers["f"]);
}

#[test]
fn a_repair_fences_off_an_open_volume() {
    let (store, _) = small();
    let (mut volume, root) = open_volume(&store, Setup::plain().options());
    change(&store, |map| drop(map.remove(&key(0x11, &[&1u64.to_be_bytes()[..], b"f"].concat()))));
    mended_with(&store, KEEP);
    let late = volume.create_directory_at(&root, "late").and_then(|()| volume.sync_all());
    assert_eq!(late, Err(Error::Fenced));
    assert!(fsck(&mut store.clone(), "v").unwrap().is_clean());
}

#[test]
fn an_opener_during_a_repair_fences_the_repair_off() {
    /// Takes the volume over before the second apply.
    struct Meddler(TestStore);
    impl KvStore for Meddler {
        fn limits(&mut self) -> Result<kvfs::Limits, kvfs::StoreError> {
            self.0.limits()
        }
        fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, kvfs::StoreError> {
            self.0.get(keys)
        }
        fn scan(&mut self, a: &[u8], b: &[u8], c: u32, d: u32) -> Result<Vec<kvfs::Entry>, kvfs::StoreError> {
            self.0.scan(a, b, c, d)
        }
        fn apply(
            &mut self,
            guards: &[kvfs::Guard<'_>],
            mutations: &[kvfs::Mutation<'_>],
            level: kvfs::Durability,
        ) -> Result<(), kvfs::StoreError> {
            if self.0.calls().applies == 1 {
                look(&self.0);
            }
            self.0.apply(guards, mutations, level)
        }
    }
    let (store, _) = small();
    change(&store, |map| drop(map.remove(&key(0x11, &[&1u64.to_be_bytes()[..], b"f"].concat()))));
    store.reset_calls();
    let done = repair(&mut Meddler(store.clone()), &mut TestClock::default(), "v", KEEP);
    assert_eq!(done, Err(Error::Fenced));
    mended_with(&store, KEEP);
}

#[test]
fn a_volume_of_another_version_is_left_alone() {
    let (store, _) = small();
    change(&store, |map| {
        let at = key(0, &[]);
        let mut value = map[&at].to_vec();
        value[25] += 1;
        seal(&at, &mut value);
        map.insert(at, Rc::from(value));
        map.insert(key(0x77, &[]), Rc::from(&b"strange"[..]));
    });
    let before = store.0.borrow().map.clone();
    assert!(matches!(mend(&Setup::plain(), &store, ACCEPT), Err(Error::Format(_))));
    assert_eq!(store.0.borrow().map, before);
}
