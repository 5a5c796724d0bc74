//! A store in memory.

mod ahead;
mod values;

use std::iter::Peekable;
use std::sync::{Arc, LockResult, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use kvfs_contract::{
    Counted as _, ENTRY_OVERHEAD_BYTES, Entries, Key, ScanBudget, gather, key_range, successor,
};
use smallvec::SmallVec;

use self::values::{Value, Values};
use crate::contract::poisoned;
use crate::gate::Gate;
use crate::{Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};

/// A store in memory: ordered maps, each behind a lock of its own.
///
/// Keys that begin with the same 11 bytes lie in one map, as all records of a layer of a volume do. So a
/// thread that copies layers, as a snapshot now and then does, seldom keeps others waiting. A call holds the
/// locks of all keys that it names, and so happens at one moment.
///
/// A clone is another handle on the same data, so a second instance in the same process finds what
/// the first one wrote. The data goes with the last handle. Writing copies each value once. Reading copies
/// values of up to 504 bytes, and gives out longer ones as shared bytes. The keys and copied values of a page
/// of a scan share one allocation, which stays as long as one of them is held.
///
/// ```
/// use kvfs_host::{Durability, MemoryStore, Mutation, SyncStore};
///
/// let store = MemoryStore::new();
/// let second = store.clone();
/// store.apply(&[], &[Mutation::Put { key: b"k", value: b"v" }], Durability::Buffered)?;
/// assert_eq!(SyncStore::get(&second, &[b"k"])?, [Some("v".into())]);
/// # Ok::<(), kvfs_host::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    /// One if the size is limited, else [`PARTS`].
    parts: Arc<[RwLock<Held>]>,
    gate: Arc<Gate>,
    /// `u64::MAX`: no limit.
    size_bytes: u64,
}

#[derive(Debug, Default)]
struct Held {
    entries: Entries<Value>,
    values: Values,
}

/// Maps of a store. Whoever copies or frees a layer holds its map for as long as an apply takes, and another
/// layer is seldom in the same one.
const PARTS: usize = 64;

/// Keys that begin with the same so many bytes lie in the same map: a layer's number takes as many.
const ALIKE_BYTES: usize = 11;

/// Some of the maps: a bit for each.
#[derive(Clone, Copy, Debug)]
struct Chosen(u64);

impl Chosen {
    const ALL: Self = Self(u64::MAX);

    fn has(self, part: usize) -> bool {
        self.0 >> part & 1 == 1
    }

    /// Returns how many of these maps come before one.
    fn before(self, part: usize) -> usize {
        (self.0 & ((1 << part) - 1)).count_ones() as usize
    }
}

impl Held {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        Some(self.values.get(self.entries.get(key)?))
    }

    fn holds(&self, guard: &Guard<'_>) -> bool {
        match (self.entries.get(guard.key), guard.expected) {
            (Some(value), Some(expected)) => self.values.is(value, expected),
            (None, None) => true,
            _ => false,
        }
    }

    fn change(&mut self, mutation: &Mutation<'_>) {
        match mutation {
            Mutation::Put { key, value } => {
                ahead::ask(value.len());
                self.entries.put_with(key, |old| self.values.replaced(old, value));
            }
            Mutation::Delete { key } => {
                if let Some(old) = self.entries.remove(key) {
                    self.values.free(old);
                }
            }
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_size(u64::MAX)
    }
}

const LIMITS: Limits = Limits::standard(false);

impl MemoryStore {
    /// Bytes that an entry counts for beside its key and value: its place in the tree, and the heads
    /// of its allocations. The provider `memory` counts so too: one size means the same in both.
    pub const ENTRY_OVERHEAD_BYTES: u64 = ENTRY_OVERHEAD_BYTES;

