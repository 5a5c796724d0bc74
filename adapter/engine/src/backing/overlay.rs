//! What a volume reads through: the changes of a journal, the store, and the image below.
//!
//! A value above hides the one below, and a tombstone above hides that there is one. This is the one place
//! that knows: everything else sees one volume.

use crate::backing::batch::Batch;
use crate::backing::journal_view::{self, Changes};
use crate::error::Result;
use crate::limits;
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::image::{Image, ImageId};
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::{TOMBSTONE_BYTES, is_tombstone, tombstone};
use crate::types::{Clock, InodeNo, Timestamp};
use crate::volume::Volume;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

/// A value, where it lies in an image or as a store gave it.
pub(crate) type Value = Cow<'static, [u8]>;

/// What lies below a volume.
#[derive(Debug, Clone)]
pub(crate) struct Lower {
    image: Image,
    keys: KeySpace,
}

impl Lower {
    pub(crate) fn new(image: Image, keys: KeySpace) -> Lower {
        Lower { image, keys }
    }

    pub(crate) fn id(&self) -> &ImageId {
        self.image.id()
    }

    /// The value of a key. The superblock is not of what lies below: each volume has its own.
    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<&'static [u8]>> {
        match self.keys.inner(key) {
            None | Some([] | [tag::SUPERBLOCK, ..]) => Ok(None),
            Some(inner) => self.image.get(inner),
        }
    }

    /// As [`KvStore::scan`], of keys of this volume. Unlike there, all that is left is in the answer unless
    /// the second half of it says that the limits ended it.
    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<(Vec<Entry>, bool)> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        let first = self.keys.inner(start).unwrap_or_default();
        let mut place = self.image.seek(first)?;
        while let Some((inner, value)) = self.image.record(place)? {
            place += 1;
            let key = self.keys.outer(inner);
            if !end.is_empty() && key.as_slice() >= end {
                break;
            }
            if inner.first() == Some(&tag::SUPERBLOCK) {
                continue;
            }
            bytes += key.len() + value.len();
            let full = found.len() >= max_entries as usize || bytes > max_bytes as usize;
            if full && !found.is_empty() {
                return Ok((found, true));
            }
            found.push(Entry { key, value: value.to_vec() });
        }
        Ok((found, false))
    }
}

/// What is to be put in place of a deletion, if it is one, and of what lies below.
pub(crate) type Grave = Option<[u8; TOMBSTONE_BYTES]>;

/// Reads keys through a store, or none if it is known to hold nothing, and through what lies below.
pub(crate) fn get(
    store: Option<&mut dyn KvStore>,
    changes: &Changes,
    lower: Option<&mut Lower>,
    keys: &[&[u8]],
) -> Result<Vec<Option<Value>>> {
    let above = match store {
        Some(store) => journal_view::get(store, changes, keys)?,
        None => vec![None; keys.len()],
    };
    let mut values: Vec<Option<Value>> = above.into_iter().map(|value| value.map(Cow::Owned)).collect();
    if let Some(lower) = lower {
        for (key, value) in keys.iter().zip(&mut values) {
            match value {
                None => *value = lower.get(key)?.map(Cow::Borrowed),
                Some(above) if is_tombstone(key, above) => *value = None,
                Some(_) => {}
            }
        }
    }
    Ok(values)
}

/// A page of a scan.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// For each entry whether it is the image's; empty where nothing lies below.
    below: Vec<bool>,
}

impl Page {
    /// Whether the entry at this place is the image's.
    pub(crate) fn is_below(&self, place: usize) -> bool {
        self.below.get(place).copied().unwrap_or(false)
    }
}

/// As [`KvStore::scan`], through a store, or none if it is known to hold nothing, and through what lies
/// below. An empty answer says that there is nothing more.
///
/// # Cost
/// Where something lies below, one call more than the store needs for the page: what it has above is
/// mostly less than a page, and only an empty answer says that this is all.
pub(crate) fn scan(
    mut store: Option<&mut dyn KvStore>,
    changes: &Changes,
    lower: Option<&mut Lower>,
    start: &[u8],
    end: &[u8],
    max_entries: u32,
    max_bytes: u32,
) -> Result<Page> {
    let mut above = |start: &[u8]| match &mut store {
        Some(store) => journal_view::scan(&mut **store, changes, start, end, max_entries, max_bytes),
        None => Ok(Vec::new()),
    };
    let Some(lower) = lower else { return Ok(Page { entries: above(start)?, below: Vec::new() }) };
    let (mut start, mut merged, mut bytes) = (start.to_vec(), Page::default(), 0);
    loop {
        let above: Vec<Entry> = above(&start)?;
        let (below, cut) = lower.scan(&start, end, max_entries, max_bytes)?;
        // Each answer speaks for the keys up to its last one; an empty one, and one from below that nothing
        // cut, for all of the range. Only what both speak for is known.
        let last_above = above.last().map(|entry| entry.key.clone());
        let last_below = below.last().filter(|_| cut).map(|entry| entry.key.clone());
        let known_to = match (last_above, last_below) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let before = merged.entries.len();
        merge(above, below, known_to.as_deref(), max_entries as usize, &mut merged);
        let next = merged.entries.get(before..).unwrap_or_default();
        bytes += next.iter().map(|entry| entry.key.len() + entry.value.len()).sum::<usize>();
        match known_to {
            // What is known is less than a page, or all hidden: what is behind it counts.
            Some(last) if merged.entries.len() < max_entries as usize && bytes < max_bytes as usize => {
                start = [&*last, &[0]].concat();
            }
            _ => return Ok(merged),
        }
    }
}

