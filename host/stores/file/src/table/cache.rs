//! Blocks in memory, shared by all tables of a store, up to a number of bytes.

use super::block::Block;
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that a block takes beside its own: the entry in the map, the slot, the allocation.
const OVERHEAD_BYTES: usize = 128;

/// Blocks of open tables. CLOCK eviction: a block that was used since the hand passed it stays.
#[derive(Debug)]
pub(crate) struct Cache {
    max_bytes: usize,
    inner: Mutex<Inner>,
}

/// One opening of a table. Another opening of the same file finds none of its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Opening(u64);

#[derive(Debug, Default)]
struct Inner {
    openings: u64,
    slots: Vec<Slot>,
    by_block: FxHashMap<(Opening, u64), usize>,
    hand: usize,
    used_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    name: (Opening, u64),
    block: Arc<Block>,
    used: bool,
}

impl Cache {
    /// Makes an empty cache.
    pub(crate) fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_bytes, inner: Mutex::default() })
    }

    pub(crate) fn opening(&self) -> Opening {
        let mut inner = self.lock();
        inner.openings += 1;
        Opening(inner.openings)
    }

    pub(crate) fn get(&self, opening: Opening, offset: u64) -> Option<Arc<Block>> {
        let mut inner = self.lock();
        let slot = *inner.by_block.get(&(opening, offset))?;
        let slot = inner.slots.get_mut(slot)?;
        slot.used = true;
        Some(Arc::clone(&slot.block))
    }

    /// Takes a block in, unless it has no room even alone.
    pub(crate) fn insert(&self, opening: Opening, offset: u64, block: &Arc<Block>) {
        let bytes = cost(block);
        let mut inner = self.lock();
        if bytes > self.max_bytes || inner.by_block.contains_key(&(opening, offset)) {
            return;
        }
        while inner.used_bytes + bytes > self.max_bytes {
            inner.evict_one();
        }
        let slot = inner.slots.len();
        inner.by_block.insert((opening, offset), slot);
        inner.slots.push(Slot { name: (opening, offset), block: Arc::clone(block), used: false });
        inner.used_bytes += bytes;
    }

    /// Returns the bytes that its blocks take.
    #[cfg(test)]
    pub(crate) fn used_bytes(&self) -> usize {
        self.lock().used_bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No call leaves the map and the slots at odds, so a panic elsewhere is no harm.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Removes the next block that was not used since the hand passed it.
    fn evict_one(&mut self) {
        while !self.slots.is_empty() {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let slot = &mut self.slots[self.hand];
            if std::mem::take(&mut slot.used) {
                self.hand += 1;
                continue;
            }
            let evicted = self.slots.swap_remove(self.hand);
            self.by_block.remove(&evicted.name);
            self.used_bytes -= cost(&evicted.block);
            if let Some(moved) = self.slots.get(self.hand) {
                self.by_block.insert(moved.name, self.hand);
            }
            // The last slot, now here, was the newest: the hand comes to it a round later.
            self.hand += 1;
            return;
        }
        self.used_bytes = 0;
    }
}

fn cost(block: &Block) -> usize {
    block.size_bytes() + OVERHEAD_BYTES
}
