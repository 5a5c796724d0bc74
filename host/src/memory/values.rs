//! Values of a map in memory, which only the map's lock guards.

use bytes::Bytes;
use kvfs_contract::Counted;
use slab::Slab;

/// Bytes of a slot. With the place of the next one it takes a line of the processor's cache.
const SLOT_BYTES: usize = 56;

/// Longest value that lies in slots. What is longer is given out without a copy.
const MAX_SMALL_BYTES: usize = 9 * SLOT_BYTES;

/// Slots of a chunk: 16 KiB.
const CHUNK_SLOTS: usize = 256;

/// The place of no slot.
const NOWHERE: usize = usize::MAX;

/// The values of one map.
///
/// Small ones lie in slots, not in allocations of their own. A thread that removes many, as a merge of layers
/// does, would else free what another one has allocated, and keep that one waiting for its allocator. All
/// slots have one size, so each that is freed can serve any value: the memory is never much more than once
/// was in use. A chunk whose slots are all free is given back, but for one.
#[derive(Debug, Default)]
pub(super) struct Values {
    chunks: Vec<Chunk>,
    /// Chunks that have a free slot, the one to be used first at the end. Among them are some whose memory
    /// was given back.
    open: Vec<usize>,
    /// Numbers of chunks without memory, for the next ones.
    vacant: Vec<usize>,
    /// A chunk that became empty and kept its memory, so that one value that comes and goes allocates none.
    spare: Option<usize>,
    large: Slab<Bytes>,
}

/// Slots that were allocated together.
#[derive(Debug)]
struct Chunk {
    /// Those that were ever used, up to [`CHUNK_SLOTS`].
    slots: Vec<Slot>,
    /// The first free one of `slots`; each names the next.
    free: usize,
    used: usize,
}

#[derive(Debug)]
#[repr(align(64))]
struct Slot {
    bytes: [u8; SLOT_BYTES],
    /// The place of the rest of the value, or in its chunk of the next free slot.
    next: usize,
}

/// A value: its length, and where it begins.
///
/// It belongs to the [`Values`] that it came from. One that is dropped and not freed keeps its slots.
#[derive(Debug)]
#[must_use]
pub(super) struct Value {
    length: usize,
    place: usize,
}

impl Default for Value {
    /// The empty value, which takes no slot.
    fn default() -> Self {
        Self { length: 0, place: NOWHERE }
    }
}

impl Counted for Value {
    fn size_bytes(&self) -> usize {
        self.length
    }
}

impl Value {
    fn is_small(&self) -> bool {
        self.length <= MAX_SMALL_BYTES
    }

    fn slots(&self) -> usize {
        if self.is_small() { self.length.div_ceil(SLOT_BYTES) } else { 0 }
    }
}

impl Values {
    /// Returns a value of these bytes in the place of an old one. It takes the old one's memory if it needs
    /// as much and no reader has it: the records that most commits write again, a volume's superblock and a
    /// directory's inode, keep their lengths.
    #[inline]
    pub(super) fn replaced(&mut self, old: Value, bytes: &[u8]) -> Value {
        let value = Value { length: bytes.len(), place: old.place };
        if !value.is_small() {
            return self.large_replaced(old, bytes);
        }
        if !old.is_small() || old.slots() != value.slots() {
            self.free(old);
            return self.small(bytes);
        }
        let mut place = value.place;
        for piece in bytes.chunks(SLOT_BYTES) {
            let Some(slot) = self.slot_mut(place) else { break };
            slot.set(piece);
            place = slot.next;
        }
        value
    }

    fn small(&mut self, bytes: &[u8]) -> Value {
        let mut place = NOWHERE;
        // From the end, since each slot names the next one.
        let last = bytes.len().next_multiple_of(SLOT_BYTES).saturating_sub(SLOT_BYTES);
        for start in (0..=last).rev().step_by(SLOT_BYTES) {
            let piece = bytes.get(start..).unwrap_or_default();
            if !piece.is_empty() {
                place = self.take(piece.get(..SLOT_BYTES).unwrap_or(piece), place);
            }
        }
        Value { length: bytes.len(), place }
    }