    /// Makes an empty store, as large as memory is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store that holds at most so many bytes of keys and values, with
    /// [`MemoryStore::ENTRY_OVERHEAD_BYTES`] for each entry. Memory that small values took is kept for the next
    /// ones while any of 256 pieces beside each other is in use: a store whose small values were nearly all
    /// removed, and that is filled with long ones then, takes up to twice as much.
    ///
    /// # Errors
    /// An `apply` that would make it both larger than it is and larger than that is refused with
    /// [`StoreError::QuotaExceeded`]; what shrinks it is always taken.
    pub fn with_size(size_bytes: u64) -> Self {
        let count = if size_bytes == u64::MAX { PARTS } else { 1 };
        let parts = (0..count).map(|_| RwLock::default()).collect();
        Self { parts, gate: Arc::default(), size_bytes }
    }

    /// Returns what the entries take, as [`MemoryStore::with_size`] counts.
    ///
    /// # Errors
    /// [`StoreError::Fault`] after a panic in another handle.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.read(Chosen::ALL)?.locks.iter().map(|held| held.entries.used_bytes()).sum())
    }

    /// Returns the number of the map that a key is in.
    #[inline]
    fn part_of(&self, key: &[u8]) -> usize {
        let alike = key.get(..ALIKE_BYTES).unwrap_or(key);
        // Two numbers that overlap, or the bytes of one that is short.
        let mixed = match (alike.first_chunk(), alike.last_chunk()) {
            (Some(first), Some(last)) => {
                u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(32)
            }
            _ => alike.iter().fold(0, |mixed, byte| mixed << 8 | u64::from(*byte)),
        };
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % self.parts.len()
    }

    /// Returns the maps that keys are in.
    fn chosen<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Chosen {
        Chosen(keys.fold(0, |chosen, key| chosen | 1 << self.part_of(key)))
    }

    /// Returns the maps that keys from `start` to before `end` are in.
    fn chosen_between(&self, start: &[u8], end: &[u8]) -> Chosen {
        match start.get(..ALIKE_BYTES).map(successor) {
            Some(behind) if !end.is_empty() && (behind.is_empty() || end <= &*behind) => {
                self.chosen([start].into_iter())
            }
            _ => Chosen::ALL,
        }
    }

    fn read(&self, chosen: Chosen) -> Result<Locked<RwLockReadGuard<'_, Held>>, StoreError> {
        self.lock(chosen, RwLock::read)
    }

    fn write(&self, chosen: Chosen) -> Result<Locked<RwLockWriteGuard<'_, Held>>, StoreError> {
        self.lock(chosen, RwLock::write)
    }

    /// Locks maps, the first one first, as everybody does.
    fn lock<'s, L>(
        &'s self,
        chosen: Chosen,
        lock: impl Fn(&'s RwLock<Held>) -> LockResult<L>,
    ) -> Result<Locked<L>, StoreError> {
        let mut locks = SmallVec::new();
        for (_, part) in self.parts.iter().enumerate().filter(|(number, _)| chosen.has(*number)) {
            locks.push(lock(part).map_err(|_| poisoned("a memory store"))?);
        }
        Ok(Locked { chosen, locks })
    }
}

/// The locks of some maps.
struct Locked<L> {
    chosen: Chosen,
    /// In the order of the maps.
    locks: SmallVec<[L; 4]>,
}

impl<L> Locked<L> {
    fn get(&self, part: usize) -> Option<&L> {
        self.locks.get(self.chosen.before(part)).filter(|_| self.chosen.has(part))
    }

    fn get_mut(&mut self, part: usize) -> Option<&mut L> {
        self.locks.get_mut(self.chosen.before(part)).filter(|_| self.chosen.has(part))
    }
}

