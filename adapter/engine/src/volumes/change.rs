//! One change of a store: records that are replaced together, each guarded on the value that it had.

use crate::attempts::{Planning, beside_others, busy};
use crate::error::{Error, Result};
use crate::limits::MIN_FORK_BATCH_ENTRIES;
use crate::store::{Durability, Guard, KvStore, Limits, Mutation, StoreError};

/// Records to be replaced in one apply.
#[derive(Default)]
pub(super) struct Change {
    records: Vec<Replaced>,
}

struct Replaced {
    key: Vec<u8>,
    /// The value that it must have; `None`: none.
    before: Option<Vec<u8>>,
    /// The new value, `None` to remove it. The same as `before`: it is only guarded.
    after: Option<Vec<u8>>,
}

/// The outcome of an attempt.
enum Outcome {
    Applied,
    /// Others were faster.
    Again,
}

impl Change {
    /// Replaces a record, which must have the value `before`.
    pub(super) fn replace(&mut self, key: Vec<u8>, before: Option<Vec<u8>>, after: Option<Vec<u8>>) {
        match self.records.iter_mut().find(|record| record.key == key) {
            // It has the value that the change itself gives it.
            Some(record) => record.after = after,
            None => self.records.push(Replaced { key, before, after }),
        }
    }

    /// Returns what the change makes of a record; `None` if it does not touch it.
    pub(super) fn after(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let record = self.records.iter().find(|record| record.key == key)?;
        Some(record.after.as_deref())
    }

    fn apply(&self, store: &mut dyn KvStore, limits: &Limits, level: Durability) -> Result<Outcome> {
        let guards: Vec<Guard<'_>> = self
            .records
            .iter()
            .map(|record| Guard { key: &record.key, expected: record.before.as_deref() })
            .collect();
        let changed = self.records.iter().filter(|record| record.before != record.after);
        let mutations: Vec<Mutation<'_>> = changed
            .map(|record| match &record.after {
                Some(value) => Mutation::Put { key: &record.key, value },
                None => Mutation::Delete { key: &record.key },
            })
            .collect();
        check_fits(limits, &mutations)?;
        match store.apply(&guards, &mutations, level) {
            Ok(()) => Ok(Outcome::Applied),
            Err(StoreError::Conflict) => Ok(Outcome::Again),
            Err(StoreError::UnknownOutcome) => self.find_out(store, level),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the store whether a doubtful apply was applied: whether all records are as it makes them.
    /// If others have changed one since, it is not known, and the caller looks at what there is.
    fn find_out(&self, store: &mut dyn KvStore, level: Durability) -> Result<Outcome> {
        for record in &self.records {
            let found = store.get(&[&record.key])?.into_iter().next().flatten();
            if found != record.after {
                return Ok(Outcome::Again);
            }
        }
        if level == Durability::Durable {
            store.apply(&[], &[], level)?;
        }
        Ok(Outcome::Applied)
    }
}

fn check_fits(limits: &Limits, mutations: &[Mutation<'_>]) -> Result<()> {
    let bytes: usize = mutations
        .iter()
        .map(|mutation| match mutation {
            Mutation::Put { key, value } => key.len() + value.len(),
            Mutation::Delete { key } => key.len(),
        })
        .sum();
    let longest = mutations.iter().map(|mutation| match mutation {
        Mutation::Put { value, .. } => value.len(),
        Mutation::Delete { .. } => 0,
    });
    if bytes > limits.max_batch_bytes as usize || longest.max() > Some(limits.max_value_bytes as usize) {
        return Err(Error::StoreLimits("the change of a volume's layers does not fit max-batch-bytes"));
    }
    Ok(())
}

/// Plans a change and applies it, and again if others change what it rests on meanwhile. `plan` gets the
/// number of the attempt, and returns the change, or `None` to be called again.
///
/// # Errors
/// Those of `plan`, the store's, and [`StoreError::Unavailable`] if others are always faster.
pub(super) fn attempt<T>(
    store: &mut dyn KvStore,
    level: Durability,
    mut plan: impl FnMut(&mut dyn KvStore, u32) -> Result<Option<(Change, T)>>,
) -> Result<T> {
    let limits = store.limits()?;
    if limits.max_batch_entries < MIN_FORK_BATCH_ENTRIES {
        return Err(Error::StoreLimits("volumes in layers need a max-batch-entries of at least 8"));
    }
    let mut number = 0;
    let done = beside_others(store, &mut |store, attempts| {
        let mut store = Planning::new(store, &limits);
        for _ in 0..attempts {
            let planned = plan(&mut store, number)?;
            number += 1;
            let Some((change, result)) = planned else {
                store.forget();
                continue;
            };
            match change.apply(&mut store, &limits, level)? {
                Outcome::Applied => return Ok(Some(result)),
                Outcome::Again => store.read_ahead()?,
            }
        }
        Ok(None)
    })?;
    done.ok_or_else(busy)
}