    fn large_replaced(&mut self, old: Value, bytes: &[u8]) -> Value {
        let value = Value { length: bytes.len(), place: old.place };
        if old.is_small() {
            self.free(old);
            return Value { place: self.large.insert(Bytes::copy_from_slice(bytes)), ..value };
        }
        if let Some(place) = self.large.get_mut(old.place) {
            let held = std::mem::take(place);
            *place = match held.try_into_mut() {
                Ok(mut own) if own.len() == bytes.len() => {
                    own.copy_from_slice(bytes);
                    own.freeze()
                }
                _ => Bytes::copy_from_slice(bytes),
            };
        }
        value
    }

    /// Returns the bytes of a value: a copy of small ones, and else those that are held.
    #[inline]
    pub(super) fn get(&self, value: &Value) -> Bytes {
        let mut bytes = Vec::with_capacity(if value.is_small() { value.length } else { 0 });
        self.append_to(value, &mut bytes).unwrap_or_else(|| bytes.into())
    }

    /// Appends the bytes of a small value to others. Returns those of a large one.
    #[inline]
    pub(super) fn append_to(&self, value: &Value, bytes: &mut Vec<u8>) -> Option<Bytes> {
        if !value.is_small() {
            return Some(self.large.get(value.place).cloned().unwrap_or_default());
        }
        self.pieces(value).for_each(|piece| bytes.extend_from_slice(piece));
        None
    }

    /// Returns whether a value has these bytes.
    pub(super) fn is(&self, value: &Value, bytes: &[u8]) -> bool {
        if !value.is_small() {
            return self.large.get(value.place).is_some_and(|held| held == bytes);
        }
        value.length == bytes.len() && self.pieces(value).eq(bytes.chunks(SLOT_BYTES))
    }

    /// Frees what a value takes.
    pub(super) fn free(&mut self, value: Value) {
        if !value.is_small() {
            self.large.try_remove(value.place);
            return;
        }
        let mut place = value.place;
        for _ in 0..value.slots() {
            place = self.free_slot(place);
        }
    }

    /// Returns the bytes of a small value, slot by slot.
    fn pieces(&self, value: &Value) -> impl Iterator<Item = &[u8]> {
        let (mut place, mut left) = (value.place, value.length);
        std::iter::from_fn(move || {
            let slot = self.slot(place).filter(|_| left > 0)?;
            let piece = slot.bytes.get(..left).unwrap_or(&slot.bytes);
            (place, left) = (slot.next, left - piece.len());
            Some(piece)
        })
    }

    fn slot(&self, place: usize) -> Option<&Slot> {
        self.chunks.get(place / CHUNK_SLOTS)?.slots.get(place % CHUNK_SLOTS)
    }

    fn slot_mut(&mut self, place: usize) -> Option<&mut Slot> {
        self.chunks.get_mut(place / CHUNK_SLOTS)?.slots.get_mut(place % CHUNK_SLOTS)
    }

    /// Puts a piece of a value into a free slot, and returns its place.
    fn take(&mut self, piece: &[u8], next: usize) -> usize {
        let number = self.open_chunk();
        let Some(chunk) = self.chunks.get_mut(number) else { return NOWHERE };
        let within = chunk.take();
        if let Some(slot) = chunk.slots.get_mut(within) {
            slot.set(piece);
            slot.next = next;
        }
        if chunk.is_full() {
            self.open.pop();
        }
        number * CHUNK_SLOTS + within
    }