/// Merges two runs, each in order, up to a key, into a page of so many entries; of two of one key the one above counts.
fn merge(
    above: Vec<Entry>,
    below: Vec<Entry>,
    known_to: Option<&[u8]>,
    max_entries: usize,
    merged: &mut Page,
) {
    let known = |entry: &Entry| known_to.is_none_or(|last| entry.key.as_slice() <= last);
    let mut above = above.into_iter().filter(known).peekable();
    let mut below = below.into_iter().filter(known).peekable();
    while merged.entries.len() < max_entries {
        let order = match (above.peek(), below.peek()) {
            (Some(one), Some(other)) => one.key.cmp(&other.key),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        if order == Ordering::Equal {
            below.next();
        }
        let is_below = order == Ordering::Greater;
        let next = match is_below {
            true => below.next(),
            false => above.next().filter(|entry| !is_tombstone(&entry.key, &entry.value)),
        };
        if let Some(entry) = next {
            merged.entries.push(entry);
            merged.below.push(is_below);
        }
    }
}

/// Some records of a volume, to be read.
pub(crate) struct Records<'v> {
    store: Option<&'v mut dyn KvStore>,
    changes: &'v Changes,
    lower: Option<&'v mut Lower>,
}

impl Records<'_> {
    pub(crate) fn get(self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        get(self.store, self.changes, self.lower, keys)
    }

    pub(crate) fn scan(self, start: &[u8], end: &[u8], max_entries: u32, max_bytes: u32) -> Result<Page> {
        scan(self.store, self.changes, self.lower, start, end, max_entries, max_bytes)
    }
}

impl Volume {
    /// Whether the store may hold records of this volume beside the superblock: an image has no store, and
    /// what nobody has written to lies below as a whole.
    pub(crate) fn asks_store(&self) -> bool {
        match &self.committed.lower {
            Some(lower) => lower.written,
            None => self.lower.is_none(),
        }
    }

    pub(crate) fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.records(self.asks_store()).get(keys)
    }

    /// The records that hold a directory's names: if its own is that of the image, only the image's.
    pub(crate) fn names_of(&mut self, dir: InodeNo) -> Records<'_> {
        let below = self.cache.node(dir).is_some_and(|node| node.below);
        self.records(!below && self.asks_store())
    }

    fn records(&mut self, of_store: bool) -> Records<'_> {
        let store: Option<&mut dyn KvStore> = if of_store { Some(&mut *self.store) } else { None };
        Records { store, changes: &self.journalled, lower: self.lower.as_mut() }
    }

    pub(crate) fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>> {
        self.scan_layers(start, end, max_entries, max_bytes).map(|page| page.entries)
    }

    /// As [`Volume::scan`], and tells what is the image's.
    pub(crate) fn scan_layers(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Page> {
        self.records(self.asks_store()).scan(start, end, max_entries, max_bytes)
    }

    /// As [`KvStore::scan`], of what the store has of this volume, tombstones included, and not the image.
    pub(crate) fn scan_above(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>> {
        Ok(journal_view::scan(&mut *self.store, &self.journalled, start, end, max_entries, max_bytes)?)
    }

    /// For each of some of a batch's mutations what is to be put in its place; none if nothing lies below.
    pub(crate) fn graves(&mut self, batch: &Batch, range: Range<usize>) -> Result<Vec<Grave>> {
        let Some(lower) = &mut self.lower else { return Ok(Vec::new()) };
        let grave = |key: Option<&[u8]>| match key {
            Some(key) => Ok(lower.get(key)?.map(|_| tombstone(key))),
            None => Ok(None),
        };
        batch.deletions(range).map(grave).collect()
    }

    /// The image below, if there is one.
    pub fn image(&self) -> Option<&ImageId> {
        self.lower.as_ref().map(Lower::id)
    }
}

/// The store of an image: there is none. It is never called.
pub(crate) struct NoStore;

impl KvStore for NoStore {
    fn limits(&mut self) -> std::result::Result<Limits, StoreError> {
        Ok(Limits {
            max_key_bytes: limits::STORE_KEY_BYTES_MIN,
            max_value_bytes: u32::MAX,
            max_batch_entries: u32::MAX,
            max_batch_bytes: u32::MAX,
            durable: false,
        })
    }

    fn get(&mut self, keys: &[&[u8]]) -> std::result::Result<Vec<Option<Vec<u8>>>, StoreError> {
        Ok(vec![None; keys.len()])
    }

    fn scan(&mut self, _: &[u8], _: &[u8], _: u32, _: u32) -> std::result::Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    fn apply(
        &mut self,
        _: &[Guard<'_>],
        _: &[Mutation<'_>],
        _: Durability,
    ) -> std::result::Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

/// The clock of what never changes.
pub(crate) struct Midnight;

impl Clock for Midnight {
    fn now(&mut self) -> Timestamp {
        Timestamp::default()
    }
}
