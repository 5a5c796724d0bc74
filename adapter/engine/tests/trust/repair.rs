//! Damages volumes in every way there is, repairs them, and looks for what was not damaged: all of it
//! must be there, byte for byte, and a second look must find nothing.

use crate::model::Model;
use crate::ops::{Op, Setup};
use crate::rng::Rng;
use crate::run::{Check, Runner, TestClock};
use crate::shrink::no_seed_fails;
use crate::store::{LARGE, Map, TestStore, tag_of};
use crate::tree::{self, Leaf, Tree};
use kvfs::{
    Access, At, Error, Follow, Invariant, Kind, KvStore, OpenFlags, Repair, RepairOptions, Volume, fsck,
    repair,
};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh64::xxh64;

static REPAIRED: AtomicU64 = AtomicU64::new(0);
static CUT: AtomicU64 = AtomicU64::new(0);
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);

const ACCEPT: RepairOptions = RepairOptions { accept_loss: true };
const KEEP: RepairOptions = RepairOptions { accept_loss: false };

fn mend(store: &TestStore, options: RepairOptions) -> Result<Repair, Error> {
    repair(&mut store.clone(), &mut TestClock::default(), "v", options)
}

/// Writes the checksum that makes a value believed.
fn seal(key: &[u8], value: &mut [u8]) {
    let sum = xxh64(&value[8..], xxh64(key, 0)).to_be_bytes();
    value[..8].copy_from_slice(&sum);
}

fn sealed(key: &[u8], tag: u8, body: &[u8]) -> Rc<[u8]> {
    let mut value = vec![0; 8];
    value.extend([1, tag, 0, 0]);
    value.extend((body.len() as u32).to_be_bytes());
    value.extend(body);
    seal(key, &mut value);
    Rc::from(value)
}

/// A key of the volume `v`.
fn key(tag: u8, rest: &[u8]) -> Vec<u8> {
    [&[1, b'v', tag], rest].concat()
}

fn inode_of(key: &[u8]) -> u64 {
    key.get(3..11).map_or(0, |number| u64::from_be_bytes(number.try_into().unwrap()))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    Flipped,
    Cut,
    Empty,
    OfAnotherKey,
    Missing,
    /// An older value, or one from before the record was removed.
    Stale,
    /// A field of another value, under a right checksum.
    Altered,
}

const DAMAGES: [Damage; 7] = [
    Damage::Flipped,
    Damage::Cut,
    Damage::Empty,
    Damage::OfAnotherKey,
    Damage::Missing,
    Damage::Stale,
    Damage::Altered,
];

/// Does `damage` to the record of `key`. Returns whether there was a way to.
fn inflict(map: &mut Map, store: &TestStore, key: &[u8], damage: Damage, rng: &mut Rng) -> bool {
    let Some(value) = map.get(key).cloned().filter(|value| value.len() >= 16) else { return false };
    let tag = tag_of(key);
    let wrong: Vec<u8> = match damage {
        Damage::Flipped => {
            let mut value = value.to_vec();
            let at = rng.below(value.len() as u64) as usize;
            value[at] ^= 1 << rng.below(8);
            value
        }
        Damage::Cut => value[..rng.below(value.len() as u64) as usize].to_vec(),
        Damage::Empty => Vec::new(),
        Damage::OfAnotherKey => {
            let others: Vec<_> =
                map.iter().filter(|(other, _)| *other != key && tag_of(other) == tag).collect();
            let Some((_, other)) = others.get(rng.below(others.len() as u64) as usize) else { return false };
            other.to_vec()
        }
        Damage::Missing => {
            map.remove(key);
            return true;
        }
        Damage::Stale => {
            let inner = store.0.borrow();
            let mut log = inner.log.iter().flat_map(|applied| &applied.changes);
            let old = log.find(|(other, old)| other == key && old.as_ref().is_some_and(|old| *old != value));
            let Some((_, Some(old))) = old else { return false };
            old.to_vec()
        }
        Damage::Altered => {
            // What a superblock says of the volume's shape is all there is to say it.
            let (from, to) = if tag == 0 { (72, 104) } else { (16, value.len() as u64) };
            if from >= to {
                return false;
            }
            let mut value = value.to_vec();
            value[(from + rng.below(to - from)) as usize] ^= 1 << rng.below(8);
            seal(key, &mut value);
            value
        }
    };
    map.insert(key.to_vec(), Rc::from(wrong));
    true
}

