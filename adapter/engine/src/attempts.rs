//! Changes that rest on records which others change too: planned, applied, and planned again.

use crate::error::{Error, Result};
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};

/// How often a change is planned anew because others changed what it rests on. A writer that commits in less
/// time than a plan takes comes between all of these readings and their applies.
pub(crate) const MAX_ATTEMPTS: u32 = 1024;

/// How often a change is planned beside others before they have to wait for it, where the store can let
/// them wait.
const POLITE_ATTEMPTS: u32 = 4;

/// A change in so many attempts. It is code of its own wherever it is called from.
type Work<'w, T> = dyn FnMut(&mut dyn KvStore, u32) -> Result<Option<T>> + 'w;

/// Makes a change that may be overtaken by others: first beside them, then while they wait if the store can
/// let them, and else beside them again. `work` gets the store and the number of attempts that it has;
/// `None` says that others were always faster.
pub(crate) fn beside_others<T>(store: &mut dyn KvStore, work: &mut Work<'_, T>) -> Result<Option<T>> {
    if let Some(done) = work(store, POLITE_ATTEMPTS)? {
        return Ok(Some(done));
    }
    let mut outcome = None;
    store.exclusively(&mut |store| outcome = Some(work(store, POLITE_ATTEMPTS)));
    match outcome {
        Some(Ok(None)) | None => work(store, MAX_ATTEMPTS),
        Some(done) => done,
    }
}

/// The error of a change that others always came before.
pub(crate) fn busy() -> Error {
    Error::Store(StoreError::Unavailable(
        "others keep changing the volume; nothing was done, try again".to_owned(),
    ))
}

/// Keys that are read ahead of a plan. A plan that reads more is no short change.
const MAX_KEYS: usize = 16;

/// A store for a change that is planned until an apply of it succeeds.
///
/// Every call between the first reading and the apply is time in which a busy writer can commit, so that
/// the apply fails again. A second plan therefore finds what the first one asked for in one `get`.
pub(crate) struct Planning<'a> {
    store: &'a mut dyn KvStore,
    /// Keys that one `get` may read ahead.
    keys_max: usize,
    /// What this plan has asked for; a key as often as it did.
    asked: Vec<Vec<u8>>,
    /// What was read ahead of this plan. A value is given once: who asks more often than the plan before
    /// wants to know whether it has changed.
    ahead: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl<'a> Planning<'a> {
    pub(crate) fn new(store: &'a mut dyn KvStore, limits: &Limits) -> Self {
        let keys_max = MAX_KEYS.min(limits.max_batch_entries as usize);
        Self { store, keys_max, asked: Vec::new(), ahead: Vec::new() }
    }

    /// Begins the next plan, after an apply that others were faster than: reads what the plan asked for.
    pub(crate) fn read_ahead(&mut self) -> Result<()> {
        self.ahead.clear();
        let asked = std::mem::take(&mut self.asked);
        let mut keys: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() > self.keys_max {
            return Ok(());
        }
        let values = self.store.get(&keys)?;
        let value = |key: &Vec<u8>| {
            let place = keys.binary_search(&key.as_slice()).ok()?;
            values.get(place)?.clone()
        };
        self.ahead = asked.iter().map(|key| (key.clone(), value(key))).collect();
        Ok(())
    }

    /// Begins the next plan, after one that found no state of one moment: it reads all anew.
    pub(crate) fn forget(&mut self) {
        self.ahead.clear();
        self.asked.clear();
    }

    /// Takes what was read ahead, if all of it was.
    fn take(&mut self, keys: &[&[u8]]) -> Option<Vec<Option<Vec<u8>>>> {
        let places = keys.iter().map(|key| self.ahead.iter().position(|(ahead, _)| ahead == key));
        let places: Vec<usize> = places.collect::<Option<_>>()?;
        let values = places.iter().map(|place| self.ahead.get(*place).and_then(|(_, value)| value.clone()));
        let values = values.collect();
        for key in keys {
            if let Some(place) = self.ahead.iter().position(|(ahead, _)| ahead == key) {
                self.ahead.swap_remove(place);
            }
        }
        Some(values)
    }
}

impl KvStore for Planning<'_> {
    fn limits(&mut self) -> std::result::Result<Limits, StoreError> {
        self.store.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> std::result::Result<Vec<Option<Vec<u8>>>, StoreError> {
        for key in keys {
            if self.asked.len() <= 2 * MAX_KEYS {
                self.asked.push(key.to_vec());
            }
        }
        match self.take(keys) {
            Some(values) => Ok(values),
            None => self.store.get(keys),
        }
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> std::result::Result<Vec<Entry>, StoreError> {
        self.store.scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> std::result::Result<(), StoreError> {
        // What the plan itself changes, it may read again.
        self.ahead.clear();
        self.store.apply(guards, mutations, level)
    }

    fn exclusively(&mut self, work: &mut dyn FnMut(&mut dyn KvStore)) -> bool {
        // As in `apply`: it is for a change on the way to the one that is planned.
        self.ahead.clear();
        self.store.exclusively(work)
    }
}
