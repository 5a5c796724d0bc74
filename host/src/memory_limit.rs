//! A bound on the memory of all instances in a wasmtime store together.

use wasmtime::ResourceLimiter;

/// Most bytes that one element of a table takes.
const MAX_TABLE_ELEMENT_BYTES: usize = 16;

/// Bounds the linear memories and tables of all instances in one [`wasmtime::Store`] together: a
/// composed component has several, and [`wasmtime::StoreLimits`] bounds each by itself.
///
/// Growing beyond the bound fails as on a machine without memory: `memory.grow` returns -1, and
/// most guests then report that memory is exhausted (CPython raises `MemoryError`). A component
/// whose memories start larger than the bound is not instantiated.
///
/// ```
/// use kvfs_host::MemoryLimit;
/// use wasmtime::{Engine, Store};
///
/// struct State {
///     memory: MemoryLimit, // beside a WasiCtx, a KvCtx and whatever else the guest is given
/// }
///
/// let mut store = Store::new(&Engine::default(), State { memory: MemoryLimit::new(256 << 20) });
/// store.limiter(|state| &mut state.memory);
/// ```
///
/// It does not bound what the host holds for a guest: the store's own memory (bound a
/// [`MemoryStore`](crate::MemoryStore) with [`Limited`](crate::Limited)), open descriptors, and
/// arguments of calls on their way.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimit {
    max_bytes: usize,
    used_bytes: usize,
    refused: bool,
}

impl MemoryLimit {
    /// Makes a bound of `max_bytes` bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, used_bytes: 0, refused: false }
    }

    /// Returns the bytes of all instances now. A guest's memory never shrinks, so this is their
    /// peak.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Returns whether an instance was refused memory: the likely reason if its guest traps.
    pub fn has_refused(&self) -> bool {
        self.refused
    }

    /// Charges every growth that is granted and never takes a charge back, even if the growth fails
    /// afterwards. wasmtime also reports failures of growth that it never asked for, and a guest
    /// could use refunds for them to grow beyond the bound.
    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>, unit_bytes: usize) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // Such a growth fails in any case.
            return false;
        }
        let added_bytes = desired.saturating_sub(current).saturating_mul(unit_bytes);
        match self.used_bytes.checked_add(added_bytes) {
            Some(used) if used <= self.max_bytes => {
                self.used_bytes = used;
                true
            }
            _ => {
                self.refused = true;
                false
            }
        }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, maximum, 1))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, maximum, MAX_TABLE_ELEMENT_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryLimit;
    use wasmtime::ResourceLimiter;

    const KB: usize = 1 << 10;

    #[test]
    fn all_memories_and_tables_count_together() {
        let mut limit = MemoryLimit::new(192 * KB);
        assert!(limit.memory_growing(0, 64 * KB, None).unwrap());
        assert!(limit.memory_growing(0, 64 * KB, None).unwrap());
        assert!(limit.memory_growing(64 * KB, 128 * KB, None).unwrap());
        assert_eq!(limit.used_bytes(), 192 * KB);
        assert!(!limit.has_refused());
        assert!(!limit.table_growing(0, 1, None).unwrap());
        assert!(limit.has_refused());
        assert!(!limit.memory_growing(0, usize::MAX, None).unwrap(), "no sum overflows");
        assert_eq!(limit.used_bytes(), 192 * KB);
    }

    #[test]
    fn growth_that_fails_gives_nothing_back() {
        let mut limit = MemoryLimit::new(128 * KB);
        assert!(!limit.memory_growing(0, 128 * KB, Some(64 * KB)).unwrap(), "beyond its maximum");
        assert!(!limit.has_refused());
        assert!(limit.memory_growing(0, 128 * KB, None).unwrap());
        for _ in 0..3 {
            limit.memory_grow_failed(wasmtime::Error::msg("beyond its type")).unwrap();
            limit.table_grow_failed(wasmtime::Error::msg("an overflow")).unwrap();
        }
        assert_eq!(limit.used_bytes(), 128 * KB);
        assert!(!limit.memory_growing(128 * KB, 192 * KB, None).unwrap());
    }
}