/// What must come out of a repair.
struct Expected<'m> {
    model: &'m Model,
    tree: Tree,
    /// Inodes whose record or bytes were damaged.
    hurt: BTreeSet<u64>,
    /// Whether every name that was not damaged must lead where it led.
    names_stay: bool,
    /// Names that were damaged.
    lost_names: Vec<(u64, String)>,
}

impl<'m> Expected<'m> {
    fn new(model: &'m Model) -> Self {
        let (hurt, lost_names) = (BTreeSet::new(), Vec::new());
        Expected { tree: tree::of_model(model), model, hurt, names_stay: true, lost_names }
    }

    fn damaged(&mut self, key: &[u8], damage: Damage) {
        match tag_of(key) {
            0x10 | 0x20 => drop(self.hurt.insert(inode_of(key))),
            0x11 => {
                self.lost_names.push((inode_of(key), String::from_utf8_lossy(&key[11..]).into_owned()));
                self.names_stay &= !matches!(damage, Damage::Stale | Damage::Altered);
            }
            _ => {}
        }
    }

    /// Whether a damaged entry lies on this path.
    fn lost_its_way(&self, path: &str) -> bool {
        let mut dir = 1;
        for name in path.split('/') {
            if self.lost_names.iter().any(|(at, lost)| *at == dir && lost == name) {
                return true;
            }
            dir = self.model.entries(dir).and_then(|entries| entries.get(name)).copied().unwrap_or_default();
        }
        false
    }

    fn check(&self, setup: &Setup, store: &TestStore) -> Check {
        let report = fsck(&mut store.clone(), "v").map_err(|error| format!("fsck: {error:?}"))?;
        if !report.is_clean() {
            return Err(format!("not clean: {:?}", report.findings));
        }
        let open = Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), setup.options());
        let mut volume = open.map_err(|error| format!("opening: {error:?}"))?;
        let found = tree::of_volume(&mut volume).map_err(|error| format!("reading: {error:?}"))?;
        let by_number: BTreeMap<u64, &Leaf> = found.values().map(|leaf| (leaf.id, leaf)).collect();
        for (path, leaf) in &self.tree {
            if leaf.kind != Kind::Directory && self.hurt.contains(&leaf.id) {
                continue;
            }
            // A directory has nothing but its entries, and a new number if its own was hurt.
            if !(leaf.kind == Kind::Directory && self.hurt.contains(&leaf.id)) {
                let Some(now) = by_number.get(&leaf.id) else {
                    return Err(format!("{path:?}, inode {}, is gone; there is {found:?}", leaf.id));
                };
                let same_times = leaf.kind == Kind::Directory || now.times == leaf.times;
                let same = (now.kind, &now.target, &now.regions) == (leaf.kind, &leaf.target, &leaf.regions);
                if !same || !same_times {
                    return Err(format!("{path:?}: expected {leaf:?}, found {now:?}"));
                }
            }
            if self.names_stay
                && !self.lost_its_way(path)
                && found.get(path).map(|now| now.id) != Some(leaf.id)
                && !self.hurt.contains(&leaf.id)
            {
                return Err(format!("{path:?} does not lead to inode {} any more", leaf.id));
            }
        }
        Ok(())
    }
}

/// A volume that random operations have made, and what it holds.
fn good_volume(setup: &Setup, ops: &[Op]) -> Result<(TestStore, Model), String> {
    let store = TestStore::new(setup.limits);
    let mut runner = Runner::new(setup, store.clone(), false)?;
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op)?;
    }
    runner.volume().sync_all().map_err(|error| format!("{error:?}"))?;
    Ok((store, runner.model.clone()))
}

