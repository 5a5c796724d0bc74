//! Damages volumes in every way, repairs them, and compares what was not damaged: it must all be
//! there, byte for byte, and a second repair must find nothing.

mod cases;

use crate::lower::split;
use crate::model::Model;
use crate::ops::{Op, Setup};
use crate::rng::Rng;
use crate::run::{Check, Runner, TestClock};
use crate::shrink::no_seed_fails;
use crate::store::{Map, TestStore, tag_of};
use crate::tree::{self, Leaf, Tree};
use kvfs::{Error, Invariant, Kind, Repair, RepairOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh64::xxh64;

static REPAIRED: AtomicU64 = AtomicU64::new(0);
static CUT: AtomicU64 = AtomicU64::new(0);
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);
static JOURNALS: AtomicU64 = AtomicU64::new(0);

const ACCEPT: RepairOptions = RepairOptions { accept_loss: true };
const KEEP: RepairOptions = RepairOptions { accept_loss: false };

fn mend(setup: &Setup, store: &TestStore, options: RepairOptions) -> Result<Repair, Error> {
    setup.repair(&mut store.clone(), &mut TestClock::default(), options)
}

/// Writes the right checksum of a changed value.
pub fn seal(key: &[u8], value: &mut [u8]) {
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
    /// An older value, or one from before the record's removal.
    Stale,
    /// A changed field under a right checksum.
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

/// Damages the record of `key`. Returns whether this was possible.
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
            // The volume's shape is nowhere but in the superblock, so that part is left alone.
            let length = value.len() as u64;
            let (from, to) = if tag == 0 { (72, length.min(104)) } else { (16, length) };
            // Another field makes settings those of a newer version, which nobody opens or repairs.
            if from >= to || tag == 0x01 {
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

/// What a repair must restore.
struct Expected<'m> {
    model: &'m Model,
    tree: Tree,
    /// Inodes whose record or bytes were damaged.
    hurt: BTreeSet<u64>,
    /// Whether every undamaged name must lead to the same inode as before.
    names_stay: bool,
    /// Names that were damaged.
    lost_names: Vec<(u64, String)>,
}

impl<'m> Expected<'m> {
    fn new(model: &'m Model) -> Self {
        let (hurt, lost_names) = (BTreeSet::new(), Vec::new());
        Expected { tree: tree::of_model(model), model, hurt, names_stay: true, lost_names }
    }

    fn damaged(&mut self, setup: &Setup, key: &[u8], damage: Damage) {
        // The image's record shows where one above it is lost.
        let old = match damage {
            Damage::Stale | Damage::Altered => true,
            Damage::Missing => setup.base.is_some(),
            _ => false,
        };
        match tag_of(key) {
            0x10 | 0x20 => drop(self.hurt.insert(inode_of(key))),
            0x11 => {
                self.lost_names.push((inode_of(key), String::from_utf8_lossy(&key[11..]).into_owned()));
                self.names_stay &= !old;
            }
            _ => {}
        }
    }

    /// Returns whether a damaged entry lies on this path.
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
        let report = setup.fsck(&mut store.clone()).map_err(|error| format!("fsck: {error:?}"))?;
        if !report.is_clean() {
            return Err(format!("not clean: {:?}", report.findings));
        }
        let open = setup.open(Box::new(store.clone()), Box::new(TestClock::default()), setup.options());
        let mut volume = open.map_err(|error| format!("opening: {error:?}"))?;
        let found = tree::of_volume(&mut volume).map_err(|error| format!("reading: {error:?}"))?;
        let by_number: BTreeMap<u64, &Leaf> = found.values().map(|leaf| (leaf.id, leaf)).collect();
        for (path, leaf) in &self.tree {
            if leaf.kind != Kind::Directory && self.hurt.contains(&leaf.id) {
                continue;
            }
            // A directory holds only its entries. It gets a new number if its own record was
            // damaged.
            if !(leaf.kind == Kind::Directory && self.hurt.contains(&leaf.id)) {
                let Some(now) = by_number.get(&leaf.id) else {
                    return Err(format!("{path:?}, inode {}, is gone; found {found:?}", leaf.id));
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
                return Err(format!("{path:?} no longer leads to inode {}", leaf.id));
            }
        }
        Ok(())
    }
}

/// Makes a volume by operations, and returns the reference of it.
fn good_volume(setup: &Setup, ops: &[Op]) -> Result<(TestStore, Model), String> {
    let store = TestStore::new(setup.limits);
    let mut runner = Runner::new(setup, store.clone(), false)?;
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op)?;
    }
    runner.volume().sync_all().map_err(|error| format!("{error:?}"))?;
    Ok((store, runner.model.clone()))
}

