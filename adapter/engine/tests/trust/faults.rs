//! A store that fails at the k-th call, and one that holds wrong values.

use crate::fixture::open_volume;
use crate::model::{Content, Model};
use crate::ops::{Op, Setup, pattern};
use crate::rng::Rng;
use crate::run::{Check, Runner, TestClock};
use crate::shrink::{case, first_failure, no_seed_fails};
use crate::store::{Fault, LARGE, Map, SMALL, TINY, TestStore, tag_of};
use crate::tree;
use kvfs::{Access, At, Code, Error, Follow, Kind, OpenFlags, Options, StoreError, Volume, fsck};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

static INJECTED: AtomicU64 = AtomicU64::new(0);
static DAMAGED: AtomicU64 = AtomicU64::new(0);

const FAULTS: [Fault; 10] = [
    Fault::GoneApplied,
    Fault::GoneNotApplied,
    Fault::Unavailable,
    Fault::UnknownApplied,
    Fault::UnknownNotApplied,
    Fault::Conflict,
    Fault::QuotaExceeded,
    Fault::ReadOnly,
    Fault::AccessDenied,
    Fault::Corrupt,
];

/// The text in a report that shows the error of a fault.
fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Unavailable | Fault::GoneApplied | Fault::GoneNotApplied => "Store(Unavailable",
        Fault::UnknownApplied | Fault::UnknownNotApplied => "Store(UnknownOutcome",
        Fault::Conflict => "Store(Conflict",
        Fault::QuotaExceeded => "Store(QuotaExceeded",
        Fault::ReadOnly => "Store(ReadOnly",
        Fault::AccessDenied => "Store(AccessDenied",
        Fault::Corrupt => "Store(Corrupt",
    }
}

/// Draws a run's fault from the setup and the operations, so that a shrunken sequence has one too.
fn plan(setup: &Setup, ops: &[Op]) -> (Fault, u64, u64) {
    let text = format!("{setup:?}{:?}", ops.first());
    let seed = text.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut rng = Rng::new(seed.wrapping_add(ops.len() as u64));
    (rng.pick(&FAULTS), rng.below(20), rng.pick(&[1, 1, 2, 5, 1000]))
}

/// Injects one fault, or several in a row, until an operation fails. That operation did nothing or
/// everything, or the start of a write. From then on the run goes on as if there had been no fault.
pub fn one_fault(setup: &Setup, ops: &[Op]) -> Check {
    // After a commit of unknown outcome a closed file stays in use for longer than in the
    // reference.
    let setup = &Setup { quota: None, ..setup.clone() };
    one_fault_on(setup, ops, &TestStore::new(setup.limits))
}

/// As [`one_fault`], on a new store.
pub fn one_fault_on(setup: &Setup, ops: &[Op], store: &TestStore) -> Check {
    let (fault, call, count) = plan(setup, ops);
    let mut runner = Runner::new(setup, store.clone(), false)?;
    store.set_fault(fault, call, count);
    for (index, op) in ops.iter().enumerate() {
        if runner.is_occupied(op) {
            let close = match op {
                Op::Open { slot, .. } => Op::Close { slot: *slot },
                Op::OpenDir { slot, .. } => Op::CloseDir { slot: *slot },
                Op::ListStart { slot, .. } => Op::ListEnd { slot: *slot },
                _ => continue,
            };
            one_step(&mut runner, index, &close, fault)?;
        }
        // Opening with a fault has its own test.
        if *op != Op::Reopen || store.0.borrow().fault.is_none() {
            one_step(&mut runner, index, op, fault)?;
        }
    }
    store.clear_fault();
    runner.finish()
}

fn one_step(runner: &mut Runner, index: usize, op: &Op, fault: Fault) -> Check {
    let before = runner.model.clone();
    let injected = runner.store.0.borrow().faults_injected;
    let outcome = runner.step(index, op);
    let injected = runner.store.0.borrow().faults_injected - injected;
    INJECTED.fetch_add(injected, Ordering::Relaxed);
    if injected == 0 || outcome.is_ok() {
        return outcome.map(drop);
    }
    let story = outcome.err().unwrap_or_default();
    if !story.contains(name(fault)) && !story.contains("wrote Ok(") && !story.contains("Store(UnknownOutcome")
    {
        return Err(format!("after {fault:?}: {story}"));
    }
    runner.store.clear_fault();
    settle(runner, &before, op).map_err(|what| format!("after {fault:?}: {what}\n({story})"))
}

