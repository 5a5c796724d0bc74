//! Checks the suite's claims about opening a store again: each claim finds the stores that break
//! it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use kvfs_host::conformance;
use kvfs_host::{Bytes, Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};

use crate::suite::{COMMON, Data, Is, Map, failing};

/// The part of its data that a store keeps on disk.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Keeps {
    Everything,
    Nothing,
    /// Buffered applies go to the disk with the next durable one.
    DurableOnly,
    /// A durable apply goes to the disk and leaves earlier buffered ones behind.
    DurableWithoutTheEarlier,
    /// Like `DurableOnly`, but an apply without mutations is ignored.
    NoBarrier,
    /// An apply with a failed guard takes effect when the disk is read.
    Refused,
    /// One of every five buffered applies is lost.
    NotEach,
    /// Reads its log backwards.
    Backwards,
    /// Forgets removals.
    Removed,
}

type Batch = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A store with a log on a disk.
struct Logged {
    keeps: Keeps,
    disk: Arc<Mutex<Vec<Batch>>>,
    map: Map,
    waiting: Mutex<Vec<Batch>>,
    applies: AtomicU32,
}

impl Logged {
    fn open(keeps: Keeps, disk: &Arc<Mutex<Vec<Batch>>>) -> Self {
        let limits = Limits { durable: true, ..COMMON };
        let mut data = Data::new();
        let log = disk.lock().unwrap();
        let all: Vec<_> =
            if keeps == Keeps::Backwards { log.iter().rev().collect() } else { log.iter().collect() };
        for (key, value) in all.into_iter().flatten() {
            match value {
                Some(value) => drop(data.insert(key.clone(), value.clone())),
                None if keeps == Keeps::Removed => {}
                None => drop(data.remove(key)),
            }
        }
        drop(log);
        let map = Map { data: Mutex::new(data), ..Map::new(limits, Is::Right) };
        Self { keeps, disk: disk.clone(), map, waiting: Mutex::default(), applies: AtomicU32::new(0) }
    }
}

impl SyncStore for Logged {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.map.limits()
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.map.get(keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        self.map.scan(start, end, entries, bytes)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        // One apply at a time, so that the log has the map's order.
        let mut waiting = self.waiting.lock().unwrap();
        let done = self.map.apply(guards, mutations, level);
        if done.is_err() && self.keeps != Keeps::Refused {
            return done;
        }
        let batch: Batch = mutations
            .iter()
            .map(|mutation| (mutation.key().to_vec(), mutation.value().map(<[u8]>::to_vec)))
            .collect();
        let number = self.applies.fetch_add(1, Ordering::SeqCst);
        let durable = level == Durability::Durable;
        let mut disk = self.disk.lock().unwrap();
        match self.keeps {
            Keeps::Nothing => {}
            Keeps::NotEach if !durable && number % 5 == 3 => {}
            Keeps::DurableWithoutTheEarlier if durable => disk.push(batch),
            Keeps::DurableWithoutTheEarlier => {}
            Keeps::NoBarrier if mutations.is_empty() => {}
            Keeps::DurableOnly | Keeps::NoBarrier => {
                waiting.push(batch);
                if durable {
                    disk.append(&mut waiting);
                }
            }
            _ => disk.push(batch),
        }
        done
    }
}

#[test]
fn what_a_store_on_a_disk_loses_is_found_by_the_claims_about_it() {
    let claim = |name: &str| format!("{name}_when_the_store_is_opened_again");
    let cases: [(Keeps, &[&str], &[&str]); 9] = [
        (Keeps::Everything, &[], &["durably_is_there", "buffered_is_there", "earlier_one", "earlier_apply"]),
        (
            Keeps::Nothing,
            &["what_was_applied_durably_is_there", "a_durable_apply_keeps_every_earlier_one"],
            &[],
        ),
        (
            Keeps::DurableOnly,
            &["what_was_applied_buffered_is_there"],
            &[
                "durably_is_there",
                "keeps_every_earlier_one",
                "keeps_every_earlier_apply",
                "without_the_earlier",
            ],
        ),
        (
            Keeps::DurableWithoutTheEarlier,
            &["a_durable_apply_keeps_every_earlier_one", "a_barrier_keeps_every_earlier_apply"],
            &["durably_is_there"],
        ),
        (
            Keeps::NoBarrier,
            &["a_barrier_keeps_every_earlier_apply"],
            &["durably_is_there", "keeps_every_earlier_one"],
        ),
        (Keeps::Refused, &["what_was_refused_is_not_there"], &["durably_is_there"]),
        (
            Keeps::NotEach,
            &["no_apply_is_there_without_the_earlier_ones"],
            &["durably_is_there", "buffered_is_there"],
        ),
        (Keeps::Backwards, &["no_apply_is_there_without_the_earlier_ones"], &[]),
        (Keeps::Removed, &["what_was_removed_stays_removed"], &[]),
    ];
    for (keeps, fail, hold) in cases {
        let disk = Arc::default();
        let mut open =
            || -> Result<Box<dyn SyncStore>, StoreError> { Ok(Box::new(Logged::open(keeps, &disk))) };
        let report = conformance::check_all(&mut open, &mut |_| {});
        assert_eq!(report.passed(), keeps == Keeps::Everything, "{keeps:?}\n{report}");
        let failing = failing(&report);
        for wanted in fail {
            assert!(failing.contains(&&*claim(wanted)), "{keeps:?}: {wanted}\n{report}");
        }
        for holding in hold {
            assert!(!failing.iter().any(|failed| failed.contains(holding)), "{keeps:?}: {holding}\n{report}");
        }
    }
}
