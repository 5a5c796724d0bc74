//! A whole store of hostile records: whatever lies in it, checking, opening and using it ends, within a
//! number of store calls that the store's own size bounds, and without a panic.

use super::forge::forge;
use super::reached::reach;
use super::samples::samples;
use crate::guest::Guest;
use crate::ops::{Op, Setup, random};
use crate::rng::Rng;
use crate::run::TestClock;
use crate::store::{LARGE, Map, TestStore, tag_of};
use kvfs::{Error, Follow, OpenFlags, RepairOptions, Volume, fsck, probe, repair};

const FORGED_MAX: u64 = 8;
const OPERATIONS_MAX: usize = 40;

/// What one operation may ask of the store that holds so many records. The largest write of a sequence
/// makes 32 extents, each of which may be an apply of its own; and garbage is looked for and deleted a
/// record at a time where the store answers so.
fn calls_max(records: usize) -> u64 {
    200 + 8 * records as u64
}

/// The same for opening and checking, which see every record once.
fn calls_max_of_a_pass(records: usize) -> u64 {
    50 + 2 * records as u64
}

/// The same for a repair, which goes over everything in rounds and changes what it must.
pub(super) fn calls_max_of_a_repair(records: usize) -> u64 {
    5_000 + 200 * records as u64
}

pub(super) fn run(data: &[u8]) {
    let mut rng = Rng::from_bytes(data);
    let samples = samples();
    let mut map = samples[rng.below(samples.len() as u64) as usize].clone();
    let setup = Setup::random(&mut rng);
    for _ in 0..rng.below(FORGED_MAX) {
        forge(&mut map, &mut rng);
    }
    let store = TestStore::from_map(map, setup.limits);
    store.0.borrow_mut().scan_entries_max = setup.scan_entries_max;
    check(&store);
    use_it(&store, &setup, &mut rng);
    // What the operations left must be no worse to check and to open.
    check(&store);
    if let Some(mut guest) = open(&store, &setup) {
        walk(&store, &mut guest);
    }
    mend(&store);
}

/// A repair ends, and what it could repair is sound, whatever was wrong.
fn mend(store: &TestStore) {
    // What is too large for its store is not to be repaired there.
    store.0.borrow_mut().limits = LARGE;
    bounded(store, calls_max_of_a_repair(records(store)));
    let options = RepairOptions { accept_loss: true };
    match repair(&mut store.clone(), &mut TestClock::default(), "v", options) {
        Ok(repair) => {
            let told = |finding: &kvfs::Finding| finding.to_string();
            let left: Vec<_> = repair.after.findings.iter().map(told).collect();
            let fixes: Vec<_> = repair.fixes.iter().map(ToString::to_string).collect();
            // Without a superblock the size of extents may be known no more: then nothing is touched.
            let superblock = |finding: &kvfs::Finding| tag_of(&finding.key) == 0;
            if repair.fixes.is_empty() && repair.before.findings.iter().any(superblock) {
                return;
            }
            assert!(left.is_empty(), "left {left:#?}\nafter {fixes:#?}");
            bounded(store, calls_max_of_a_pass(records(store)));
            let again = fsck(&mut store.clone(), "v").expect("a volume that was repaired can be checked");
            assert!(again.is_clean(), "after a repair: {:#?}", again.findings);
        }
        // Of another format, or with larger records than this store takes: both say what to do.
        Err(Error::Format(_) | Error::StoreLimits(_)) => {}
        // A record has the highest number that an inode may have: what is lost has no place.
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
    bounded(store, calls_max_of_a_pass(records(store)));
    let before: Map = store.0.borrow().map.clone();
    let checked = fsck(&mut store.clone(), "v");
    let usable = probe(&mut store.clone(), "v");
    // A finding or not: a check changes nothing, and can be printed.
    assert!(store.0.borrow().map == before, "a check has changed the store");
    let printed: usize =
        checked.iter().flat_map(|report| &report.findings).map(|f| f.to_string().len()).sum();
    assert!(printed < 1 << 20, "{printed} bytes of findings about {} records ({usable:?})", before.len());
}

fn open(store: &TestStore, setup: &Setup) -> Option<Guest> {
    bounded(store, calls_max_of_a_pass(records(store)));
    let volume = Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), setup.options());
    volume.and_then(Guest::new).ok()
}

fn use_it(store: &TestStore, setup: &Setup, rng: &mut Rng) {
    let Some(mut guest) = open(store, setup) else { return };
    reach();
    walk(store, &mut guest);
    let mut done = 0;
    while !rng.is_done() && done < OPERATIONS_MAX {
        act(store, &mut guest, &random(rng));
        done += 1;
    }
    act(store, &mut guest, &Op::Sync);
}

fn act(store: &TestStore, guest: &mut Guest, op: &Op) {
    bounded(store, calls_max(records(store)));
    // Any answer will do.
    let _ = guest.act(op);
}

/// Looks at every name that sequences use, lists, reads and stats.
fn walk(store: &TestStore, guest: &mut Guest) {
    walk_with(&mut |op| act(store, guest, op));
}

/// The same, by operations that are done in this way.
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

/// Every sample as it is, each opened with another set-up.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let seed = |sample: u8| [vec![sample; 9], vec![0; 3]].concat();
    (0..samples().len() as u8).map(seed).collect()
}
