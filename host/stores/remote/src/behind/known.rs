//! Values that the store had when it was last asked or told.

use std::collections::HashMap;

use bytes::Bytes;

use super::batch::Batch;

/// Most keys whose values are remembered: the superblocks of the volumes that are open.
const MAX_KNOWN_KEYS: usize = 256;

/// Longest value that is remembered.
const MAX_KNOWN_BYTES: usize = 4096;

/// The values of keys that guards ask for, as the store has them if nobody else changes it.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Bytes, Option<Bytes>>);

impl Known {
    /// Returns the value of a key; `None` if it is not known.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        self.0.get(key).map(Option::as_ref)
    }

    /// Remembers a value that the store has.
    pub(super) fn learn(&mut self, key: &[u8], value: Option<&[u8]>) {
        if value.is_some_and(|value| value.len() > MAX_KNOWN_BYTES) {
            self.0.remove(key);
            return;
        }
        if self.0.len() >= MAX_KNOWN_KEYS && !self.0.contains_key(key) {
            self.0.clear();
        }
        self.0.insert(Bytes::copy_from_slice(key), value.map(Bytes::copy_from_slice));
    }

    /// Corrects the value of a key that is known.
    pub(super) fn correct(&mut self, key: &[u8], value: Option<&[u8]>) {
        if self.0.contains_key(key) {
            self.learn(key, value);
        }
    }

    /// Notes what the store has taken.
    pub(super) fn follow(&mut self, taken: &Batch) {
        for guard in taken.guards() {
            self.learn(guard.key, guard.expected);
        }
        for (key, value) in &mut self.0 {
            if let Some(changed) = taken.changes.get(key) {
                *value = changed.cloned();
            }
        }
        self.0.retain(|_, value| value.as_ref().is_none_or(|value| value.len() <= MAX_KNOWN_BYTES));
    }
}
