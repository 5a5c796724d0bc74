//! An apply, as servers take it.

use std::collections::BTreeMap;

use kvfs_contract::{Guard, Mutation};

/// An apply whose changes are in no order: each key is among the removed or the put ones once.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Keys with what they must have.
    pub guards: Vec<(&'a [u8], Option<&'a [u8]>)>,
    /// Keys to remove.
    pub removed: Vec<&'a [u8]>,
    /// Keys to put, with their values.
    pub put: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(guards: &[Guard<&'a [u8]>], mutations: &[Mutation<&'a [u8]>]) -> Self {
        // The last change of a key wins.
        let last: BTreeMap<&[u8], Option<&[u8]>> =
            mutations.iter().map(|mutation| (mutation.key(), mutation.value())).collect();
        Self {
            guards: guards.iter().map(|guard| (guard.key, guard.expected)).collect(),
            removed: last.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| *key).collect(),
            put: last.iter().filter_map(|(key, value)| Some((*key, (*value)?))).collect(),
        }
    }

    /// Returns true if it asks and changes nothing.
    pub fn is_empty(&self) -> bool {
        self.guards.is_empty() && self.removed.is_empty() && self.put.is_empty()
    }
}
