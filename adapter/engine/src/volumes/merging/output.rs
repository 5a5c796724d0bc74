//! Records of a merge on their way to the store: in one apply if they fit, else in a layer of their own.

use crate::backing::overlay::move_value;
use crate::error::{Error, Result};
use crate::limits::MAX_LAYERS;
use crate::limits::READDIR_PAGE_BYTES;
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::key::tag;
use crate::stored::record::layer::{LayerHeader, LayerState};
use crate::stored::record::superblock::{Layers, Superblock};
use crate::stored::record::tombstone;
use crate::types::Timestamp;
use crate::volumes::building::Building;
use crate::volumes::change::{Change, attempt};
use crate::volumes::stand::top_header;
use crate::volumes::stored::{StoredVolume, drop_top, lean_on, put_header};
use crate::volumes::view::View;
use std::ops::ControlFlow;

/// A record to be changed in the top layer.
enum Record {
    Put(Entry),
    /// To be hidden.
    Delete(Vec<u8>),
}

/// Records of a merge. Breaks where somebody took its layer for garbage, or was faster.
pub(super) struct Output {
    limits: Limits,
    now: Timestamp,
    attempt: u32,
    waiting: Vec<Record>,
    /// Bytes of those that wait.
    bytes: usize,
    layer: Option<Building>,
}

impl Output {
    pub(super) fn new(store: &mut dyn KvStore, now: Timestamp, attempt: u32) -> Result<Self> {
        let limits = store.limits()?;
        Ok(Self { limits, now, attempt, waiting: Vec::new(), bytes: 0, layer: None })
    }

    /// Puts a record, whose value `encode` appends for its key.
    pub(super) fn put(
        &mut self,
        store: &mut dyn KvStore,
        into: &mut View,
        key: Vec<u8>,
        encode: impl FnOnce(&[u8], &mut Vec<u8>),
    ) -> Result<ControlFlow<()>> {
        let mut value = Vec::new();
        encode(&key, &mut value);
        self.push(store, into, key.len() + value.len(), Record::Put(Entry { key, value }))
    }

    /// Removes a record that the volume has.
    pub(super) fn delete(
        &mut self,
        store: &mut dyn KvStore,
        into: &mut View,
        key: Vec<u8>,
    ) -> Result<ControlFlow<()>> {
        let bytes = key.len() + crate::stored::record::TOMBSTONE_BYTES;
        self.push(store, into, bytes, Record::Delete(key))
    }

    fn push(
        &mut self,
        store: &mut dyn KvStore,
        into: &mut View,
        bytes: usize,
        record: Record,
    ) -> Result<ControlFlow<()>> {
        // A place for the superblock.
        let superblock = into.volume.keys.superblock().len() + into.volume.superblock.encoded_bytes() + 16;
        let is_full = self.waiting.len() + 2 > self.limits.max_batch_entries as usize
            || self.bytes + bytes + superblock > self.limits.max_batch_bytes as usize;
        if is_full && self.flush(store, into)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.bytes += bytes;
        self.waiting.push(record);
        Ok(ControlFlow::Continue(()))
    }