/// Repairs `bad`, then again after every cut on the way, and checks each outcome.
fn mended(setup: &Setup, bad: &Map, expected: &Expected<'_>, cuts: bool) -> Check {
    let superblock = bad.get(&key(0, &[])).cloned();
    let store = TestStore::from_map(bad.clone(), setup.limits);
    let done = match mend(&store, ACCEPT) {
        Ok(done) => done,
        Err(Error::Format(_)) => return Ok(()),
        Err(Error::NoEntry) if bad.is_empty() => return Ok(()),
        Err(error) => return Err(format!("repairing: {error:?}")),
    };
    REPAIRED.fetch_add(1, Ordering::Relaxed);
    if !done.after.is_clean() && done.fixes.is_empty() {
        // The size of the extents is lost, and nothing tells it.
        GIVEN_UP.fetch_add(1, Ordering::Relaxed);
        let readable = superblock.is_some_and(|value| value.len() > 60 && done.before.is_clean());
        let told = done.after.findings.iter().any(|finding| finding.key == key(0, &[]));
        return match !readable && told && store.0.borrow().map == *bad {
            true => Ok(()),
            false => Err(format!("given up: {:?}", done.after.findings)),
        };
    }
    let story = |what: String| format!("{what}\nbefore: {:?}\ndone: {:?}", done.before.findings, done.fixes);
    expected.check(setup, &TestStore::from_map(store.0.borrow().map.clone(), setup.limits)).map_err(story)?;
    let again = mend(&store, ACCEPT).map_err(|error| format!("again: {error:?}"))?;
    if !again.fixes.is_empty() || !again.before.is_clean() {
        return Err(story(format!("a second repair does {:?}", again.fixes)));
    }
    let log = std::mem::take(&mut store.0.borrow_mut().log);
    let mut map = bad.clone();
    for applied in log.iter().take(if cuts { log.len() } else { 0 }) {
        applied.replay(&mut map);
        let store = TestStore::from_map(map.clone(), setup.limits);
        mend(&store, ACCEPT).map_err(|error| story(format!("after a cut: {error:?}")))?;
        CUT.fetch_add(1, Ordering::Relaxed);
        expected.check(setup, &store).map_err(|what| story(format!("after a cut: {what}")))?;
    }
    Ok(())
}

/// Without the loss accepted: nothing that could be read is gone, what is left is told, and it stays so.
fn kept(setup: &Setup, bad: &Map, expected: &Expected<'_>) -> Check {
    let store = TestStore::from_map(bad.clone(), setup.limits);
    let done = match mend(&store, KEEP) {
        Ok(done) => done,
        Err(Error::Format(_)) => return Ok(()),
        Err(error) => return Err(format!("repairing: {error:?}")),
    };
    let left = |finding: &kvfs::Finding| {
        let lost = [
            Invariant::Value,
            Invariant::ExtentLength,
            Invariant::ExtentCount,
            Invariant::ExtentRange,
            Invariant::EntryTarget,
        ];
        lost.contains(&finding.invariant)
    };
    if !done.fixes.is_empty() && !done.after.findings.iter().all(left) {
        return Err(format!("left: {:?}", done.after.findings));
    }
    let again = mend(&store, KEEP).map_err(|error| format!("again: {error:?}"))?;
    if !again.fixes.is_empty() || again.before != done.after {
        return Err(format!("a second repair does {:?}", again.fixes));
    }
    // Those who take the loss later find the same.
    let after = store.0.borrow().map.clone();
    mended(setup, &after, expected, false)
}

