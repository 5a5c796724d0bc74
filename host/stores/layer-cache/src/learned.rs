//! What a view has learnt of layers and volumes of its store.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs::frozen::{self, Record, Stamp};
use kvfs_contract::{Entry, Guard, Mutation, StoreError};

use crate::top_keys::TopKeys;
use crate::volume::Volume;

/// Most layers and volumes that are known at once. Beyond, all are forgotten, and learnt anew.
const MAX_LAYERS_KNOWN: usize = 1 << 14;
const MAX_VOLUMES_KNOWN: usize = 1 << 8;

/// Most pages that wait for a look at their layer's header, and most bytes of them.
const MAX_WAITING_PAGES: usize = 256;
const MAX_WAITING_BYTES: usize = 4 << 20;

/// What the header of a layer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Frozen(Stamp),
    /// It is a top layer, or is being built or freed; or it is frozen and has no stamp; or there is none.
    Changing,
}

/// A page of a frozen layer that was read, but no header after it: by then the layer may have been
/// freed.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) layer: Vec<u8>,
    pub(crate) stamp: Stamp,
    pub(crate) name: Vec<u8>,
    pub(crate) entries: Vec<Entry<Bytes>>,
    /// The number of the read: a header must be read after it.
    pub(crate) read: u64,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Learned {
    layers: HashMap<Box<[u8]>, Status>,
    /// Raised when something of `layers` is forgotten: headers that were read before say nothing after.
    pub(crate) generation: u64,
    volumes: HashMap<Box<[u8]>, Volume>,
    last_version: u64,
    /// Reads of layers in the store that came with no superblock.
    pub(crate) reads: u64,
    /// A scan was answered without the store since the last question for a superblock.
    pub(crate) has_scanned: bool,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
}

/// An apply under way: the superblocks that it changes, with their versions, and when it began.
#[derive(Debug)]
pub(crate) struct Applying {
    superblocks: Vec<(usize, u64)>,
    begun: Instant,
    reads: u64,
}

impl Learned {
    pub(crate) fn status(&self, layer: &[u8]) -> Option<Status> {
        self.layers.get(layer).copied()
    }

    pub(crate) fn set_status(&mut self, layer: &[u8], status: Status) {
        if self.layers.len() >= MAX_LAYERS_KNOWN && !self.layers.contains_key(layer) {
            self.layers.clear();
            self.generation += 1;
        }
        self.layers.insert(layer.into(), status);
    }

    /// Forgets a layer: its name may have been given to another one since.
    pub(crate) fn forget_layer(&mut self, layer: &[u8]) {
        self.layers.remove(layer);
        self.generation += 1;
    }

    /// The keys of a top layer that was empty, if that is known of this one.
    pub(crate) fn top_keys(&self, layer: &[u8]) -> Option<&TopKeys> {
        self.volumes.values().filter_map(|volume| volume.top.as_ref()).find(|top| top.layer == layer)
    }

    /// Returns a superblock that the store has had for less than `recheck`, if nothing was read since
    /// that it would have to vouch for.
    pub(crate) fn fresh_superblock(&self, key: &[u8], now: Instant, recheck: Duration) -> Option<Bytes> {
        let volume = self.volumes.get(key)?;
        let (superblock, since) = volume.superblock.as_ref()?;
        let is_fresh = now.saturating_duration_since(*since) < recheck;
        (is_fresh && volume.in_flight == 0 && volume.checked >= self.reads).then(|| superblock.clone())
    }

    /// The version of what is known of a volume.
    pub(crate) fn version(&self, superblock: &[u8]) -> Option<u64> {
        self.volumes.get(superblock).map(|volume| volume.version)
    }

    /// Takes note of a superblock that was read. `version`, `reads` and `begun` are of before.
    pub(crate) fn saw_superblock(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        (version, reads, begun): (Option<u64>, u64, Instant),
    ) {
        if self.version(key) != version {
            return;
        }
        let volume = self.volume(key);
        if volume.in_flight > 0 {
            return;
        }
        match value {
            Some(value) => {
                volume.saw(key, value, begun, false);
                volume.checked = volume.checked.max(reads);
            }
            None => volume.forget(),
        }
    }

