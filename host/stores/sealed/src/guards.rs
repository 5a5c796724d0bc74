//! The sealed values of guarded keys, so that most guards cost no read.

use std::collections::HashMap;

/// Most keys whose sealed values are remembered.
const MAX_REMEMBERED: usize = 256;

/// Longest value that is remembered.
const MAX_REMEMBERED_BYTES: usize = 4096;

/// A value and its sealed form in the store, as far as is known.
#[derive(Clone)]
pub(crate) struct Remembered {
    pub(crate) value: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
}

/// Values of guarded keys from when this store last wrote or read them. Another writer may have
/// changed them since; then the guard below fails, and the key is read.
#[derive(Default)]
pub(crate) struct Guarded(HashMap<Vec<u8>, Remembered>);

impl Guarded {
    /// Returns the sealed form of `value` if that is what the key had last.
    pub(crate) fn sealed(&self, stored: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        self.0.get(stored).filter(|known| known.value == value).map(|known| known.sealed.clone())
    }

    pub(crate) fn remember(&mut self, stored: &[u8], known: Remembered) {
        if known.value.len() > MAX_REMEMBERED_BYTES {
            self.0.remove(stored);
            return;
        }
        if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(stored) {
            self.0.clear();
        }
        self.0.insert(stored.to_vec(), known);
    }

    pub(crate) fn forget(&mut self, stored: &[u8]) {
        self.0.remove(stored);
    }
}