/// Repairs `bad`, also after every cut of the repair, and checks each outcome.
fn mended(setup: &Setup, bad: &Map, expected: &Expected<'_>, cuts: bool) -> Check {
    let superblock = bad.get(&key(0, &[])).cloned();
    let store = TestStore::from_map(bad.clone(), setup.limits);
    let done = match mend(setup, &store, ACCEPT) {
        Ok(done) => done,
        Err(Error::Format(_)) => return Ok(()),
        Err(Error::NoEntry) if bad.is_empty() => return Ok(()),
        Err(error) => return Err(format!("repairing: {error:?}")),
    };
    REPAIRED.fetch_add(1, Ordering::Relaxed);
    if !done.after.is_clean() && done.fixes.is_empty() {
        // The extent size is lost and cannot be deduced.
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
    let again = mend(setup, &store, ACCEPT).map_err(|error| format!("again: {error:?}"))?;
    if !again.fixes.is_empty() || !again.before.is_clean() {
        return Err(story(format!("a second repair does {:?}", again.fixes)));
    }
    let log = std::mem::take(&mut store.0.borrow_mut().log);
    let mut map = bad.clone();
    for applied in log.iter().take(if cuts { log.len() } else { 0 }) {
        applied.replay(&mut map);
        let store = TestStore::from_map(map.clone(), setup.limits);
        mend(setup, &store, ACCEPT).map_err(|error| story(format!("after a cut: {error:?}")))?;
        CUT.fetch_add(1, Ordering::Relaxed);
        expected.check(setup, &store).map_err(|what| story(format!("after a cut: {what}")))?;
    }
    Ok(())
}

/// Repairs without accepting loss: nothing readable may go, and what is left is reported and stays.
fn kept(setup: &Setup, bad: &Map, expected: &Expected<'_>) -> Check {
    let store = TestStore::from_map(bad.clone(), setup.limits);
    let done = match mend(setup, &store, KEEP) {
        Ok(done) => done,
        Err(Error::Format(_)) => return Ok(()),
        Err(Error::NoEntry) if bad.is_empty() => return Ok(()),
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
    let again = mend(setup, &store, KEEP).map_err(|error| format!("again: {error:?}"))?;
    if !again.fixes.is_empty() || again.before != done.after {
        return Err(format!("a second repair does {:?}", again.fixes));
    }
    // Accepting the loss later has the same outcome.
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
            expected.damaged(setup, key, damage);
            let name = |what| format!("{damage:?} {key:02x?}: {what}");
            mended(setup, &bad, &expected, true).map_err(name)?;
            kept(setup, &bad, &expected).map_err(|what| format!("kept: {}", name(what)))?;
        }
    }
    Ok(())
}

#[test]
fn repairing_one_wrong_record_costs_no_other_wherever_it_is_cut() {
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
                expected.damaged(setup, key, damage);
                what.push((damage, key));
            }
        }
        if rng.chance(3) {
            let strange =
                [&[1, b'v', rng.below(128) as u8 | 1][..], &rng.below(u64::MAX).to_be_bytes()[..5]].concat();
            bad.insert(strange, Rc::from(&b"strange"[..]));
        }
        // With several damaged entries and directories, the repair does not promise which names
        // stay.
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