    fn volume(&mut self, superblock: &[u8]) -> &mut Volume {
        if self.volumes.len() >= MAX_VOLUMES_KNOWN && !self.volumes.contains_key(superblock) {
            self.volumes.retain(|_, volume| volume.in_flight > 0);
        }
        let version = &mut self.last_version;
        self.volumes.entry(superblock.into()).or_insert_with(|| {
            *version += 1;
            Volume::new(*version)
        })
    }

    fn next_version(&mut self) -> u64 {
        self.last_version += 1;
        self.last_version
    }

    /// Takes note of an apply before it is made. What it may write counts as written, whether it
    /// succeeds or not.
    pub(crate) fn begin_apply(&mut self, mutations: &[Mutation<&[u8]>]) -> Applying {
        // Whoever applies asks the store what it has now.
        self.has_scanned = false;
        let mut superblocks = Vec::new();
        for (at, mutation) in mutations.iter().enumerate() {
            let key = mutation.key();
            match frozen::record(key) {
                Record::Superblock => {
                    let version = self.next_version();
                    let volume = self.volume(key);
                    volume.version = version;
                    volume.in_flight += 1;
                    superblocks.push((at, version));
                }
                Record::Header(layer) => self.forget_layer(layer),
                Record::InLayer(layer) => {
                    let tops = self.volumes.values_mut().filter_map(|volume| volume.top.as_mut());
                    tops.filter(|top| top.layer == layer).for_each(|top| top.add(key));
                }
                _ => {}
            }
        }
        Applying { superblocks, begun: Instant::now(), reads: self.reads }
    }

    /// Takes note of an apply after it was made.
    pub(crate) fn end_apply(
        &mut self,
        applying: Applying,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        outcome: &Result<(), StoreError>,
    ) {
        for (at, version) in applying.superblocks {
            let Some(mutation) = mutations.get(at) else { continue };
            let key = mutation.key();
            let next = self.next_version();
            let volume = self.volume(key);
            volume.in_flight = volume.in_flight.saturating_sub(1);
            let is_alone = volume.version == version;
            volume.version = next;
            let expected = guards.iter().find(|guard| guard.key == key).and_then(|guard| guard.expected);
            match (outcome, mutation.value()) {
                (Ok(()), Some(value)) if is_alone => {
                    let known = volume.superblock.as_ref().map(|(known, _)| &known[..]);
                    let follows = expected.is_some() && known == expected;
                    volume.saw(key, value, applying.begun, follows);
                    volume.checked = volume.checked.max(applying.reads);
                }
                // Nothing was applied.
                (Err(StoreError::TooLarge | StoreError::QuotaExceeded | StoreError::ReadOnly), _) => {}
                _ => volume.forget(),
            }
        }
    }

    /// Keeps a page until its layer's header is read.
    pub(crate) fn wait(&mut self, page: Waiting) {
        let bytes = page.bytes();
        if self.waiting.len() < MAX_WAITING_PAGES && self.waiting_bytes + bytes <= MAX_WAITING_BYTES {
            self.waiting_bytes += bytes;
            self.waiting.push(page);
        }
    }

    /// The layers of the pages that wait.
    pub(crate) fn waiting_layers(&self) -> impl Iterator<Item = &[u8]> {
        self.waiting.iter().map(|page| page.layer.as_slice())
    }

    /// Takes the pages that wait for the headers that were read.
    pub(crate) fn take_waiting(&mut self, is_read: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let (taken, left) = std::mem::take(&mut self.waiting).into_iter().partition(is_read);
        self.waiting = left;
        self.waiting_bytes = self.waiting.iter().map(Waiting::bytes).sum();
        taken
    }
}
