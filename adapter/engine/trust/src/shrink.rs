//! Runs many seeds on all cores, and shrinks a failing sequence.

use crate::ops::{Op, Setup};
use crate::rng::Rng;
use crate::run::Check;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The setup and operations of a seed.
pub fn case(seed: u64, length: usize) -> (Setup, Vec<Op>) {
    let mut rng = Rng::new(seed);
    let setup = Setup::random(&mut rng);
    let ops = crate::ops::sequence(&mut rng, length);
    (setup, ops)
}

pub fn guarded(check: &(dyn Fn(&Setup, &[Op]) -> Check + Sync), setup: &Setup, ops: &[Op]) -> Check {
    catch_unwind(AssertUnwindSafe(|| check(setup, ops))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

/// Removes operations that the failure does not need: in ever smaller pieces, until no single one
/// can go.
pub fn shrink(
    setup: &Setup,
    ops: &[Op],
    check: &(dyn Fn(&Setup, &[Op]) -> Check + Sync),
) -> (Vec<Op>, String) {
    let mut ops = ops.to_vec();
    let mut failure = String::new();
    let mut piece = ops.len().div_ceil(2);
    while piece > 0 {
        let (mut start, mut shorter) = (0, false);
        while start < ops.len() {
            let mut candidate = ops.clone();
            candidate.drain(start..(start + piece).min(ops.len()));
            match guarded(check, setup, &candidate) {
                Err(what) => {
                    (ops, failure, shorter) = (candidate, what, true);
                }
                Ok(()) => start += piece,
            }
        }
        if piece > 1 || !shorter {
            piece /= 2;
        }
    }
    if failure.is_empty() {
        failure = guarded(check, setup, &ops).err().unwrap_or_default();
    }
    (ops, failure)
}

/// Formats a failure for printing.
fn report(failure: &str, setup: &Setup, ops: &[Op]) -> String {
    let ops: Vec<String> = ops.iter().map(|op| format!("    {op:?}")).collect();
    format!("{failure}\n{setup:?}\nshortest sequence:\n{}", ops.join("\n"))
}

/// Returns a report of the first failing seed, if any.
pub fn first_failure(
    seeds: Range<u64>,
    length: usize,
    check: &(dyn Fn(&Setup, &[Op]) -> Check + Sync),
) -> Option<String> {
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let worker = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return None;
            }
            let (setup, ops) = case(seed, length);
            if guarded(check, &setup, &ops).is_err() {
                stop.store(true, Ordering::Relaxed);
                let (ops, failure) = shrink(&setup, &ops, check);
                return Some(format!("seed {seed}: {}", report(&failure, &setup, &ops)));
            }
        }
        None
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().find_map(|worker| worker.join().expect("a worker that catches panics"))
    })
}

/// Panics with the shortest failing sequence if this one fails.
pub(crate) fn check_sequence(setup: &Setup, ops: &[Op], check: &(dyn Fn(&Setup, &[Op]) -> Check + Sync)) {
    if guarded(check, setup, ops).is_err() {
        let (ops, failure) = shrink(setup, ops, check);
        panic!("{}", report(&failure, setup, &ops));
    }
}

/// Returns the seeds of a random suite that usually tries `count`, and prints them, so that a run
/// can be repeated.
///
/// `KVFS_SEED` selects one seed and `KVFS_SEQUENCES` the number of seeds. `KVFS_TIMES` multiplies
/// the usual number, and `KVFS_FIRST_SEED` is where to start (0 by default); `make soak` sets these
/// two.
pub fn seeds(count: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("KVFS_SEED") {
        return seed..seed + 1;
    }
    let times = number("KVFS_TIMES").unwrap_or(1);
    let count = number("KVFS_SEQUENCES").unwrap_or(count.saturating_mul(times));
    let first = number("KVFS_FIRST_SEED").unwrap_or(0);
    println!("seeds {first}..{}", first + count);
    first..first + count
}

/// Fails the test if a seed fails.
pub fn no_seed_fails(count: u64, length: usize, check: &(dyn Fn(&Setup, &[Op]) -> Check + Sync)) {
    if let Some(story) = first_failure(seeds(count), length, check) {
        panic!("{story}");
    }
}
