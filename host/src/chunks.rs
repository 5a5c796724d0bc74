//! Large values of a store in memory, side by side in huge pages.
//!
//! The first use of memory costs a page fault for every 4 KiB, which takes several times as long as
//! copying them does. In a huge page it takes one for 2 MiB. Linux gives huge pages to those who
//! ask, for whole aligned ranges, so values that come together share a chunk. A chunk is written
//! once, before anybody sees it, and goes with its last value. One that holds little any more is
//! emptied: its values move to another.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use kvfs_contract::Entries;
use memmap2::MmapMut;

use crate::Mutation;

const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Most bytes of a chunk: as much as the file system usually hands over at once.
const MAX_CHUNK_BYTES: usize = 8 << 20;

/// The values that lie in chunks. Smaller ones cost less than their place in the lists, larger ones
/// would leave much of a chunk empty.
const LARGE_VALUE_BYTES: Range<usize> = 8 << 10..MAX_CHUNK_BYTES / 4;

/// Part of its huge pages that a chunk may leave empty at its end: one in so many bytes.
const MAX_EMPTY_SHARE: usize = 8;

/// Values begin where a line of the processor's cache does.
const ALIGNMENT_BYTES: usize = 64;

/// Bytes without a live value that are never worth moving others for.
const MAX_IDLE_BYTES: usize = 16 << 20;

/// The chunks of a store.
///
/// # Memory
/// All chunks together have at most twice the bytes of the live values in them, and
/// [`MAX_IDLE_BYTES`]. Values that readers hold count as live.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    chunks: Vec<Weak<Chunk>>,
    sizes: Arc<Sizes>,
}

/// Sizes of all chunks together.
#[derive(Debug, Default)]
struct Sizes {
    mapped_bytes: AtomicUsize,
    live_bytes: AtomicUsize,
}

/// Memory that values share.
#[derive(Debug)]
struct Chunk {
    memory: MmapMut,
    /// The keys that its values were stored under.
    keys: Vec<Box<[u8]>>,
    live_bytes: AtomicUsize,
    sizes: Arc<Sizes>,
}

/// A value in a chunk: the owner of the bytes that the store gives out.
#[derive(Debug)]
struct Value {
    chunk: Arc<Chunk>,
    place: Range<usize>,
}

/// A key and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

impl Chunks {
    /// Sets what `mutations` say in `entries`, with a copy of each value.
    pub(crate) fn set_all(&mut self, entries: &mut Entries<Bytes>, mutations: &[Mutation<'_>]) {
        let puts = mutations.iter().filter_map(|put| Some((put.key(), put.value()?)));
        let large: Vec<Pair<'_>> = match puts.clone().filter(is_large).map(place_bytes).sum::<usize>() {
            bytes if leaves_little(bytes) => puts.filter(is_large).collect(),
            // Nearly every call.
            _ => Vec::new(),
        };
        let mut copies = self.copy(&large).into_iter();
        for mutation in mutations {
            let (key, value) = (mutation.key(), mutation.value());
            let copied = value.filter(|value| is_large(&(key, value))).and_then(|_| copies.next());
            entries.set(key, copied.or_else(|| value.map(Bytes::copy_from_slice)));
        }
        if self.is_wasteful() {
            self.empty_some(entries);
        }
    }