    /// Puts what waits into the layer of the merge, and makes it before.
    fn flush(&mut self, store: &mut dyn KvStore, into: &mut View) -> Result<ControlFlow<()>> {
        let mut keys = into.volume.keys.clone();
        into.volume.chain.set_in(&mut keys);
        let building = match self.layer.take() {
            Some(building) => building,
            None => {
                let Some(building) = self.begin(store, &into.volume)? else {
                    return Ok(ControlFlow::Break(()));
                };
                building
            }
        };
        keys.set_layers(&building.layer, &[]);
        let moved = |key: &[u8]| keys.outer(keys.inner(key).unwrap_or_default());
        let records: Vec<Entry> = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|record| match record {
                Record::Put(mut entry) => {
                    let key = moved(&entry.key);
                    move_value(&entry.key, &key, &mut entry.value);
                    Entry { key, value: entry.value }
                }
                Record::Delete(key) => {
                    let key = moved(&key);
                    Entry { value: tombstone(&key).to_vec(), key }
                }
            })
            .collect();
        self.bytes = 0;
        let is_there = building.put(store, &self.limits, &records)?;
        self.layer = Some(building);
        Ok(if is_there { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    /// Whether the layer of a merge takes the place of the top layer, with a copy of its records: the
    /// volume stands on as many layers as it can, or nothing is in the top layer.
    fn replaces_top(volume: &StoredVolume) -> bool {
        !volume.superblock.is_top_written() || volume.chain.below.len() >= MAX_LAYERS
    }

    /// Makes an empty layer. `None` if there is one of its name, or somebody took it for garbage.
    fn begin(&self, store: &mut dyn KvStore, volume: &StoredVolume) -> Result<Option<Building>> {
        let header = LayerHeader {
            state: LayerState::Building,
            users: 0,
            first_inode: match Self::replaces_top(volume) {
                true => top_header(store, &volume.chain.top)?.0.first_inode,
                false => volume.superblock.next_inode,
            },
            level: 0,
            below: Vec::new(),
            stamp: None,
        };
        let layer = volume.new_layer(self.now, self.attempt, "merge");
        let Some(building) = Building::begin(store, layer, header)? else { return Ok(None) };
        if Self::replaces_top(volume) && volume.superblock.is_top_written() {
            return Ok(self.copy_top(store, volume, &building)?.then_some(building));
        }
        Ok(Some(building))
    }

    /// Copies the records of the top layer. Those of the merge come over them.
    fn copy_top(&self, store: &mut dyn KvStore, volume: &StoredVolume, to: &Building) -> Result<bool> {
        let mut from = volume.keys.clone();
        from.set_layers(&volume.chain.top, &[]);
        let mut there = volume.keys.clone();
        there.set_layers(&to.layer, &[]);
        let (mut start, end) = from.tags_range(tag::GARBAGE, u8::MAX - 1);
        loop {
            let most = crate::limits::READDIR_PAGE_ENTRIES.min(self.limits.max_batch_entries);
            let page =
                store.scan(&start, &end, most, READDIR_PAGE_BYTES.min(self.limits.max_batch_bytes / 2))?;
            let Some(last) = page.last() else { return Ok(true) };
            start = [last.key.as_slice(), &[0]].concat();
            let moved = |mut entry: Entry| {
                let key = there.outer(from.inner(&entry.key).unwrap_or_default());
                move_value(&entry.key, &key, &mut entry.value);
                Entry { key, value: entry.value }
            };
            let records: Vec<Entry> = page.into_iter().map(moved).collect();
            if !to.put(store, &self.limits, &records)? {
                return Ok(false);
            }
        }
    }

    /// Makes all records the volume's, with this superblock, if neither volume has changed. Whole or not
    /// at all. Breaks if one has.
    pub(super) fn finish(
        mut self,
        store: &mut dyn KvStore,
        from: &StoredVolume,
        into: &mut View,
        mut superblock: Superblock,
    ) -> Result<ControlFlow<()>> {
        superblock.take_over();
        superblock.set_top_written();
        if self.layer.is_none() {
            return self.apply(store, from, into, &superblock);
        }
        if self.flush(store, into)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let Some(building) = self.layer else { return Ok(ControlFlow::Break(())) };
        let (into, now) = (&into.volume, self.now);
        let done = attempt(store, Durability::Durable, |store, number| {
            let values = store.get(&[from.keys.superblock(), into.keys.superblock()])?;
            let expected = [Some(from.value.as_slice()), Some(into.value.as_slice())];
            if !values.iter().map(Option::as_deref).eq(expected) || !building.is_there(store)? {
                return Ok(Some((Change::default(), false)));
            }
            let mut change = Change::default();
            // It stays as it is.
            let value = || Some(from.value.clone());
            change.replace(from.keys.superblock().to_vec(), value(), value());
            let top = &into.chain.top;
            let below = if Self::replaces_top(into) {
                if let Some(parent) = into.chain.below.first() {
                    lean_on(store, &mut change, parent)?;
                }
                drop_top(store, &mut change, into)?;
                into.chain.below.clone()
            } else {
                let (header, value) = top_header(store, top)?;
                put_header(&mut change, top, value, &header.frozen(1, into.stamp(now, number, top)));
                std::iter::once(top.clone()).chain(into.chain.below.iter().cloned()).collect()
            };
            building.complete(&mut change, below, None);
            let mut superblock = superblock.clone();
            superblock.set_layers(Some(Layers { written: true, ..into.layers_with(&building.layer, true) }));
            into.put_superblock(&mut change, &superblock);
            Ok(Some((change, true)))
        })?;
        Ok(if done { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    /// Applies the records to the top layer, all at once.
    fn apply(
        self,
        store: &mut dyn KvStore,
        from: &StoredVolume,
        into: &mut View,
        superblock: &Superblock,
    ) -> Result<ControlFlow<()>> {
        let deleted: Vec<Vec<u8>> = self
            .waiting
            .iter()
            .filter_map(|record| if let Record::Delete(key) = record { Some(key.clone()) } else { None })
            .collect();
        let hides = into.lies_below_top(store, &deleted)?;
        let tombstones: Vec<[u8; crate::stored::record::TOMBSTONE_BYTES]> =
            deleted.iter().map(|key| tombstone(key)).collect();
        let key = into.volume.keys.superblock();
        let value = superblock.encode(key);
        let mut mutations = vec![Mutation::Put { key, value: &value }];
        let mut hidden = hides.into_iter().zip(&tombstones);
        for record in &self.waiting {
            mutations.push(match record {
                Record::Put(Entry { key, value }) => Mutation::Put { key, value },
                Record::Delete(key) => match hidden.next() {
                    Some((true, tombstone)) => Mutation::Put { key, value: tombstone },
                    _ => Mutation::Delete { key },
                },
            });
        }
        let guards = [
            Guard { key, expected: Some(&into.volume.value) },
            Guard { key: from.keys.superblock(), expected: Some(&from.value) },
        ];
        match store.apply(&guards, &mutations, Durability::Durable) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(StoreError::Conflict) => Ok(ControlFlow::Break(())),
            Err(StoreError::UnknownOutcome) => {
                let found = store.get(&[key])?.into_iter().next().flatten();
                if found.as_ref() != Some(&value) {
                    return Ok(ControlFlow::Break(()));
                }
                store.apply(&[], &[], Durability::Durable)?;
                Ok(ControlFlow::Continue(()))
            }
            Err(error) => Err(Error::from(error)),
        }
    }
}