/// Cuts a volume off with a journal in it. A repair completes the journal, as an opener would; a
/// damaged journal costs no more than its commit.
fn cut_with_a_journal(setup: &Setup, ops: &[Op]) -> Check {
    let (store, _) = good_volume(setup, ops)?;
    let mut rng = Rng::new(ops.len() as u64);
    let mut map = Map::new();
    let log = store.0.borrow().log.clone();
    for applied in log {
        applied.replay(&mut map);
        let journal: Vec<Vec<u8>> = map.keys().filter(|key| tag_of(key) == 2).cloned().collect();
        if journal.is_empty() || !rng.chance(8) {
            continue;
        }
        JOURNALS.fetch_add(1, Ordering::Relaxed);
        let opened = TestStore::from_map(map.clone(), setup.limits);
        let open = setup.open(Box::new(opened), Box::new(TestClock::default()), setup.options());
        let expected = open.and_then(|mut volume| tree::of_volume(&mut volume));
        let expected = expected.map_err(|error| format!("opening: {error:?}"))?;

        let mut strange = map.clone();
        strange.insert(key(0x77, &[]), Rc::from(&b"strange"[..]));
        let (found, done) = whole(setup, &strange)?;
        for (path, leaf) in expected.iter().filter(|(path, _)| !path.is_empty()) {
            if found.get(path) != Some(leaf) {
                return Err(format!("{path}: {leaf:?} became {:?} by {done:?}", found.get(path)));
            }
        }
        let mut bad = map.clone();
        let hit = &journal[rng.below(journal.len() as u64) as usize];
        if inflict(&mut bad, &store, hit, rng.pick(&DAMAGES), &mut rng) {
            bad.insert(key(0x77, &[]), Rc::from(&b"strange"[..]));
            whole(setup, &bad).map_err(|what| format!("damaged journal {hit:02x?}: {what}"))?;
        }
    }
    Ok(())
}

/// Repairs `bad`, also after each cut, and requires a sound volume that can be read in whole.
fn whole(setup: &Setup, bad: &Map) -> Result<(Tree, Repair), String> {
    let store = TestStore::from_map(bad.clone(), setup.limits);
    let done = mend(setup, &store, ACCEPT).map_err(|error| format!("repairing: {error:?}"))?;
    let log = std::mem::take(&mut store.0.borrow_mut().log);
    let mut map = bad.clone();
    let mut tree = Tree::new();
    for (cut, applied) in (1..).zip(&log) {
        applied.replay(&mut map);
        let store = TestStore::from_map(map.clone(), setup.limits);
        let again = mend(setup, &store, ACCEPT).map_err(|error| format!("cut {cut}: {error:?}"))?;
        if !again.after.is_clean() {
            return Err(format!("cut {cut}: left {:?}", again.after.findings));
        }
        let open = setup.open(Box::new(store), Box::new(TestClock::default()), setup.options());
        tree =
            open.and_then(|mut volume| tree::of_volume(&mut volume)).map_err(|error| format!("{error:?}"))?;
    }
    Ok((tree, done))
}

#[test]
fn a_repair_completes_a_journal_or_drops_it_whole() {
    no_seed_fails(200, 40, &cut_with_a_journal);
    assert!(std::env::var("KVFS_SEED").is_ok() || JOURNALS.load(Ordering::Relaxed) > 0, "no journal was met");
}

fn untouched(setup: &Setup, ops: &[Op]) -> Check {
    let (store, _) = good_volume(setup, ops)?;
    let (map, applies) = (store.0.borrow().map.clone(), store.calls().applies);
    let done = mend(setup, &store, ACCEPT).map_err(|error| format!("{error:?}"))?;
    let same = store.0.borrow().map == map && store.calls().applies == applies;
    if same && done.fixes.is_empty() { Ok(()) } else { Err(format!("{done:?}")) }
}

#[test]
fn a_repair_changes_nothing_in_a_sound_volume() {
    no_seed_fails(300, 40, &untouched);
}

/// Runs a check on volumes above an image, which a repair reads but does not change.
fn above(seeds: u64, check: fn(&Setup, &[Op]) -> Check) {
    no_seed_fails(seeds, 50, &|setup: &Setup, ops: &[Op]| {
        let (setup, ops) = split(setup, ops)?;
        check(&setup, ops)
    });
}

#[test]
fn one_wrong_record_above_an_image_costs_no_other() {
    above(120, every_record);
}

#[test]
fn many_wrong_records_above_an_image_cost_no_others() {
    above(200, many_records);
}

#[test]
fn a_repair_above_an_image_completes_a_journal_or_drops_it_whole() {
    above(200, cut_with_a_journal);
}

#[test]
fn a_repair_changes_nothing_in_a_sound_volume_above_an_image() {
    above(300, untouched);
}