    /// Returns the number of a chunk that has a free slot: the last one of those that are open.
    #[inline]
    fn open_chunk(&mut self) -> usize {
        while let Some(number) = self.open.last().copied() {
            if self.chunks.get(number).is_some_and(Chunk::has_memory) {
                return number;
            }
            self.vacant.extend(self.open.pop());
        }
        let number = self.vacant.pop().unwrap_or(self.chunks.len());
        match self.chunks.get_mut(number) {
            Some(chunk) => *chunk = Chunk::new(),
            None => self.chunks.push(Chunk::new()),
        }
        self.open.push(number);
        number
    }

    /// Frees a slot, and returns the place that it names.
    fn free_slot(&mut self, place: usize) -> usize {
        let number = place / CHUNK_SLOTS;
        let Some(chunk) = self.chunks.get_mut(number) else { return NOWHERE };
        if chunk.is_full() {
            self.open.push(number);
        }
        let next = chunk.give_back(place % CHUNK_SLOTS);
        if chunk.used == 0 {
            chunk.clear();
            let spare = self.spare.filter(|spare| *spare != number).and_then(|spare| self.chunks.get(spare));
            let has_spare = spare.is_some_and(|spare| spare.used == 0 && spare.has_memory());
            match self.chunks.get_mut(number) {
                Some(chunk) if has_spare => chunk.slots = Vec::new(),
                _ => self.spare = Some(number),
            }
        }
        next
    }
}

impl Chunk {
    fn new() -> Self {
        Self { slots: Vec::with_capacity(CHUNK_SLOTS), free: NOWHERE, used: 0 }
    }

    fn has_memory(&self) -> bool {
        self.slots.capacity() > 0
    }

    fn is_full(&self) -> bool {
        self.used == CHUNK_SLOTS
    }

    /// Takes a free slot.
    #[inline]
    fn take(&mut self) -> usize {
        self.used += 1;
        let within = self.free;
        if let Some(slot) = self.slots.get(within) {
            self.free = slot.next;
            return within;
        }
        self.slots.push(Slot { bytes: [0; SLOT_BYTES], next: NOWHERE });
        self.slots.len() - 1
    }

    /// Makes a slot free, and returns the place that it named.
    fn give_back(&mut self, within: usize) -> usize {
        let Some(slot) = self.slots.get_mut(within) else { return NOWHERE };
        self.used -= 1;
        let next = std::mem::replace(&mut slot.next, self.free);
        self.free = within;
        next
    }

    /// Forgets all slots, which are free.
    fn clear(&mut self) {
        self.free = NOWHERE;
        self.slots.clear();
    }
}

impl Slot {
    #[inline]
    fn set(&mut self, piece: &[u8]) {
        if let Some(place) = self.bytes.get_mut(..piece.len()) {
            place.copy_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Lengths around the sizes of slots and of small values, and the empty one.
    const LENGTHS: [usize; 11] = [
        0,
        1,
        SLOT_BYTES - 1,
        SLOT_BYTES,
        SLOT_BYTES + 1,
        2 * SLOT_BYTES,
        100,
        MAX_SMALL_BYTES - 1,
        MAX_SMALL_BYTES,
        MAX_SMALL_BYTES + 1,
        3000,
    ];

    fn bytes(length: usize, seed: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7 + seed) as u8).collect()
    }

    /// Chunks that have memory, and slots in use.
    fn held(values: &Values) -> (usize, usize) {
        let held = values.chunks.iter().filter(|chunk| chunk.has_memory());
        held.fold((0, 0), |(chunks, used), chunk| (chunks + 1, used + chunk.used))
    }

    #[test]
    fn a_value_of_each_length_takes_the_place_of_one_of_each_other() {
        let mut values = Values::default();
        for from in LENGTHS {
            for to in LENGTHS {
                let (old, new) = (bytes(from, 1), bytes(to, 2));
                let value = values.replaced(Value::default(), &old);
                assert_eq!(values.get(&value), old);
                let value = values.replaced(value, &new);
                assert_eq!((values.get(&value).as_ref(), value.size_bytes()), (&new[..], to));
                assert!(values.is(&value, &new));
                assert!(!values.is(&value, &bytes(to + 1, 2)));
                assert!(to == 0 || !values.is(&value, &bytes(to, 3)) && !values.is(&value, &new[1..]));
                values.free(value);
                assert_eq!((held(&values).1, values.large.len()), (0, 0), "{from} {to}");
            }
        }
    }

