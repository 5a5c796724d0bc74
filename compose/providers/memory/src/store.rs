//! The store: an ordered map that holds no more than its size.

use kvfs_contract::{Entries, ScanBudget, gather, key_range};
use kvfs_provider_kit::{Durability, Entry, Guard, Limits, Mutation, Provider, StoreError};

/// The size of the store unless composition says otherwise.
pub const DEFAULT_SIZE_BYTES: u64 = 1 << 30;

/// The largest size that composition can allow. A component's memory has 4 GiB, which calls,
/// answers and gaps between allocations share with the store.
pub const MAX_SIZE_BYTES: u64 = 3 << 30;

const LIMITS: Limits = Limits::standard(false);

/// A key-value store in memory that holds no more than a fixed size.
#[derive(Debug)]
pub struct MemoryStore {
    entries: Entries<Vec<u8>>,
    size_bytes: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(DEFAULT_SIZE_BYTES)
    }
}

impl MemoryStore {
    /// Makes an empty store of a size: the bytes of all keys and values, and
    /// [`ENTRY_OVERHEAD_BYTES`](crate::ENTRY_OVERHEAD_BYTES) for each entry.
    pub fn new(size_bytes: u64) -> Self {
        Self { entries: Entries::default(), size_bytes: size_bytes.min(MAX_SIZE_BYTES) }
    }

    /// Makes an empty store with the size in the lines of composition.
    pub fn configured(text: &str) -> Self {
        let size = text.lines().find_map(|line| line.strip_prefix("size=")?.parse().ok());
        Self::new(size.unwrap_or(DEFAULT_SIZE_BYTES))
    }

    /// Returns what the entries take, as [`MemoryStore::new`] counts.
    pub fn used_bytes(&self) -> u64 {
        self.entries.used_bytes()
    }
}

impl Provider for MemoryStore {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        LIMITS.check_get(keys)?;
        gather(keys, |key| Ok(self.entries.get(key).cloned()))
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        let mut page = ScanBudget::new(max_entries, max_bytes);
        let entries = self.entries.range(range).take_while(|(key, value)| page.take(key.len() + value.len()));
        Ok(entries.map(|(key, value)| Entry { key: key.to_vec(), value: value.clone() }).collect())
    }

    fn apply(
        &mut self,
        guards: Vec<Guard>,
        mutations: Vec<Mutation>,
        _level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(&guards, &mutations)?;
        self.entries.check(&guards, &mutations, self.size_bytes)?;
        for mutation in mutations {
            match mutation {
                Mutation::Put { key, value } => self.entries.set(&key, Some(value)),
                Mutation::Delete { key } => self.entries.set(&key, None),
            }
        }
        Ok(())
    }
}
