//! The store: an ordered map and a count of what it takes.

use kvfs_key::Key;
use kvfs_provider_kit::limits::{self, ScanBudget, check_apply, key_range, parts};
use kvfs_provider_kit::{Durability, Entry, Error, Guard, Limits, Mutation, Provider};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

/// What the store may hold unless composition says otherwise.
pub const DEFAULT_SIZE_BYTES: u64 = 1 << 30;

/// The most that composition can allow. A component's memory has 4 GiB, and calls, answers and what
/// lies between allocations have to fit beside the store.
pub const MAX_SIZE_BYTES: u64 = 3 << 30;

/// What an entry counts for beside its bytes: its place in the tree, whose nodes are half full at worst,
/// and the heads of its allocations. So the bound holds for memory also when values are empty.
pub const ENTRY_OVERHEAD_BYTES: u64 = 160;

/// A key-value store in memory that holds no more than a fixed size.
#[derive(Debug)]
pub struct MemoryStore {
    entries: BTreeMap<Key, Vec<u8>>,
    used_bytes: u64,
    size_bytes: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(DEFAULT_SIZE_BYTES)
    }
}

impl MemoryStore {
    /// Makes an empty store of a size: the bytes of all keys and values, and
    /// [`ENTRY_OVERHEAD_BYTES`] for each entry.
    pub fn new(size_bytes: u64) -> Self {
        Self { entries: BTreeMap::new(), used_bytes: 0, size_bytes: size_bytes.min(MAX_SIZE_BYTES) }
    }

    /// Makes an empty store as the lines of composition say.
    pub fn configured(text: &str) -> Self {
        let size = text.lines().find_map(|line| line.strip_prefix("size=")?.parse().ok());
        Self::new(size.unwrap_or(DEFAULT_SIZE_BYTES))
    }

    /// Returns what the entries take, as [`MemoryStore::new`] counts.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Checks that mutations do not make the store both larger than it is and larger than its size.
    fn check_growth(&self, mutations: &[Mutation], batch_bytes: usize) -> Result<(), Error> {
        // More than any of it can add, and nearly always far from the size.
        let most = self.used_bytes + batch_bytes as u64 + mutations.len() as u64 * ENTRY_OVERHEAD_BYTES;
        if most <= self.size_bytes {
            return Ok(());
        }
        // Exactly: of several mutations on one key the last one counts.
        let last: BTreeMap<&[u8], Option<&[u8]>> = mutations.iter().map(parts).collect();
        let (mut before, mut after) = (0, 0);
        for (key, value) in last {
            let old = self.entries.get(&Key::new(key));
            before += old.map_or(0, |old| cost(key.len(), old.len()));
            after += value.map_or(0, |value| cost(key.len(), value.len()));
        }
        if after > before && self.used_bytes - before + after > self.size_bytes {
            return Err(Error::QuotaExceeded);
        }
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.used_bytes += cost(key.len(), value.len());
        match self.entries.entry(Key::new(key)) {
            Slot::Vacant(slot) => {
                slot.insert(value);
            }
            Slot::Occupied(mut slot) => {
                let old = slot.insert(value);
                self.used_bytes -= cost(key.len(), old.len());
            }
        }
    }

    fn delete(&mut self, key: &[u8]) {
        if let Some(old) = self.entries.remove(&Key::new(key)) {
            self.used_bytes -= cost(key.len(), old.len());
        }
    }
}

/// What an entry counts for.
fn cost(key_bytes: usize, value_bytes: usize) -> u64 {
    ENTRY_OVERHEAD_BYTES + key_bytes as u64 + value_bytes as u64
}

impl Provider for MemoryStore {
    fn limits(&self) -> Limits {
        limits::limits(false)
    }

    fn get(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        limits::get(keys, |key| Ok(self.entries.get(&Key::new(key)).map(Vec::as_slice)))
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, Error> {
        let end = (!end.is_empty()).then(|| Key::new(end));
        let Some(range) = key_range(Key::new(start), end) else { return Ok(Vec::new()) };
        let mut budget = ScanBudget::new(max_entries, max_bytes);
        let entries =
            self.entries.range(range).take_while(|(key, value)| budget.take(key.len() + value.len()));
        Ok(entries.map(|(key, value)| Entry { key: key.to_vec(), value: value.clone() }).collect())
    }

    fn apply(
        &mut self,
        guards: Vec<Guard>,
        mutations: Vec<Mutation>,
        _level: Durability,
    ) -> Result<(), Error> {
        let batch_bytes = check_apply(&guards, &mutations)?;
        for guard in &guards {
            if self.entries.get(&Key::new(&guard.key)) != guard.expected.as_ref() {
                return Err(Error::Conflict);
            }
        }
        self.check_growth(&mutations, batch_bytes)?;
        for mutation in mutations {
            match mutation {
                Mutation::Put(Entry { key, value }) => self.put(&key, value),
                Mutation::Delete(key) => self.delete(&key),
            }
        }
        Ok(())
    }
}
