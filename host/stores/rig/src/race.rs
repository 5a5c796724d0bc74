//! Several openers of one medium, their calls in every order.

use crate::{Calls, Handle, Pair, State};
use kvfs_contract::StoreError;
use std::collections::BTreeSet;

/// Steps that each opener of a race takes.
const APPLIES: usize = 12;

/// Rules of a race of openers on a medium `M`.
pub struct Race<M, S> {
    /// Opens the store. The number is the thread's: concurrent openers have different ones.
    pub open: fn(&Handle<M>, u64) -> Result<S, StoreError>,
    /// Entries that a step puts beside its mark, so that later steps leave garbage.
    pub ballast: fn(usize) -> State,
    /// True if a read may fail like this because another opener is newer. Any other failure is a
    /// bug and panics.
    pub may_be_overtaken: fn(&StoreError) -> bool,
    /// Openers take turns: an older one goes on, and its guards are checked against what the newer
    /// ones did. Otherwise an older one never makes a change again, so no guard of it fails.
    pub takes_turns: bool,
}

impl<M: Send, S: Calls> Race<M, S> {
    /// Counts up under a guard, with a mark for each step, and reopens the store whenever another
    /// opener is newer. Returns the marks of the acknowledged steps.
    ///
    /// # Panics
    /// If a call fails for another reason.
    pub fn count_up(&self, handle: &Handle<M>, thread: usize) -> Vec<Vec<u8>> {
        let mut acknowledged = Vec::new();
        let mut store = None;
        for step in 0..APPLIES {
            let Some(open) = &mut store else {
                store = (self.open)(handle, thread as u64).ok();
                continue;
            };
            let mark = format!("mark {thread} {step}").into_bytes();
            let count = match open.value_of(b"count") {
                Ok(count) => count,
                Err(error) if (self.may_be_overtaken)(&error) => {
                    store = None;
                    continue;
                }
                Err(error) => panic!("thread {thread}, step {step}: {error}"),
            };
            let next = (count.as_deref().map_or(0, number) + 1).to_be_bytes();
            let guard: Pair<'_> = (b"count", count.as_deref());
            let ballast = (self.ballast)(step);
            let mut pairs: Vec<Pair<'_>> = vec![(b"count", Some(&next)), (&mark, Some(b""))];
            pairs.extend(ballast.iter().map(|(key, value)| (&key[..], Some(&value[..]))));
            match open.set(&[guard], &pairs, step % 5 == 0) {
                Ok(()) => acknowledged.push(mark),
                // Another opener was faster, or all of them took the store from each other too often.
                Err(StoreError::Conflict | StoreError::Unavailable(_)) if self.takes_turns => {}
                Err(StoreError::AccessDenied) if !self.takes_turns => store = None,
                Err(StoreError::UnknownOutcome) => store = None,
                Err(error) => panic!("thread {thread}, step {step}: {error}"),
            }
        }
        acknowledged
    }

    /// Lets one thread per handle [count up](Self::count_up). Then checks the store that `left`
    /// opens: it must hold every acknowledged step, and each step once. Returns the number of
    /// acknowledged steps.
    ///
    /// # Panics
    /// If a step was lost or taken twice.
    pub fn run(&self, handles: &[Handle<M>], seed: u64, left: impl FnOnce() -> S) -> usize {
        let what = format!("seed {seed}");
        let acknowledged =
            Handle::run_all(handles, &what, |handle, thread| self.count_up(handle, thread)).concat();
        let mut store = left();
        let count = store.value_of(b"count").unwrap().as_deref().map_or(0, number);
        let marks: BTreeSet<Vec<u8>> = store.entries(b"mark", b"n").unwrap().into_keys().collect();
        assert_eq!(count, marks.len() as u64, "{what}: steps and their marks");
        for mark in &acknowledged {
            assert!(marks.contains(mark), "{what}: {} is lost", String::from_utf8_lossy(mark));
        }
        acknowledged.len()
    }
}

/// Reads the count of a race.
pub fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
}

/// Checks two openers of one medium: the newer one has the store, and the older one's applies fail.
/// Each call of `open` opens the store anew.
///
/// # Panics
/// If this does not hold.
pub fn the_newer_opener_has_the_store_and_the_older_is_told<S: Calls>(mut open: impl FnMut() -> S) {
    let mut older = open();
    older.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
    let mut newer = open();
    assert_eq!(newer.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(older.set(&[], &[(b"a", Some(b"2"))], false), Err(StoreError::UnknownOutcome));
    assert_eq!(older.set(&[], &[(b"a", Some(b"2"))], false), Err(StoreError::AccessDenied));
    newer.set(&[(b"a", Some(b"1"))], &[(b"b", Some(b"1"))], true).unwrap();
    // Nobody finds what the older one wrote too late.
    let mut third = open();
    assert_eq!(third.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}