fn every_record(setup: &Setup, ops: &[Op]) -> Check {
    let (store, model) = good_volume(setup, ops)?;
    let map = store.0.borrow().map.clone();
    let mut rng = Rng::new(ops.len() as u64 + map.len() as u64);
    let old: BTreeSet<Vec<u8>> = map.keys().cloned().collect();
    for damage in DAMAGES {
        for key in &old {
            let mut bad = map.clone();
            if !inflict(&mut bad, &store, key, damage, &mut rng) {
                continue;
            }
            let mut expected = Expected::new(&model);
            expected.damaged(key, damage);
            let name = |what| format!("{damage:?} {key:02x?}: {what}");
            mended(setup, &bad, &expected, true).map_err(name)?;
            kept(setup, &bad, &expected).map_err(|what| format!("kept: {}", name(what)))?;
        }
    }
    Ok(())
}

#[test]
fn one_wrong_record_costs_no_other_whatever_cuts_the_repair_short() {
    no_seed_fails(120, 40, &every_record);
    println!(
        "{} volumes repaired, {} repairs cut short, {} given up",
        REPAIRED.load(Ordering::Relaxed),
        CUT.load(Ordering::Relaxed),
        GIVEN_UP.load(Ordering::Relaxed)
    );
}

fn many_records(setup: &Setup, ops: &[Op]) -> Check {
    let (store, model) = good_volume(setup, ops)?;
    let map = store.0.borrow().map.clone();
    let mut rng = Rng::new(ops.len() as u64 + map.len() as u64);
    let keys: Vec<Vec<u8>> = map.keys().cloned().collect();
    for _ in 0..20 {
        let (mut bad, mut expected) = (map.clone(), Expected::new(&model));
        let mut what = Vec::new();
        for _ in 0..2 + rng.below(6) {
            let key = &keys[rng.below(keys.len() as u64) as usize];
            let damage = rng.pick(&DAMAGES);
            if inflict(&mut bad, &store, key, damage, &mut rng) {
                expected.damaged(key, damage);
                what.push((damage, key));
            }
        }
        if rng.chance(3) {
            let strange = [&[1, b'v', rng.next() as u8 | 1][..], &rng.next().to_be_bytes()[..5]].concat();
            bad.insert(strange, Rc::from(&b"strange"[..]));
        }
        // Which names stay where several entries and directories are wrong is not promised.
        expected.names_stay = false;
        let name = |outcome| format!("{what:02x?}: {outcome}");
        mended(setup, &bad, &expected, true).map_err(name)?;
    }
    Ok(())
}

#[test]
fn many_wrong_records_cost_no_others() {
    no_seed_fails(200, 40, &many_records);
}

#[test]
fn a_sound_volume_is_not_touched() {
    no_seed_fails(300, 40, &|setup: &Setup, ops: &[Op]| {
        let (store, _) = good_volume(setup, ops)?;
        let (map, applies) = (store.0.borrow().map.clone(), store.calls().applies);
        let done = mend(&store, ACCEPT).map_err(|error| format!("{error:?}"))?;
        let same = store.0.borrow().map == map && store.calls().applies == applies;
        if same && done.fixes.is_empty() { Ok(()) } else { Err(format!("{done:?}")) }
    });
}