/// Finds out what an operation did that the store failed: nothing or everything, or the start of a
/// write.
pub fn settle(runner: &mut Runner, before: &Model, op: &Op) -> Check {
    let found = tree::of_volume(runner.volume()).map_err(|error| format!("reading: {error:?}"))?;
    for candidate in candidates(before, runner, op) {
        if tree::of_model(&candidate) == found && runner.open_files_fit(&candidate) {
            runner.model = candidate;
            runner.watch_listings();
            return Ok(());
        }
    }
    let what = tree::difference(&tree::of_model(&runner.model), &found);
    Err(format!("neither done nor not done; difference to done: {what:?}"))
}

fn candidates(before: &Model, runner: &Runner, op: &Op) -> Vec<Model> {
    let mut start = before.clone();
    start.now = runner.model.now;
    let mut candidates = vec![runner.model.clone()];
    if let (Op::Write { at, length, fill, .. }, Some((id, size))) = (op, runner.file_of(op, before)) {
        let offset = if let At::Offset(offset) = at { *offset } else { size };
        let data = pattern(offset, *length, *fill);
        for end in (1..data.len()).filter(|end| {
            offset.saturating_add(*end as u64).is_multiple_of(u64::from(runner.setup.extent_bytes))
        }) {
            let mut part = start.clone();
            if part.write(id, At::Offset(offset), &data[..end]).is_ok() {
                candidates.push(part);
            }
        }
    }
    // A close takes effect even if it fails.
    if !matches!(op, Op::Close { .. } | Op::CloseDir { .. } | Op::ListEnd { .. } | Op::ListNext { .. }) {
        start.open = runner.model.open.clone();
        candidates.push(start);
    }
    candidates
}

#[test]
fn a_fault_at_any_call_leaves_the_volume_usable() {
    no_seed_fails(15_000, 40, &one_fault);
    println!("{} faults injected", INJECTED.load(Ordering::Relaxed));
}

/// Lets the store fail for a while. Whatever it refuses, nothing may be torn.
pub fn outage(setup: &Setup, ops: &[Op]) -> Check {
    // After a commit of unknown outcome a closed file stays in use for longer than in the
    // reference.
    let setup = &Setup { quota: None, ..setup.clone() };
    let (fault, call, _) = plan(setup, ops);
    let store = TestStore::new(setup.limits);
    let mut runner = Runner::new(setup, store.clone(), false)?;
    let third = ops.len() / 3;
    for (index, op) in ops.iter().enumerate() {
        if index == third {
            store.set_fault(fault, call % 4, u64::MAX);
        }
        if index == 2 * third {
            INJECTED.fetch_add(store.0.borrow().faults_injected, Ordering::Relaxed);
            store.clear_fault();
        }
        let outcome = runner.step(index, op);
        if index < third {
            outcome?;
        } else if *op == Op::Reopen || runner.is_closed() {
            break;
        }
    }
    store.clear_fault();
    if runner.is_closed() {
        return Ok(());
    }
    let fail = |what: &'static str| move |error: Error| format!("{what}: {error:?}");
    runner.volume().sync_all().map_err(fail("syncing"))?;
    let expected = tree::of_volume(runner.volume()).map_err(fail("reading"))?;
    runner.check_fsck()?;
    runner.restart()?;
    let found = tree::of_volume(runner.volume()).map_err(fail("reading again"))?;
    match tree::difference(&expected, &found) {
        None => runner.check_fsck(),
        Some(what) => Err(format!("after an outage: {what}")),
    }
}

#[test]
fn an_outage_tears_nothing() {
    no_seed_fails(8_000, 45, &outage);
}

#[test]
fn a_fault_while_opening_is_reported_and_the_next_opening_succeeds() {
    for fault in FAULTS {
        for (call, limits) in (0..5).flat_map(|call| [(call, SMALL), (call, TINY)]) {
            let store = TestStore::new(limits);
            let options = Options { volume: "v".to_owned(), ..Options::default() };
            let open =
                || Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), options.clone());
            store.set_fault(fault, call, 1);
            match open() {
                Err(Error::Store(_)) | Ok(_) => {}
                Err(error) => panic!("{fault:?} at {call}: {error:?}"),
            }
            store.clear_fault();
            let mut volume = open().unwrap();
            let root = volume.root().unwrap();
            volume.create_directory_at(&root, "d").unwrap();
            assert!(fsck(&mut store.clone(), "v").unwrap().is_clean());
        }
    }
}