    /// Many values at once, put, replaced and freed in an order of chance, against a map.
    #[test]
    fn values_keep_apart_and_chunks_without_any_are_given_back() {
        let (mut values, mut model) = (Values::default(), BTreeMap::<usize, (Value, Vec<u8>)>::new());
        let mut state = 1_usize;
        let mut chance = move |below: usize| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 33) % below
        };
        let mut most = 0;
        for round in 0..60_000 {
            // Growing, shrinking, and growing again.
            let removes = if round / 10_000 % 2 == 0 { 1 } else { 3 };
            let key = chance(5000);
            if chance(4) < removes {
                if let Some((value, expected)) = model.remove(&key) {
                    assert_eq!(values.get(&value), expected);
                    values.free(value);
                }
            } else {
                let new = bytes(LENGTHS[chance(LENGTHS.len())], round);
                let old = model.remove(&key).map(|(value, _)| value).unwrap_or_default();
                model.insert(key, (values.replaced(old, &new), new));
            }
            most = most.max(held(&values).1);
        }
        assert!(model.iter().all(|(_, (value, expected))| values.get(value) == expected));
        let slots: usize = model.values().map(|(value, _)| value.slots()).sum();
        assert_eq!(held(&values).1, slots);
        assert!(values.chunks.len() <= most.div_ceil(CHUNK_SLOTS) + 1, "memory that was never needed");
        assert!(most > 20 * CHUNK_SLOTS);
        for (_, (value, _)) in std::mem::take(&mut model) {
            values.free(value);
        }
        assert!(held(&values) <= (1, 0), "{:?}", held(&values));
        assert_eq!(values.large.len(), 0);
        // The numbers of chunks that are gone serve the next ones.
        let chunks = values.chunks.len();
        let again: Vec<Value> =
            (0..chunks * CHUNK_SLOTS).map(|_| values.replaced(Value::default(), b"v")).collect();
        assert_eq!((values.chunks.len(), held(&values)), (chunks, (chunks, chunks * CHUNK_SLOTS)));
        assert!(again.iter().all(|value| values.is(value, b"v")));
    }

    /// A layer is freed in the order in which it was written.
    #[test]
    fn chunks_are_given_back_in_whatever_order_their_values_are_freed() {
        for length in LENGTHS {
            for backwards in [false, true] {
                let mut values = Values::default();
                for _ in 0..2 {
                    let put = |_| values.replaced(Value::default(), &bytes(length, 1));
                    let mut all: Vec<Value> = (0..1500).map(put).collect();
                    if backwards {
                        all.reverse();
                    }
                    all.into_iter().for_each(|value| values.free(value));
                    assert!(held(&values) <= (1, 0), "{length} {backwards}: {:?}", held(&values));
                }
            }
        }
    }

    #[test]
    fn a_large_value_is_given_out_without_a_copy_and_replaced_in_place_if_nobody_has_it() {
        let mut values = Values::default();
        let value = values.replaced(Value::default(), &bytes(3000, 1));
        let reader = values.get(&value);
        assert_eq!(values.get(&value).as_ptr(), reader.as_ptr());
        let value = values.replaced(value, &bytes(3000, 2));
        assert_eq!((reader, values.get(&value)), (bytes(3000, 1).into(), bytes(3000, 2).into()));
        let place = values.get(&value).as_ptr();
        let value = values.replaced(value, &bytes(3000, 3));
        assert_eq!((values.get(&value).as_ptr(), values.get(&value)), (place, bytes(3000, 3).into()));
        values.free(value);
    }
}