impl SyncStore for MemoryStore {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        LIMITS.check_get(keys)?;
        let locked = self.read(self.chosen(keys.iter().copied()))?;
        let held = |key: &[u8]| locked.get(self.part_of(key));
        gather(keys, |key| Ok(held(key).and_then(|held| held.get(key))))
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        let mut page = ScanBudget::new(max_entries, max_bytes);
        let locked = self.read(self.chosen_between(start, end))?;
        let runs = locked.locks.iter().map(|held| (held.entries.range(range).peekable(), &held.values));
        let mut runs: Vec<_> = runs.collect();
        let (mut found, mut bytes) = (Vec::new(), Vec::with_capacity(max_entries.min(32) as usize * 128));
        while let Some((key, value, values)) = next_of(&mut runs)
            && page.take(key.len() + value.size_bytes())
        {
            key.append_to(&mut bytes);
            let key_end = bytes.len();
            let large = values.append_to(value, &mut bytes);
            found.push((key_end, bytes.len(), large));
        }
        drop(runs);
        drop(locked);
        // Keys and small values of a page lie in one allocation.
        let (bytes, mut start) = (Bytes::from(bytes), 0);
        let entries = found.into_iter().map(|(key_end, end, large)| {
            let key = bytes.slice(start..key_end);
            start = end;
            Entry { key, value: large.unwrap_or_else(|| bytes.slice(key_end..end)) }
        });
        Ok(entries.collect())
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        self.gate.pass();
        let keys = guards.iter().map(|guard| guard.key).chain(mutations.iter().map(Mutation::key));
        let mut locked = self.write(self.chosen(keys))?;
        let held = |key| locked.get(self.part_of(key));
        if !guards.iter().all(|guard| held(guard.key).is_some_and(|held| held.holds(guard))) {
            return Err(StoreError::Conflict);
        }
        if let ([_], [held]) = (&*self.parts, &*locked.locks) {
            held.entries.check_size(mutations, self.size_bytes)?;
        }
        for mutation in mutations {
            if let Some(held) = locked.get_mut(self.part_of(mutation.key())) {
                held.change(mutation);
            }
        }
        Ok(())
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        self.gate.behind(work);
        true
    }
}