#[test]
fn a_failed_sync_stays_failed_until_one_succeeds() {
    for fault in FAULTS.into_iter().filter(|fault| *fault != Fault::UnknownApplied) {
        let store = TestStore::new(LARGE);
        let options = Options { volume: "v".to_owned(), mode: kvfs::Mode::Lazy, ..Options::default() };
        let (mut volume, root) = open_volume(&store, options);
        volume.create_directory_at(&root, "d").unwrap();
        store.set_fault(fault, 0, u64::MAX);
        for _ in 0..3 {
            assert!(volume.sync_all().is_err(), "{fault:?}");
        }
        store.clear_fault();
        volume.sync_all().unwrap();
        assert!(store.0.borrow().log.last().unwrap().durable);
        assert_eq!(volume.stat_at(&root, "d", Follow::No).unwrap().kind, Kind::Directory);
    }
}

#[test]
fn every_error_of_the_store_has_its_code() {
    let table = [
        (StoreError::Conflict, Code::Io),
        (StoreError::UnknownOutcome, Code::Io),
        (StoreError::Unavailable(String::new()), Code::Io),
        (StoreError::TooLarge, Code::Io),
        (StoreError::QuotaExceeded, Code::InsufficientSpace),
        (StoreError::ReadOnly, Code::ReadOnly),
        (StoreError::AccessDenied, Code::Access),
        (StoreError::Corrupt(String::new()), Code::Io),
        (StoreError::Other(String::new()), Code::Io),
        (StoreError::Fault(String::new()), Code::Io),
    ];
    for (error, code) in table {
        assert_eq!(Error::from(error.clone()).code(), code, "{error:?}");
    }
}

/// The ways to damage a value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    Flipped,
    Cut,
    OfAnotherKey,
    Missing,
    Stale,
}

/// Checks that a volume with one wrong value gives right answers or errors, but no wrong answers.
fn damaged(setup: &Setup, ops: &[Op]) -> Check {
    let store = TestStore::new(setup.limits);
    let mut runner = Runner::new(setup, store.clone(), false)?;
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op)?;
    }
    runner.volume().sync_all().map_err(|error| format!("{error:?}"))?;
    let model = runner.model.clone();
    drop(runner);
    let (map, log) = (store.0.borrow().map.clone(), store.0.borrow().log.clone());
    let keys: Vec<Vec<u8>> = map.keys().cloned().collect();
    let garbage = fsck(&mut store.clone(), "v").map_err(|error| format!("{error:?}"))?.garbage_extents;
    let mut rng = Rng::new(ops.len() as u64 + keys.len() as u64);
    for damage in [Damage::Flipped, Damage::Cut, Damage::OfAnotherKey, Damage::Missing, Damage::Stale] {
        for key in &keys {
            let mut bad: Map = map.clone();
            let value = Rc::clone(&bad[key]);
            let wrong: Option<Rc<[u8]>> = match damage {
                Damage::Flipped => {
                    let mut value = value.to_vec();
                    let at = rng.below(value.len() as u64) as usize;
                    value[at] ^= 1 << rng.below(8);
                    Some(Rc::from(value))
                }
                Damage::Cut => Some(Rc::from(&value[..rng.below(value.len() as u64) as usize])),
                Damage::OfAnotherKey => {
                    let tag = tag_of(key);
                    let others: Vec<_> =
                        keys.iter().filter(|other| *other != key && tag_of(other) == tag).collect();
                    let Some(other) = others.get(rng.below(others.len() as u64) as usize) else { continue };
                    Some(Rc::clone(&bad[*other]))
                }
                Damage::Missing => None,
                Damage::Stale => {
                    let mut old = log.iter().flat_map(|applied| &applied.changes);
                    let old = old
                        .find(|(other, old)| other == key && old.as_ref().is_some_and(|old| *old != value));
                    let Some((_, Some(old))) = old else { continue };
                    Some(Rc::clone(old))
                }
            };
            match wrong {
                Some(wrong) => drop(bad.insert(key.clone(), wrong)),
                None => drop(bad.remove(key)),
            }
            DAMAGED.fetch_add(1, Ordering::Relaxed);
            check_damaged(setup, &model, bad, damage, (key.as_slice(), garbage))
                .map_err(|what| format!("{damage:?} {key:02x?}: {what}"))?;
        }
    }
    Ok(())
}

