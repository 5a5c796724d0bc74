//! A store in memory that counts its calls, remembers what it held, and stops at any call.

use kvfs_contract::{
    Durability, Entry, Guard, KvStore, Limits, Mutation, ScanBudget, StoreError, gather, key_range,
};
use kvfs_sealed_store::{Blocking, Cost, OpenError, Random, Seal, SealedStore, UserKey, now};
use kvfs_store_rig::State;
use kvfs_trust::cuts::Mark;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Calls by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) gets: usize,
    pub(crate) scans: usize,
    pub(crate) entries: usize,
    pub(crate) applies: usize,
}

/// An apply that was made.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) before: State,
    pub(crate) mark: Mark,
    pub(crate) durable: bool,
}

pub(crate) struct Contents {
    pub(crate) entries: State,
    pub(crate) limits: Limits,
    pub(crate) counts: Counts,
    /// Progress of the work that makes the calls.
    pub(crate) mark: Mark,
    /// All applies, if they are to be kept.
    pub(crate) log: Option<Vec<Step>>,
    /// Calls until the power goes.
    pub(crate) calls_left: Option<u64>,
    /// Makes the next apply, and tells nobody.
    pub(crate) loses_answer: bool,
}

#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<Contents>>);

impl Disk {
    pub(crate) fn new(entries: State, limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Contents {
            entries,
            limits,
            counts: Counts::default(),
            mark: Mark::default(),
            log: None,
            calls_left: None,
            loses_answer: false,
        })))
    }

    pub(crate) fn empty() -> Self {
        Self::new(State::new(), Limits::standard(true))
    }

    pub(crate) fn contents<T>(&self, look: impl FnOnce(&mut Contents) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(crate) fn entries(&self) -> State {
        self.contents(|contents| contents.entries.clone())
    }

    /// Returns the calls since the last question.
    pub(crate) fn counted(&self) -> Counts {
        self.contents(|contents| std::mem::take(&mut contents.counts))
    }

    fn call(&self) -> Result<std::sync::MutexGuard<'_, Contents>, StoreError> {
        let mut contents = self.0.lock().unwrap();
        match &mut contents.calls_left {
            Some(0) => return Err(StoreError::Unavailable("the power is gone".into())),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(contents)
    }
}

impl KvStore for Disk {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(self.call()?.limits)
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut contents = self.call()?;
        contents.counts.gets += 1;
        contents.limits.check_get(keys)?;
        gather(keys, |key| Ok(contents.entries.get(key).cloned()))
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let mut contents = self.call()?;
        let Limits { max_batch_entries, max_batch_bytes, .. } = contents.limits;
        let mut budget = ScanBudget::new(max_entries.min(max_batch_entries), max_bytes.min(max_batch_bytes));
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        let page: Vec<_> = contents
            .entries
            .range::<[u8], _>(range)
            .take_while(|(key, value)| budget.take(key.len() + value.len()))
            .map(|(key, value)| Entry { key: key.clone(), value: value.clone() })
            .collect();
        contents.counts.scans += 1;
        contents.counts.entries += page.len();
        Ok(page)
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let mut contents = self.call()?;
        contents.counts.applies += 1;
        contents.limits.check_apply(guards, mutations)?;
        if !guards.iter().all(|guard| guard.holds(contents.entries.get(guard.key).map(Vec::as_slice))) {
            return Err(StoreError::Conflict);
        }
        let (before, mark) = (contents.entries.clone(), contents.mark);
        if let Some(log) = &mut contents.log {
            log.push(Step { before, mark, durable: level == Durability::Durable });
        }
        for mutation in mutations {
            match mutation.value() {
                Some(value) => drop(contents.entries.insert(mutation.key().to_vec(), value.to_vec())),
                None => drop(contents.entries.remove(mutation.key())),
            }
        }
        if std::mem::take(&mut contents.loses_answer) { Err(StoreError::UnknownOutcome) } else { Ok(()) }
    }
}

/// Random bytes that are the same in every run, and never the same twice in one.
pub(crate) struct Seeded(kvfs_store_rig::Random);

impl Seeded {
    pub(crate) fn new() -> Self {
        static OPENINGS: AtomicU64 = AtomicU64::new(1);
        Self(kvfs_store_rig::Random::new(OPENINGS.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        bytes.fill_with(|| self.0.below(256) as u8);
        Ok(())
    }
}

pub(crate) type Sealed = SealedStore<Blocking<Disk>>;

/// A key file of one byte again and again.
pub(crate) fn key(byte: u8) -> UserKey {
    UserKey::from_key_file(vec![byte; 32]).unwrap()
}

/// The least cost that Argon2id takes.
pub(crate) const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

pub(crate) fn open_with(disk: &Disk, key: &UserKey) -> Result<Sealed, OpenError> {
    now(SealedStore::open(
        Blocking::new(disk.clone()),
        Seal { key, cost: CHEAP, create: true },
        Seeded::new(),
    ))
}

pub(crate) fn open(disk: &Disk) -> Sealed {
    open_with(disk, &key(1)).unwrap()
}

/// The key of a directory entry of the volume `v`.
pub(crate) fn entry(directory: u8, name: &str) -> Vec<u8> {
    [&b"\x01v\x11\0\0\0\0\0\0\0"[..], &[directory], name.as_bytes()].concat()
}
