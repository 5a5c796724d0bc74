//! A store of hostile records. Checking, opening and using it must end without a panic, within a
//! number of store calls bounded by the store's size.

use super::forge::forge;
use super::reached::reach;
use super::samples::samples;
use crate::guest::Guest;
use crate::ops::{Op, Setup, random};
use crate::rng::Rng;
use crate::run::TestClock;
use crate::store::{LARGE, Map, TestStore, tag_of};
use kvfs::{Error, Follow, OpenFlags, RepairOptions, Volume, fsck, probe, repair};

const MAX_FORGED_RECORDS: u64 = 8;
const MAX_OPERATIONS: usize = 40;

/// Store calls that one operation may make on a store of so many records. The largest write of a
/// sequence makes 32 extents, each of which may be an apply of its own. Garbage is searched and
/// deleted one record at a time on stores that answer so.
fn max_calls(records: usize) -> u64 {
    200 + 8 * records as u64
}

/// Store calls that an opening or a check may make: both see every record once.
fn max_calls_of_a_pass(records: usize) -> u64 {
    50 + 2 * records as u64
}

/// Store calls that a repair may make: it passes over everything in rounds.
pub(super) fn max_calls_of_a_repair(records: usize) -> u64 {
    5_000 + 200 * records as u64
}

pub(super) fn run(data: &[u8]) {
    let mut rng = Rng::from_bytes(data);
    let samples = samples();
    let mut map = samples[rng.below(samples.len() as u64) as usize].clone();
    let setup = Setup::random(&mut rng);
    for _ in 0..rng.below(MAX_FORGED_RECORDS) {
        forge(&mut map, &mut rng);
    }
    let store = TestStore::from_map(map, setup.limits);
    store.0.borrow_mut().scan_entries_max = setup.scan_entries_max;
    check(&store);
    use_it(&store, &setup, &mut rng);
    // After the operations the store can still be checked and opened.
    check(&store);
    if let Some(mut guest) = open(&store, &setup) {
        walk(&store, &mut guest);
    }
    mend(&store);
}

/// A repair ends, and leaves a sound volume if it could repair it.
fn mend(store: &TestStore) {
    // Records larger than the store's limits cannot be repaired, so the limits are raised.
    store.0.borrow_mut().limits = LARGE;
    bounded(store, max_calls_of_a_repair(records(store)));
    let options = RepairOptions { accept_loss: true };
    match repair(&mut store.clone(), &mut TestClock::default(), "v", options) {
        Ok(repair) => {
            let told = |finding: &kvfs::Finding| finding.to_string();
            let left: Vec<_> = repair.after.findings.iter().map(told).collect();
            let fixes: Vec<_> = repair.fixes.iter().map(ToString::to_string).collect();
            // Without a superblock the extent size may be unknown; then nothing is changed.
            let superblock = |finding: &kvfs::Finding| tag_of(&finding.key) == 0;
            if repair.fixes.is_empty() && repair.before.findings.iter().any(superblock) {
                return;
            }
            assert!(left.is_empty(), "left {left:#?}\nafter {fixes:#?}");
            bounded(store, max_calls_of_a_pass(records(store)));
            let again = fsck(&mut store.clone(), "v").expect("a volume that was repaired can be checked");
            assert!(again.is_clean(), "after a repair: {:#?}", again.findings);
        }
        // Another format, or records larger than this store takes: both errors say what to do.
        Err(Error::Format(_) | Error::StoreLimits(_)) => {}
        // A record has the highest inode number, so that no number is left for a lost inode.
        Err(Error::Damaged(damage)) if damage.found.starts_with("no inode number is left") => {}
        Err(error) => panic!("it cannot be repaired: {error:?}"),
    }
}

pub(super) fn bounded(store: &TestStore, calls: u64) {
    store.0.borrow_mut().calls_left = calls;
}

fn records(store: &TestStore) -> usize {
    store.0.borrow().map.len()
}

fn check(store: &TestStore) {
    bounded(store, max_calls_of_a_pass(records(store)));
    let before: Map = store.0.borrow().map.clone();
    let checked = fsck(&mut store.clone(), "v");
    let usable = probe(&mut store.clone(), "v");
    // With or without findings, a check changes nothing, and its report can be printed.
    assert!(store.0.borrow().map == before, "a check has changed the store");
    let printed: usize =
        checked.iter().flat_map(|report| &report.findings).map(|f| f.to_string().len()).sum();
    assert!(printed < 1 << 20, "{printed} bytes of findings about {} records ({usable:?})", before.len());
}

fn open(store: &TestStore, setup: &Setup) -> Option<Guest> {
    bounded(store, max_calls_of_a_pass(records(store)));
    let volume = Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), setup.options());
    volume.and_then(Guest::new).ok()
}

fn use_it(store: &TestStore, setup: &Setup, rng: &mut Rng) {
    let Some(mut guest) = open(store, setup) else { return };
    reach();
    walk(store, &mut guest);
    let mut done = 0;
    while !rng.is_done() && done < MAX_OPERATIONS {
        act(store, &mut guest, &random(rng));
        done += 1;
    }
    act(store, &mut guest, &Op::Sync);
}

fn act(store: &TestStore, guest: &mut Guest, op: &Op) {
    bounded(store, max_calls(records(store)));
    // Any answer is acceptable.
    let _ = guest.act(op);
}

/// Stats, reads and lists every name that sequences use.
fn walk(store: &TestStore, guest: &mut Guest) {
    walk_with(&mut |op| act(store, guest, op));
}

/// The operations of [`walk`], each passed to `act`.
pub(super) fn walk_with(act: &mut dyn FnMut(&Op)) {
    for path in ["a", "b", "c", "d", "d/a", "d/b", "d/c", "d/d", "a/a", "d/..", "d/../d/../d/."] {
        let path = path.to_owned();
        act(&Op::StatAt { dir: 0, path: path.clone(), follow: Follow::Yes });
        act(&Op::Readlink { dir: 0, path: path.clone() });
        let flags = OpenFlags::default();
        let access = kvfs::Access { read: true, ..kvfs::Access::default() };
        act(&Op::Open { dir: 0, path: path.clone(), follow: Follow::Yes, flags, access, slot: 0 });
        for offset in [0, 4096, 1 << 40, i64::MAX as u64 - 600] {
            act(&Op::Read { slot: 0, offset, length: 5000 });
        }
        act(&Op::OpenDir { dir: 0, path, slot: 1 });
        act(&Op::List { slot: 1 });
    }
}

/// Every sample unchanged, each opened with another set-up.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let seed = |sample: u8| [vec![sample; 9], vec![0; 3]].concat();
    (0..samples().len() as u8).map(seed).collect()
}