fn check_damaged(
    setup: &Setup,
    model: &Model,
    map: Map,
    damage: Damage,
    (key, garbage): (&[u8], u64),
) -> Check {
    let store = TestStore::from_map(map, setup.limits);
    let tag = tag_of(key);
    let report = fsck(&mut store.clone(), "v");
    // Damage that fsck must find. A reap record may be superfluous, and in a single look at a
    // volume most records' older values look valid.
    let must_find = match damage {
        Damage::Flipped | Damage::Cut | Damage::OfAnotherKey => true,
        Damage::Missing => {
            tag != 0x30 && report.as_ref().is_ok_and(|report| report.garbage_extents == garbage)
        }
        Damage::Stale => false,
    };
    if must_find && report.as_ref().is_ok_and(kvfs::Report::is_clean) {
        return Err("fsck found nothing".to_owned());
    }
    let volume = Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), setup.options());
    let mut volume = match volume {
        Ok(volume) => volume,
        Err(Error::Damaged(_) | Error::Format(_)) => return Ok(()),
        Err(error) => return Err(format!("opening: {error:?}")),
    };
    let answers_must_be_right = matches!(damage, Damage::Flipped | Damage::Cut | Damage::OfAnotherKey);
    read_what_can_be_read(&mut volume, model, answers_must_be_right)?;
    use_what_can_be_used(&mut volume);
    Ok(())
}

fn read_what_can_be_read(volume: &mut Volume, model: &Model, must_be_right: bool) -> Check {
    let right = |error: &Error| matches!(error, Error::Damaged(_));
    let root = match volume.root() {
        Ok(root) => root,
        Err(error) if right(&error) => return Ok(()),
        Err(error) => return Err(format!("root: {error:?}")),
    };
    for (path, leaf) in tree::of_model(model) {
        let at = if path.is_empty() { "." } else { path.as_str() };
        match volume.stat_at(&root, at, Follow::No) {
            Ok(stat)
                if must_be_right
                    && (stat.ino.0, stat.size, stat.mtime) != (leaf.id, leaf.size, leaf.times[1]) =>
            {
                return Err(format!("{path}: wrong {stat:?}"));
            }
            Err(error) if must_be_right && !right(&error) => return Err(format!("{path}: {error:?}")),
            _ => {}
        }
        let read = Access::default();
        let Ok(open) = volume.open_at(&root, at, Follow::No, OpenFlags::default(), read) else { continue };
        let what = &model.object(leaf.id).content;
        match (open.kind(), what) {
            (Kind::File, Content::File(expected)) => {
                for (offset, length) in [(0, 100), (0, 70_000), (5000, 10)] {
                    let mut bytes = Vec::new();
                    match volume.read(&open, offset, length, &mut bytes) {
                        Ok(_) if must_be_right && bytes != expected.read(offset, length as u64) => {
                            return Err(format!("{path}: wrong bytes"));
                        }
                        Err(error) if must_be_right && !right(&error) => {
                            return Err(format!("{path}: {error:?}"));
                        }
                        _ => {}
                    }
                }
            }
            (Kind::Directory, Content::Directory { entries, .. }) => match tree::list(volume, &open) {
                Ok(found) if must_be_right && found.len() != entries.len() => {
                    return Err(format!("{path}: lists {found:?}"));
                }
                Err(error) if must_be_right && !right(&error) => return Err(format!("{path}: {error:?}")),
                _ => {}
            },
            _ => {}
        }
        volume.close(open).map_err(|error| format!("close: {error:?}"))?;
    }
    Ok(())
}

/// Uses the volume. Answers do not matter, but nothing may panic.
fn use_what_can_be_used(volume: &mut Volume) {
    let Ok(root) = volume.root() else { return };
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let write = Access { read: true, write: true, ..Access::default() };
    for name in ["a", "b", "c", "d/a", "d/b", "new"] {
        if let Ok(file) = volume.open_at(&root, name, Follow::Yes, create, write) {
            let _ = volume.write(&file, At::Offset(300), &[1; 3000]);
            let _ = volume.set_size(&file, 100);
            let _ = volume.set_size(&file, 20_000);
            let _ = volume.close(file);
        }
        let _ = volume.rename_at(&root, name, &root, "x");
        let _ = volume.link_at(&root, "x", Follow::No, &root, name);
        let _ = volume.unlink_file_at(&root, "x");
        let _ = volume.remove_directory_at(&root, name);
    }
    let _ = volume.rename_at(&root, "d", &root, "d/d");
    let _ = volume.sync_all();
}

#[test]
fn a_wrong_value_gives_errors_but_no_wrong_answers() {
    no_seed_fails(500, 40, &damaged);
    println!("{} values damaged", DAMAGED.load(Ordering::Relaxed));
}

/// A seed always draws the same case, and a check's failure or panic is reported.
#[test]
fn a_seed_always_draws_the_same_case_and_failures_are_reported() {
    let (one, two) = (case(5, 10), case(5, 10));
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
    assert!(first_failure(0..3, 5, &|_, _| Err("always".to_owned())).is_some());
    assert!(first_failure(0..3, 5, &|_, _| panic!("always")).is_some());
}
