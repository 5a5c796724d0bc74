//! The keys of prefixes that were met already.

use crate::cipher::PrefixKeys;
use std::collections::HashMap;
use std::sync::Arc;

/// Most prefixes whose keys are kept in memory.
const MAX_PREFIXES: usize = 1024;

/// A prefix and its keys.
pub(crate) struct Known {
    prefix: Box<[u8]>,
    keys: PrefixKeys,
}

impl Known {
    pub(crate) fn new(prefix: &[u8], keys: PrefixKeys) -> Arc<Self> {
        Arc::new(Self { prefix: prefix.into(), keys })
    }
}

/// The keys of prefixes, kept for as long as the store is open. A prefix's key never changes.
#[derive(Default)]
pub(crate) struct KnownPrefixes(HashMap<Box<[u8]>, Arc<Known>>);

impl KnownPrefixes {
    pub(crate) fn get(&self, prefix: &[u8]) -> Option<Arc<Known>> {
        self.0.get(prefix).cloned()
    }

    pub(crate) fn insert(&mut self, known: Arc<Known>) {
        if self.0.len() >= MAX_PREFIXES {
            self.0.clear();
        }
        self.0.insert(known.prefix.clone(), known);
    }
}

/// The keys of the prefixes that one call is about, in the order of the prefixes: mostly of one. A
/// prefix is absent if it has no key yet.
#[derive(Default)]
pub(crate) struct Ring(Vec<Arc<Known>>);

impl Ring {
    fn find(&self, prefix: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|known| (*known.prefix).cmp(prefix))
    }

    pub(crate) fn get(&self, prefix: &[u8]) -> Option<&PrefixKeys> {
        self.find(prefix).ok().map(|at| &self.0[at].keys)
    }

    /// Returns true if all of these have a key.
    pub(crate) fn has_all(&self, prefixes: &[&[u8]]) -> bool {
        prefixes.iter().all(|prefix| self.find(prefix).is_ok())
    }

    pub(crate) fn insert(&mut self, known: Arc<Known>) {
        match self.find(&known.prefix) {
            Ok(at) => self.0[at] = known,
            Err(at) => self.0.insert(at, known),
        }
    }

    /// Adds the keys of another ring.
    pub(crate) fn extend(&mut self, other: Self) {
        other.0.into_iter().for_each(|known| self.insert(known));
    }
}