/// A small volume: a file in extents `f`, a directory `d` with a file `d/g`, a symbolic link `l`.
fn small() -> (TestStore, BTreeMap<&'static str, u64>) {
    let store = TestStore::new(LARGE);
    let options = kvfs::Options { extent_bytes: 512, inline_bytes: 64, ..Setup::plain().options() };
    let mut volume = Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), options).unwrap();
    let root = volume.root().unwrap();
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
    let done = mend(store, options).unwrap();
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
fn a_ring_of_directories_is_cut_and_found_again() {
    let (store, numbers) = small();
    let d = numbers["d"].to_be_bytes();
    // `d` is moved into itself: nothing leads to it any more.
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
    // A second entry for `d`, in the root as well but in `e`, comes before the true one in order.
    let d = numbers["d"].to_be_bytes();
    change(&store, |map| {
        let e = 90u64.to_be_bytes();
        let directory = map[&key(0x10, &d)].clone();
        let at = key(0x10, &e);
        map.insert(at.clone(), sealed(&at, 0x10, &directory[16..]));
        for (dir, name, ino) in [(1u64.to_be_bytes(), &b"a"[..], e), (e, &b"again"[..], d)] {
            let at = key(0x11, &[&dir[..], name].concat());
            map.insert(at.clone(), sealed(&at, 0x11, &[&[2], &ino[..]].concat()));
        }
    });
    let (_, tree) = mended_with(&store, KEEP);
    assert_eq!(tree["d/g"].id, numbers["d/g"]);
    assert!(tree.contains_key("a") && !tree.contains_key("a/again"), "{:?}", tree.keys());
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
    let done = mend(&store, KEEP).unwrap();
    assert!(done.fixes.is_empty() && done.after.findings.len() == 1, "{done:#?}");
    let mut volume =
        Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), Setup::plain().options())
            .unwrap();
    let root = volume.root().unwrap();
    let file = volume.open_at(&root, "f", Follow::No, OpenFlags::default(), Access::default()).unwrap();
    assert!(matches!(volume.read(&file, 0, 2000, &mut Vec::new()), Err(Error::Damaged(_))));
    volume.close(file).unwrap();
    volume.close(root).unwrap();
    drop(volume);
    let (_, tree) = mended_with(&store, ACCEPT);
    let expected = [vec![7; 512], vec![0; 512], vec![7; 2000 - 1024]].concat();
    assert_eq!(tree["f"].regions, [(0, expected)]);
    // The damaged record itself is kept, key and value.
    let found = tree.iter().find(|(path, leaf)| path.starts_with("lost+found/") && leaf.kind == Kind::File);
    let bytes = &found.unwrap().1.regions[0].1;
    let hex: String = at.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(*bytes, [format!("damaged record of key {hex}\n").as_bytes(), &before].concat());
}

#[test]
fn a_missing_extent_of_a_whole_file_is_not_quietly_zeros() {
    let (store, numbers) = small();
    change(&store, |map| {
        map.remove(&key(0x20, &[numbers["f"].to_be_bytes(), 2u64.to_be_bytes()].concat()));
    });
    let done = mend(&store, KEEP).unwrap();
    assert_eq!(done.after.findings[0].invariant, Invariant::ExtentCount);
    let mut volume =
        Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), Setup::plain().options())
            .unwrap();
    assert!(matches!(tree::of_volume(&mut volume), Err(Error::Damaged(_))));
    drop(volume);
    mended_with(&store, ACCEPT);
}

#[test]
fn a_lost_superblock_is_made_anew_and_no_volume_is_made_over_it() {
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
fn numbers_that_no_inode_has_are_taken_out_of_the_way() {
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
    let mut volume =
        Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), Setup::plain().options())
            .unwrap();
    let root = volume.root().unwrap();
    volume.rename_at(&root, "l", &root, "lost+found").unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    change(&store, |map| drop(map.remove(&key(0x11, &[&1u64.to_be_bytes()[..], b"f"].concat()))));
    let (_, tree) = mended_with(&store, KEEP);
    assert_eq!(tree["lost+found"].id, numbers["l"]);
    assert_eq!(tree[&format!("lost+found-1/#{}", numbers["f"])].id, numbers["f"]);
}

#[test]
fn a_repair_fences_off_who_has_the_volume_open() {
    let (store, _) = small();
    let mut volume =
        Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), Setup::plain().options())
            .unwrap();
    let root = volume.root().unwrap();
    change(&store, |map| drop(map.remove(&key(0x11, &[&1u64.to_be_bytes()[..], b"f"].concat()))));
    mended_with(&store, KEEP);
    let late = volume.create_directory_at(&root, "late").and_then(|()| volume.sync_all());
    assert_eq!(late, Err(Error::Fenced));
    assert!(fsck(&mut store.clone(), "v").unwrap().is_clean());
}

#[test]
fn who_takes_over_during_a_repair_ends_it() {
    /// Opens the volume itself before the second apply.
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
    assert!(matches!(mend(&store, ACCEPT), Err(Error::Format(_))));
    assert_eq!(store.0.borrow().map, before);
}
