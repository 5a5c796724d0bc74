//! Short forms of a store's calls.

use kvfs_contract::{Durability, Guard, KvStore, MAX_SCAN_BYTES, MAX_SCAN_ENTRIES, Mutation, StoreError};
use std::collections::BTreeMap;

/// The entries of a store.
pub type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Changes of an apply: keys with their new values; `None` removes a key.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A key and an optional value: a guard or a mutation.
pub type Pair<'a> = (&'a [u8], Option<&'a [u8]>);

/// Short forms of a store's calls.
pub trait Calls: KvStore {
    /// Returns the value of a key.
    fn value_of(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get(&[key])?.pop().expect("a value for each key"))
    }

    /// Returns the entries with `start <= key < end`; an empty `end` is the end of the store.
    fn entries(&mut self, start: &[u8], end: &[u8]) -> Result<State, StoreError> {
        let mut found = State::new();
        let mut next = start.to_vec();
        loop {
            let page = self.scan(&next, end, MAX_SCAN_ENTRIES, MAX_SCAN_BYTES)?;
            let Some(last) = page.last() else { return Ok(found) };
            next.clone_from(&last.key);
            next.push(0);
            found.extend(page.into_iter().map(|entry| (entry.key, entry.value)));
        }
    }

    /// Applies `pairs` under `guards`.
    fn set(&mut self, guards: &[Pair<'_>], pairs: &[Pair<'_>], durable: bool) -> Result<(), StoreError> {
        let guards: Vec<_> = guards.iter().map(|&(key, expected)| Guard { key, expected }).collect();
        let mutations: Vec<_> = pairs
            .iter()
            .map(|&(key, value)| match value {
                Some(value) => Mutation::Put { key, value },
                None => Mutation::Delete { key },
            })
            .collect();
        let level = if durable { Durability::Durable } else { Durability::Buffered };
        self.apply(&guards, &mutations, level)
    }

    /// Applies `changes` without guards.
    fn make(&mut self, changes: &[(Vec<u8>, Option<Vec<u8>>)], durable: bool) -> Result<(), StoreError> {
        let pairs: Vec<Pair<'_>> = changes.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
        self.set(&[], &pairs, durable)
    }
}

impl<S: KvStore> Calls for S {}

/// Makes `changes` in a map.
pub fn change(state: &mut State, changes: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(state.insert(key.clone(), value.clone())),
            None => drop(state.remove(key)),
        }
    }
}