/// Takes the entry with the lowest key, of runs through maps with their values.
fn next_of<'e>(
    runs: &mut [(Peekable<impl Iterator<Item = (&'e Key, &'e Value)>>, &'e Values)],
) -> Option<(&'e Key, &'e Value, &'e Values)> {
    let at = if runs.len() == 1 {
        0
    } else {
        let firsts = runs.iter_mut().enumerate().filter_map(|(at, (run, _))| Some((run.peek()?.0, at)));
        firsts.min()?.1
    };
    let (run, values) = runs.get_mut(at)?;
    let (key, value) = run.next()?;
    Some((key, value, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &MemoryStore, value: &[u8]) {
        store.apply(&[], &[Mutation::Put { key: b"k", value }], Durability::Buffered).unwrap();
    }

    fn get(store: &MemoryStore) -> Bytes {
        SyncStore::get(store, &[b"k"]).unwrap().remove(0).unwrap()
    }

    #[test]
    fn bytes_that_a_reader_holds_stay_as_they_were() {
        let store = MemoryStore::new();
        for length in [3, 5000] {
            let [one, two, six] = [1, 2, 6].map(|byte| vec![byte; length]);
            put(&store, &one);
            let held = get(&store);
            put(&store, &two);
            put(&store, &six);
            assert_eq!((held.as_ref(), get(&store).as_ref()), (&one[..], &six[..]));
        }
    }

    #[test]
    fn values_count_by_their_lengths() {
        let store = MemoryStore::new();
        put(&store, b"one");
        let used = store.used_bytes().unwrap();
        put(&store, b"three");
        assert_eq!(store.used_bytes().unwrap(), used + 2);
    }

    /// Keys in all maps, some of them shorter than what decides which map has them.
    fn spread() -> Vec<Vec<u8>> {
        let long = |number: u32| [&number.wrapping_mul(0x9e37_79b9).to_be_bytes()[..], &[7; 20]].concat();
        let short = |number: u32| number.to_be_bytes()[(number as usize % 4)..].to_vec();
        let alike = |number: u32| [&b"the same 11"[..], &number.to_be_bytes()].concat();
        let mut keys: Vec<Vec<u8>> =
            (0..100).flat_map(|number| [long(number), short(number), alike(number)]).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    #[test]
    fn a_scan_goes_through_all_maps_in_order() {
        let (store, keys) = (MemoryStore::new(), spread());
        let puts: Vec<_> = keys.iter().map(|key| Mutation::Put { key: key.as_slice(), value: key }).collect();
        store.apply(&[], &puts, Durability::Buffered).unwrap();
        let maps: std::collections::BTreeSet<usize> = keys.iter().map(|key| store.part_of(key)).collect();
        assert_eq!(maps.len(), PARTS, "a map without a key");
        let mut bounds: Vec<&[u8]> = keys.iter().step_by(7).map(Vec::as_slice).collect();
        bounds.extend([&b""[..], b"the same 11", b"the same 11\0\0", b"the same 12", b"the same 12\0"]);
        bounds.extend([&[0xff; 11][..], &[0xff; 12]]);
        for start in &bounds {
            for end in &bounds {
                let expected: Vec<&[u8]> = keys
                    .iter()
                    .map(Vec::as_slice)
                    .filter(|key| key >= start && (end.is_empty() || key < end))
                    .collect();
                for most in [1, 3, 1000] {
                    let found = SyncStore::scan(&store, start, end, most, 1 << 20).unwrap();
                    let found: Vec<&[u8]> = found.iter().map(|entry| entry.key.as_ref()).collect();
                    assert_eq!(
                        found,
                        expected[..expected.len().min(most as usize)],
                        "{start:?} {end:?} {most}"
                    );
                }
            }
        }
        let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).chain([&b"none"[..]]).collect();
        let found = SyncStore::get(&store, &asked).unwrap();
        let expected = keys.iter().map(|key| Some(Bytes::copy_from_slice(key))).chain([None]);
        assert!(found.into_iter().eq(expected));
    }

    /// A scan of a layer lets others change all other layers meanwhile.
    #[test]
    fn a_range_of_keys_that_begin_alike_is_in_one_map() {
        let store = MemoryStore::new();
        let maps = |start: &[u8], end: &[u8]| store.chosen_between(start, end).0.count_ones();
        for (start, end) in [
            (&b"the same 11"[..], &b"the same 12"[..]),
            (b"the same 11", b"the same 11\x01"),
            (b"the same 11a", b"the same 12"),
            (&[0xff; 11], &[0xff; 12]),
        ] {
            assert_eq!(maps(start, end), 1, "{start:?} {end:?}");
        }
        for (start, end) in [
            (&b""[..], &b""[..]),
            (b"the same 1", b"the same 2"),
            (b"the same 11", b""),
            (b"the same 11", b"the same 12\0"),
            (b"the same 11", b"the same 13"),
        ] {
            assert_eq!(maps(start, end), PARTS as u32, "{start:?} {end:?}");
        }
    }

    #[test]
    fn a_guard_in_one_map_keeps_changes_out_of_all_others() {
        let (store, keys) = (MemoryStore::new(), spread());
        let puts: Vec<_> =
            keys.iter().map(|key| Mutation::Put { key: key.as_slice(), value: b"new" }).collect();
        for key in &keys {
            let guard = Guard { key: key.as_slice(), expected: Some(&b"old"[..]) };
            assert_eq!(store.apply(&[guard], &puts, Durability::Buffered), Err(StoreError::Conflict));
        }
        assert_eq!(store.used_bytes(), Ok(0));
    }

    /// Each change is of two maps. Whoever reads both finds them alike.
    #[test]
    fn a_call_that_names_keys_of_several_maps_happens_at_one_moment() {
        let store = MemoryStore::new();
        let keys = spread();
        let other = keys.iter().find(|key| store.part_of(key) != store.part_of(&keys[0])).unwrap();
        let (first, second) = (keys[0].as_slice(), other.as_slice());
        std::thread::scope(|scope| {
            for order in [[first, second], [second, first]] {
                let store = store.clone();
                scope.spawn(move || {
                    for number in 0..2000_u32 {
                        let value = number.to_be_bytes();
                        let puts = order.map(|key| Mutation::Put { key, value: &value });
                        store.apply(&[], &puts, Durability::Buffered).unwrap();
                        let found = SyncStore::get(&store, &order).unwrap();
                        assert_eq!(found[0], found[1]);
                        let scanned = SyncStore::scan(&store, b"", b"", 10, 1000).unwrap();
                        assert!(scanned.iter().all(|entry| entry.value == scanned[0].value));
                    }
                });
            }
        });
    }
}
