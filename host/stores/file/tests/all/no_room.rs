//! Every call of the disk that may need room finds none, one after another.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileStore, Options, StoreError};
use kvfs_store_rig::{Calls, Changes, Random, State, change};
use std::collections::BTreeSet;

/// Sizes at which a few applies roll, make a checkpoint and collect.
const OPTIONS: Options = Options {
    min_garbage_bytes: 600,
    reserve_bytes: 1 << 10,
    min_segment_bytes: 700,
    max_recent_changes: 9,
    max_replay_bytes: 4 << 10,
    max_cache_bytes: 0,
    ..Options::DEFAULT
};

const APPLIES: usize = 24;

/// The syncs: what a failed one leaves of earlier writes is unknown, so the store ends there.
const SYNCS: [&str; 2] = ["sync", "sync names"];

/// Returns the changes of an apply, and whether it is durable.
fn step(number: usize) -> (Changes, bool) {
    let mut random = Random::new(number as u64);
    let changes = (0..1 + random.below(3)).map(|_| {
        let key = vec![b'k', random.below(7) as u8];
        let value = vec![number as u8; [0, 9, 60, 250][random.below(4) as usize]];
        (key, (!random.chance(4)).then_some(value))
    });
    (changes.collect(), number % 6 == 5)
}

/// A run of the store in which some calls find no room.
struct Run {
    directory: SimDirectory,
    what: String,
    state: State,
    /// The states since the last durable one, which is the first.
    since_durable: Vec<State>,
}

impl Run {
    fn new(no_room: Option<(std::ops::Range<u64>, usize)>) -> Self {
        let what = format!("no room for {no_room:?}");
        let directory = SimDirectory::new(Disk::default());
        directory.disk(|disk| disk.no_room = no_room);
        Self { directory, what, state: State::new(), since_durable: vec![State::new()] }
    }

    /// Returns whether a sync found no room.
    fn has_failed_sync(&self) -> bool {
        self.directory.disk(|disk| disk.found_no_room.iter().any(|kind| SYNCS.contains(kind)))
    }

    /// Opens the store; at a second attempt there is room.
    fn open(&self) -> FileStore<SimDirectory> {
        match FileStore::open_with(self.directory.clone(), OPTIONS) {
            Ok(store) => store,
            Err(error) => {
                let expected = error == StoreError::QuotaExceeded;
                assert!(expected || self.has_failed_sync(), "{}: opening: {error}", self.what);
                self.directory.disk(|disk| disk.no_room = None);
                FileStore::open_with(self.directory.clone(), OPTIONS)
                    .unwrap_or_else(|error| panic!("{}: opening again: {error}", self.what))
            }
        }
    }

    fn took(&mut self, state: State, durable: bool) {
        self.state = state;
        if durable {
            self.since_durable.clear();
        }
        self.since_durable.push(self.state.clone());
    }

    /// Makes a change until there is room for it.
    fn make(&mut self, store: &mut FileStore<SimDirectory>, changes: &Changes, durable: bool) {
        let mut next = self.state.clone();
        change(&mut next, changes);
        for _ in 0..3 {
            let failed = match store.make(changes, durable) {
                Ok(()) => return self.took(next, durable),
                Err(error) => error,
            };
            // A refused change is not there, and everything else is. The store goes on at once.
            if failed == StoreError::QuotaExceeded {
                assert_eq!(store.entries(b"", b"").unwrap(), self.state, "{}", self.what);
            } else {
                assert!(self.has_failed_sync(), "{}: {failed}", self.what);
                *store = self.open();
                let found = store.entries(b"", b"").unwrap();
                let is_whole = found == self.state || found == next;
                assert!(
                    is_whole && matches!(failed, StoreError::UnknownOutcome | StoreError::Unavailable(_))
                );
            }
            self.directory.disk(|disk| disk.no_room = None);
        }
        panic!("{}: the change finds no room", self.what);
    }

    /// Runs all of it, and returns how many calls may need room, and the kinds of those that found
    /// none.
    fn all(mut self) -> (u64, Vec<&'static str>) {
        let mut store = self.open();
        for number in 0..APPLIES {
            let (changes, durable) = step(number);
            self.make(&mut store, &changes, durable);
            if number == APPLIES / 2 {
                drop(store);
                store = self.open();
            }
        }
        match store.end() {
            Ok(()) => self.took(self.state.clone(), true),
            Err(error) => assert!(error == StoreError::QuotaExceeded || self.has_failed_sync(), "{error}"),
        }
        let met = self.directory.disk(|disk| (disk.growing_calls, disk.found_no_room.clone()));
        self.directory.disk(|disk| disk.no_room = None);
        let again = self.changes_after_all();
        if self.has_failed_sync() {
            store = self.open();
        }
        self.make(&mut store, &again, true);
        let lasting = self.directory.disk(|disk| disk.after_kill());
        assert_eq!(self.found(lasting), self.state, "{}", self.what);
        for seed in 0..3 {
            let crashed = self.directory.disk(|disk| disk.after_crash(&mut Random::new(seed)));
            let found = self.found(crashed);
            assert!(self.since_durable.contains(&found), "{}, crashed with seed {seed}", self.what);
        }
        met
    }

    fn changes_after_all(&self) -> Changes {
        vec![(b"after all".to_vec(), Some(vec![1; 300])), (vec![b'k', 0], None)]
    }

    fn found(&self, disk: Disk) -> State {
        let mut store = FileStore::open_with(SimDirectory::new(disk), OPTIONS)
            .unwrap_or_else(|error| panic!("{}: {error}", self.what));
        store.entries(b"", b"").unwrap()
    }
}

#[test]
fn a_call_that_finds_no_room_says_so_and_the_store_goes_on() {
    let (calls, _) = Run::new(None).all();
    assert!(calls > 120, "only {calls} calls may need room");
    let mut met = BTreeSet::new();
    for first in 0..calls {
        for eighths in [0, 3, 7] {
            for length in [1, 2, 5, u64::MAX - first] {
                met.extend(Run::new(Some((first..first + length, eighths))).all().1);
            }
        }
    }
    assert_eq!(met, BTreeSet::from(["create", "cut", "sync", "sync names", "write"]));
}
