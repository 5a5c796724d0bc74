//! The keys of prefixes that were met already.

use crate::cipher::PrefixKeys;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most prefixes whose keys are kept in memory.
const MAX_PREFIXES: usize = 1024;

/// The keys of prefixes, kept for as long as the store is open. A prefix's key never changes.
#[derive(Default)]
pub(crate) struct KnownPrefixes(HashMap<Box<[u8]>, Arc<PrefixKeys>>);

impl KnownPrefixes {
    pub(crate) fn get(&self, prefix: &[u8]) -> Option<Arc<PrefixKeys>> {
        self.0.get(prefix).cloned()
    }

    pub(crate) fn insert(&mut self, prefix: &[u8], keys: Arc<PrefixKeys>) {
        if self.0.len() >= MAX_PREFIXES {
            self.0.clear();
        }
        self.0.insert(prefix.into(), keys);
    }
}

/// The keys of the prefixes that one call is about. A prefix is absent if it has no key yet.
#[derive(Default)]
pub(crate) struct Ring(BTreeMap<Box<[u8]>, Arc<PrefixKeys>>);

impl Ring {
    pub(crate) fn get(&self, prefix: &[u8]) -> Option<&PrefixKeys> {
        self.0.get(prefix).map(Arc::as_ref)
    }

    pub(crate) fn insert(&mut self, prefix: &[u8], keys: Arc<PrefixKeys>) {
        self.0.insert(prefix.into(), keys);
    }

    /// Adds the keys of another ring.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}
