//! The engine's own crash test on a store: sequences of its operations, and at every call of the
//! medium a cut.

use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_trust::below::Below;
use kvfs_trust::cuts::{Mark, Met};
use kvfs_trust::layered::split;
use kvfs_trust::ops::{Op, Setup};
use kvfs_trust::run::Check;
use kvfs_trust::shrink::{first_failure, no_seed_fails};
use std::fmt;
use std::sync::Mutex;

/// A simulated medium, and the store on it.
pub trait Medium {
    /// The store under test.
    type Store: KvStore;

    /// Opens the store. The number tells two openings by one program apart.
    fn open(&self, opening: u64) -> Result<Self::Store, StoreError>;

    /// Changes the progress that the medium records with each of its calls.
    fn mark<T>(&self, change: impl FnOnce(&mut Mark) -> T) -> T;

    /// Returns the level of the apply with this number. A sabotage may lower `level`.
    fn level(&self, level: Durability, _number: usize) -> Durability {
        level
    }

    /// Looks at the store after an apply.
    fn applied(&self, _store: &Self::Store) {}
}

/// A sabotage: every seventh apply is acknowledged and not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropsApplies(pub bool);

/// A store on trial under the engine.
pub struct OnTrial<M: Medium> {
    medium: M,
    store: M::Store,
    drops: DropsApplies,
    /// Calls of `apply`.
    calls: usize,
}

impl<M: Medium> OnTrial<M> {
    /// Opens the store of a medium.
    ///
    /// # Errors
    /// As the store.
    pub fn open(medium: M, drops: DropsApplies) -> Result<Self, StoreError> {
        let store = medium.open(1).map_err(strictly)?;
        Ok(Self { medium, store, drops, calls: 0 })
    }
}

/// A sound store on a sound medium fails for these two reasons alone: any other is one that the
/// engine must not put up with.
fn strictly(error: StoreError) -> StoreError {
    match error {
        StoreError::Conflict | StoreError::UnknownOutcome => error,
        other => StoreError::Corrupt(other.to_string()),
    }
}

impl<M: Medium> OnTrial<M> {
    /// Returns whether the store is as an apply leaves it.
    fn has(&mut self, mutations: &[Mutation<&[u8]>]) -> Result<bool, StoreError> {
        for mutation in mutations {
            let found = self.store.get(&[mutation.key()]).map_err(strictly)?;
            if found != [mutation.value().map(<[u8]>::to_vec)] {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl<M: Medium> Below for OnTrial<M> {
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.store = self.medium.open(2).map_err(strictly)?;
        Ok(())
    }
}

impl<M: Medium> KvStore for OnTrial<M> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.store.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.store.get(keys).map_err(strictly)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.store.scan(start, end, max_entries, max_bytes).map_err(strictly)
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let begun = self.medium.mark(|mark| {
            mark.begun += 1;
            mark.begun
        });
        self.calls += 1;
        let level = self.medium.level(level, self.calls);
        if !self.drops.0 || !begun.is_multiple_of(7) {
            match self.store.apply(guards, mutations, level) {
                // Who is told so finds out. Then it counts, or it never began.
                Err(StoreError::UnknownOutcome) if !self.has(mutations)? => {
                    self.medium.mark(|mark| mark.begun -= 1);
                    return Err(StoreError::UnknownOutcome);
                }
                Ok(()) | Err(StoreError::UnknownOutcome) => {}
                Err(error) => return Err(strictly(error)),
            }
        }
        self.medium.applied(&self.store);
        self.medium.mark(|mark| mark.acknowledged = begun);
        Ok(())
    }
}

/// Runs a sequence of operations, checks every cut of it, and counts the cuts by kind.
pub type SweepOne<K> = fn(&Setup, &[Op], Option<K>) -> Result<Met, String>;

/// Sweeps many sequences. `K` is a kind of sabotage.
pub struct Sweep<K>(pub SweepOne<K>);

impl<K: Copy + Send + Sync + fmt::Debug> Sweep<K> {
    /// Sweeps random sequences, none of which may fail. Returns the counts of all cuts.
    ///
    /// # Panics
    /// If a sequence fails. The message has the shortest one that fails.
    pub fn many(&self, sequences: u64, operations: usize) -> Met {
        many(sequences, operations, |setup, ops| (self.0)(setup, ops, None))
    }

    /// Like [`Self::many`], above an image.
    ///
    /// # Panics
    /// If a sequence fails.
    pub fn above_images(&self, sequences: u64, operations: usize) {
        no_seed_fails(sequences, operations, &|setup, ops| {
            let (setup, ops) = split(setup, ops)?;
            (self.0)(&setup, ops, None).map(drop)
        });
    }

    /// Checks that sweeps notice each kind of sabotage: a suite that cannot fail proves nothing.
    ///
    /// # Panics
    /// If one kind is not noticed.
    pub fn notices(&self, kinds: impl IntoIterator<Item = K>, operations: usize) {
        for kind in kinds {
            notices(&kind, operations, |setup, ops| (self.0)(setup, ops, Some(kind)));
        }
    }
}

/// See [`Sweep::many`].
pub(crate) fn many(
    sequences: u64,
    operations: usize,
    one: impl Fn(&Setup, &[Op]) -> Result<Met, String> + Sync,
) -> Met {
    let all = Mutex::new(Met::default());
    let check = |setup: &Setup, ops: &[Op]| -> Check {
        let met = one(setup, ops)?;
        all.lock().unwrap().add(met);
        Ok(())
    };
    no_seed_fails(sequences, operations, &check);
    all.into_inner().unwrap()
}

/// See [`Sweep::notices`].
pub(crate) fn notices(
    kind: &impl fmt::Debug,
    operations: usize,
    one: impl Fn(&Setup, &[Op]) -> Result<Met, String> + Sync,
) {
    let story = first_failure(0..40, operations, &|setup: &Setup, ops: &[Op]| one(setup, ops).map(drop));
    let story = story.unwrap_or_else(|| panic!("{kind:?} was not noticed"));
    println!("{kind:?}: {}", story.lines().next().unwrap_or_default());
}
