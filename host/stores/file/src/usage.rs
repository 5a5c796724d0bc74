//! The bytes in use of each segment.

use std::collections::BTreeMap;

/// The bytes in use of the segments that count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    segments: BTreeMap<u64, Used>,
    live_bytes: u64,
    /// All bytes that were taken away, and those of removals.
    freed_bytes: u64,
}

/// The bytes in use of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// What the index names.
    pub(crate) live_bytes: u64,
    /// Removals, which must stay as long as an older segment may have the key.
    pub(crate) removal_bytes: u64,
}

impl Usage {
    /// Returns the bytes that all entries would take in one segment.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Returns the bytes that were taken away or added as removals since it was made.
    pub(crate) fn freed_bytes(&self) -> u64 {
        self.freed_bytes
    }

    /// Returns the bytes in use of a segment.
    pub(crate) fn of(&self, epoch: u64) -> Used {
        self.segments.get(&epoch).copied().unwrap_or_default()
    }

    /// Returns whether a segment counts.
    pub(crate) fn has(&self, epoch: u64) -> bool {
        self.segments.contains_key(&epoch)
    }

    /// Adds a segment.
    pub(crate) fn enter(&mut self, epoch: u64, used: Used) {
        self.forget(epoch);
        // Lists bound each sum by the length of a file; many of them may be made up.
        self.live_bytes = self.live_bytes.saturating_add(used.live_bytes);
        self.segments.insert(epoch, used);
    }

    /// Adds bytes that the index names.
    pub(crate) fn add(&mut self, epoch: u64, bytes: u64) {
        let used = self.segments.entry(epoch).or_default();
        used.live_bytes = used.live_bytes.saturating_add(bytes);
        self.live_bytes = self.live_bytes.saturating_add(bytes);
    }

    /// Takes bytes away that the index does not name any more.
    pub(crate) fn take(&mut self, epoch: u64, bytes: u64) {
        self.freed_bytes = self.freed_bytes.saturating_add(bytes);
        if let Some(used) = self.segments.get_mut(&epoch) {
            let bytes = bytes.min(used.live_bytes);
            used.live_bytes -= bytes;
            self.live_bytes = self.live_bytes.saturating_sub(bytes);
        }
    }

    /// Adds the bytes of a removal.
    pub(crate) fn add_removal(&mut self, epoch: u64, bytes: u64) {
        self.freed_bytes = self.freed_bytes.saturating_add(bytes);
        let used = self.segments.entry(epoch).or_default();
        used.removal_bytes = used.removal_bytes.saturating_add(bytes);
    }

    /// Forgets a segment that does not count any more.
    pub(crate) fn forget(&mut self, epoch: u64) {
        let used = self.segments.remove(&epoch).unwrap_or_default();
        self.live_bytes = self.live_bytes.saturating_sub(used.live_bytes);
    }
}