    /// Copies the first of these large values into chunks, as many as leave little of the last
    /// chunk empty.
    fn copy(&mut self, mut values: &[Pair<'_>]) -> Vec<Bytes> {
        let mut copies = Vec::new();
        while !values.is_empty() {
            let mut bytes = 0;
            let fitting = values.iter().take_while(|value| {
                bytes += place_bytes(**value);
                bytes <= MAX_CHUNK_BYTES
            });
            let (first, rest) = values.split_at(fitting.count());
            let bytes = first.iter().copied().map(place_bytes).sum();
            // A chunk that the next value does not fit has little left.
            let chunk = if rest.is_empty() && !leaves_little(bytes) { None } else { self.chunk(first, bytes) };
            let Some(chunk) = chunk else { break };
            copies.extend(chunk);
            values = rest;
        }
        copies
    }

    /// Makes a chunk of values that take `bytes` bytes. Returns `None` where the system has no huge
    /// pages for it.
    fn chunk(&mut self, values: &[Pair<'_>], bytes: usize) -> Option<Vec<Bytes>> {
        let mut memory = map(bytes.next_multiple_of(HUGE_PAGE_BYTES))?;
        let (mut rest, mut at, mut places) = (&mut memory[..], 0, Vec::with_capacity(values.len()));
        for (key, value) in values {
            let (place, behind) = rest.split_at_mut_checked(place_bytes((key, value)))?;
            place.get_mut(..value.len())?.copy_from_slice(value);
            places.push(at..at + value.len());
            at += place.len();
            rest = behind;
        }
        let live_bytes = places.iter().map(Range::len).sum();
        self.sizes.mapped_bytes.fetch_add(memory.len(), Ordering::Relaxed);
        self.sizes.live_bytes.fetch_add(live_bytes, Ordering::Relaxed);
        let chunk = Arc::new(Chunk {
            memory,
            keys: values.iter().map(|(key, _)| (*key).into()).collect(),
            live_bytes: AtomicUsize::new(live_bytes),
            sizes: self.sizes.clone(),
        });
        self.chunks.retain(|chunk| chunk.strong_count() > 0);
        self.chunks.push(Arc::downgrade(&chunk));
        let owner = |place| Bytes::from_owner(Value { chunk: chunk.clone(), place });
        Some(places.into_iter().map(owner).collect())
    }

    fn is_wasteful(&self) -> bool {
        let Sizes { mapped_bytes, live_bytes } = &*self.sizes;
        mapped_bytes.load(Ordering::Relaxed) > most_mapped(live_bytes.load(Ordering::Relaxed))
    }

    /// Moves values out of the emptiest chunks, until the others waste no more than they may.
    fn empty_some(&mut self, entries: &mut Entries<Bytes>) {
        let chunks: Vec<Arc<Chunk>> = self.chunks.drain(..).filter_map(|chunk| chunk.upgrade()).collect();
        let mut chunks: Vec<(usize, Arc<Chunk>)> =
            chunks.into_iter().map(|chunk| (chunk.live_bytes.load(Ordering::Relaxed), chunk)).collect();
        // The emptiest last.
        chunks.sort_by_key(|(live_bytes, chunk)| std::cmp::Reverse(*live_bytes * 1024 / chunk.memory.len()));
        let mut mapped_bytes = self.sizes.mapped_bytes.load(Ordering::Relaxed);
        let mut live_bytes = self.sizes.live_bytes.load(Ordering::Relaxed);
        let mut moving = Vec::new();
        while mapped_bytes > most_mapped(live_bytes)
            && let Some((live, chunk)) = chunks.pop_if(|(live, chunk)| *live <= chunk.memory.len() / 2)
        {
            mapped_bytes = mapped_bytes.saturating_sub(chunk.memory.len());
            live_bytes = live_bytes.saturating_sub(live);
            for key in &chunk.keys {
                if let Some(value) = entries.get(key).filter(|value| chunk.has(value)) {
                    moving.push((key.clone(), value.clone()));
                }
            }
        }
        self.chunks = chunks.iter().map(|(_, chunk)| Arc::downgrade(chunk)).collect();
        let pairs: Vec<Pair<'_>> = moving.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let mut copies = self.copy(&pairs).into_iter();
        for (key, value) in pairs {
            entries.set(key, Some(copies.next().unwrap_or_else(|| Bytes::copy_from_slice(value))));
        }
    }
}

impl Chunk {
    fn has(&self, value: &[u8]) -> bool {
        self.memory.as_ptr_range().contains(&value.as_ptr())
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self.chunk.memory.get(self.place.clone()).unwrap_or_default()
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.chunk.live_bytes.fetch_sub(self.place.len(), Ordering::Relaxed);
        self.chunk.sizes.live_bytes.fetch_sub(self.place.len(), Ordering::Relaxed);
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.sizes.mapped_bytes.fetch_sub(self.memory.len(), Ordering::Relaxed);
    }
}

fn is_large((_, value): &Pair<'_>) -> bool {
    LARGE_VALUE_BYTES.contains(&value.len())
}

/// Returns the bytes of a chunk that a value takes.
fn place_bytes((_, value): Pair<'_>) -> usize {
    value.len().next_multiple_of(ALIGNMENT_BYTES)
}

/// Whether values of so many bytes leave little of their huge pages empty.
fn leaves_little(bytes: usize) -> bool {
    let mapped = bytes.next_multiple_of(HUGE_PAGE_BYTES);
    bytes > 0 && mapped - bytes <= mapped / MAX_EMPTY_SHARE
}

/// Returns the most bytes that chunks may have with so many bytes of live values.
fn most_mapped(live_bytes: usize) -> usize {
    (2 * live_bytes).saturating_add(MAX_IDLE_BYTES)
}

/// Maps memory of huge pages, if the system has them.
fn map(bytes: usize) -> Option<MmapMut> {
    #[cfg(target_os = "linux")]
    {
        let memory = MmapMut::map_anon(bytes).ok()?;
        memory.advise(memmap2::Advice::HugePage).ok()?;
        Some(memory)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = bytes;
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const EXTENT_BYTES: usize = (32 << 10) + 16;

    #[derive(Default)]
    struct Store {
        entries: Entries<Bytes>,
        chunks: Chunks,
        model: BTreeMap<Vec<u8>, Vec<u8>>,
    }

    impl Store {
        /// Puts and removes, and checks what chunks promise of memory.
        fn apply(&mut self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) {
            let mutations: Vec<Mutation<'_>> = changes
                .iter()
                .map(|(key, value)| match value {
                    Some(value) => Mutation::Put { key, value },
                    None => Mutation::Delete { key },
                })
                .collect();
            self.chunks.set_all(&mut self.entries, &mutations);
            for (key, value) in changes {
                match value {
                    Some(value) => self.model.insert(key.clone(), value.clone()),
                    None => self.model.remove(key),
                };
            }
            let (mapped, live) = self.sizes();
            assert!(mapped <= most_mapped(live), "{mapped} bytes for {live}");
        }

        fn check(&self) {
            let found = self.entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec()));
            assert!(found.eq(self.model.clone()), "other entries than were set");
        }

        fn sizes(&self) -> (usize, usize) {
            let Sizes { mapped_bytes, live_bytes } = &*self.chunks.sizes;
            (mapped_bytes.load(Ordering::Relaxed), live_bytes.load(Ordering::Relaxed))
        }
    }

    fn key(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    fn value(number: u64, bytes: usize) -> Vec<u8> {
        (number..).map(|byte| byte as u8).take(bytes).collect()
    }

    /// Puts of extents with these numbers.
    fn extents(numbers: impl Iterator<Item = u64>, salt: u64) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        numbers.map(|number| (key(number), Some(value(number + salt, EXTENT_BYTES)))).collect()
    }

    /// Returns numbers that look random, the same in every run.
    fn random(seed: u64) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(seed), |last| {
            Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        })
        .map(|number| number >> 33)
        .skip(1)
    }

    #[test]
    fn a_stream_lies_in_chunks_and_small_applies_do_not() {
        let mut store = Store::default();
        store.apply(&extents(0..8, 0));
        assert_eq!(store.sizes(), (0, 0), "a quarter of a MiB would take a huge page");
        store.apply(&extents(8..264, 0));
        let (mapped, live) = store.sizes();
        assert_eq!((mapped, live), (MAX_CHUNK_BYTES, 255 * EXTENT_BYTES), "the last one fits no more");
        store.check();
    }

    #[test]
    fn values_of_all_lengths_come_back_in_their_places() {
        let mut store = Store::default();
        let lengths = [0, 1, 4096, 8191, 8192, 8193, EXTENT_BYTES, 1 << 20, (1 << 20) + 16, 2 << 20, 3 << 20];
        for seed in 0..4 {
            let changes = random(seed).take(60).enumerate().map(|(number, random)| {
                let bytes = lengths[random as usize % lengths.len()];
                (key(random % 50), (number % 5 > 0).then(|| value(random, bytes)))
            });
            store.apply(&changes.collect::<Vec<_>>());
            store.check();
        }
        assert!(store.sizes().0 > 0, "none of them was in a chunk");
    }

    #[test]
    fn overwriting_and_removing_at_random_keeps_memory_bounded() {
        let mut store = Store::default();
        store.apply(&extents(0..1024, 0));
        let mut numbers = random(7);
        let mut peak = 0;
        for round in 1..=40 {
            // Some applies are large enough for chunks of their own, some are not.
            let count = if round % 3 == 0 { 10 } else { 256 };
            store.apply(&extents(numbers.by_ref().take(count).map(|number| number % 1024), round));
            peak = peak.max(store.sizes().0);
        }
        store.check();
        assert!(peak > store.sizes().1 + MAX_IDLE_BYTES / 2, "nothing was ever idle: {peak}");
        let removed = |number: u64| (key(number), None);
        store.apply(&(0..1024).filter(|number| number % 16 > 0).map(removed).collect::<Vec<_>>());
        store.check();
        store.apply(&(0..1024).map(removed).collect::<Vec<_>>());
        assert_eq!(store.sizes(), (0, 0), "chunks outlive their values");
    }

    #[test]
    fn a_reader_keeps_the_bytes_that_it_was_given() {
        let mut store = Store::default();
        store.apply(&extents(0..1024, 0));
        let held: Vec<Bytes> = (0..1024).step_by(100).map(|n| store.entries.get(&key(n)).unwrap().clone()).collect();
        store.apply(&extents(0..1024, 1));
        store.apply(&(0..1024).map(|number| (key(number), None)).collect::<Vec<_>>());
        for (number, held) in (0..1024).step_by(100).zip(&held) {
            assert_eq!(*held, value(number, EXTENT_BYTES));
        }
        drop(held);
        assert_eq!(store.sizes(), (0, 0));
    }
}
