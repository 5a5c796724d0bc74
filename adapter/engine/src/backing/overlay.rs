//! A volume's layers, seen as one: those in the store, and the image below.
//!
//! A value above hides the one below, and a tombstone hides that there is one. Only this module
//! knows: to everything else, it is one volume.

use super::journal_view;
use crate::error::{Error, Result};
use crate::store::{Entry, KvStore, StoreError};
use crate::stored::image::Image;
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::journal::Changes;
use crate::stored::record::{Value, is_tombstone, move_to};
use crate::types::ImageId;
use std::borrow::Cow;
use std::ops::Range;

/// The image below a volume.
#[derive(Debug, Clone)]
pub(crate) struct Lower {
    image: Image,
    /// The keys under which the image's values were sealed.
    keys: KeySpace,
}

impl Lower {
    pub(crate) fn new(image: Image) -> Self {
        let keys = KeySpace::new(image.volume());
        Self { image, keys }
    }

    pub(crate) fn id(&self) -> &ImageId {
        self.image.id()
    }

    /// Returns the value of a key of the volume. The superblock is never found: each volume has its
    /// own.
    pub(crate) fn get(&mut self, volume: &KeySpace, key: &[u8]) -> Result<Option<&'static [u8]>> {
        match volume.inner(key) {
            None | Some([] | [tag::SUPERBLOCK, ..]) => Ok(None),
            Some(inner) => self.image.get(inner),
        }
    }

    /// Returns the key under which the image's value of a volume's key was sealed.
    fn sealing_key<'k>(&self, volume: &KeySpace, key: &'k [u8]) -> Cow<'k, [u8]> {
        match volume.inner(key) {
            Some(inner) if self.keys.inner(key) != Some(inner) => Cow::Owned(self.keys.outer(inner)),
            _ => Cow::Borrowed(key),
        }
    }

    /// Scans as [`KvStore::scan`], over keys of the volume. The answer ends with the range, unless
    /// the flag says that the limits cut it short.
    fn scan(
        &mut self,
        volume: &KeySpace,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<(Vec<Entry>, bool)> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        let first = volume.inner(start).unwrap_or_default();
        let mut place = self.image.seek(first)?;
        while let Some((inner, value)) = self.image.record(place)? {
            place += 1;
            let key = volume.outer(inner);
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
            let mut value = value.to_vec();
            move_value(&self.sealing_key(volume, &key), &key, &mut value);
            found.push(Entry { key, value });
        }
        Ok((found, false))
    }
}

/// Returns the key under which a record was sealed, which the store or an image has for `key`.
pub(crate) fn sealing_key<'k>(
    keys: &KeySpace,
    lower: Option<&Lower>,
    found: &Found,
    key: &'k [u8],
) -> Cow<'k, [u8]> {
    match lower {
        Some(lower) if found.is_below() => lower.sealing_key(keys, key),
        _ => keys.in_layer(found.layer, key),
    }
}

/// A record that was found, and the layer that has it: 0 is the top one. The value is borrowed if it
/// is the image's.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) value: Value,
    layer: usize,
}

impl Found {
    /// Whether it is the image's.
    pub(crate) fn is_below(&self) -> bool {
        matches!(self.value, Cow::Borrowed(_))
    }
}

/// A page of a scan.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// For each entry, whether it is the image's. Empty if there is no image.
    below: Vec<bool>,
}

impl Page {
    /// Whether the entry at `place` is the image's.
    pub(crate) fn is_below(&self, place: usize) -> bool {
        self.below.get(place).copied().unwrap_or(false)
    }
}

/// A sorted run of records of one layer, with keys and values as the top layer would have them.
struct Run {
    entries: std::iter::Peekable<std::vec::IntoIter<Entry>>,
    /// The run covers the range up to this key; `None`: all of it.
    known_to: Option<Vec<u8>>,
}

impl Run {
    fn new(entries: Vec<Entry>, known_to: Option<Vec<u8>>) -> Self {
        Self { entries: entries.into_iter().peekable(), known_to }
    }
}

/// The layers of a volume, for one read.
pub(crate) struct Layers<'v> {
    /// `None` if the store is known to hold nothing of it.
    pub(crate) store: Option<&'v mut dyn KvStore>,
    pub(crate) keys: &'v KeySpace,
    pub(crate) changes: &'v Changes,
    pub(crate) lower: Option<&'v mut Lower>,
    /// Most keys that one `get` of the store takes.
    pub(crate) max_keys: usize,
    /// The highest layer that a `get` asks: 0 is the top one.
    pub(crate) first_layer: usize,
}

impl Layers<'_> {
    /// Reads keys.
    ///
    /// # Cost
    /// One `get` for the keys in all layers of the store, or more if these are more keys than a `get`
    /// takes.
    pub(crate) fn get(mut self, keys: &[&[u8]]) -> Result<Vec<Option<Found>>> {
        let in_store = match &mut self.store {
            Some(store)
                if self.keys.layers_below() == 0 && self.first_layer == 0 && keys.len() <= self.max_keys =>
            {
                let values = journal_view::get(&mut **store, self.changes, keys)?;
                let found = |value| Found { value: Cow::Owned(value), layer: 0 };
                values.into_iter().map(|value| value.map(found)).collect()
            }
            Some(store) => {
                let layers = self.first_layer..self.keys.layers_below() + 1;
                get_layered(&mut **store, self.keys, self.changes, layers, self.max_keys, keys)?
            }
            None => keys.iter().map(|_| None).collect(),
        };
        let mut values: Vec<Option<Found>> = in_store;
        let is_layered = self.lower.is_some() || self.keys.layers_below() > 0;
        if is_layered {
            let image_layer = self.keys.layers_below() + 1;
            for (key, found) in keys.iter().zip(&mut values) {
                match found {
                    None => {
                        let below = self.lower.as_mut().map(|lower| lower.get(self.keys, key)).transpose()?;
                        let value = below.flatten().map(Cow::Borrowed);
                        *found = value.map(|value| Found { value, layer: image_layer });
                    }
                    Some(above) => {
                        if is_tombstone(&self.keys.in_layer(above.layer, key), &above.value) {
                            *found = None;
                        }
                    }
                }
            }
        }
        Ok(values)
    }

    /// Scans as [`KvStore::scan`]. An empty answer means that there is nothing more.
    ///
    /// # Cost
    /// One `scan` for each layer of the store. Above an image or another layer, one round more than
    /// the store needs for the page: a layer usually has less than a page, and only an empty answer
    /// tells that this is all.
    pub(crate) fn scan(self, start: &[u8], end: &[u8], max_entries: u32, max_bytes: u32) -> Result<Page> {
        self.scan_all(start, end, max_entries, max_bytes, false)
    }

    /// As [`Layers::scan`], and returns tombstones where nothing above them hides them.
    pub(crate) fn scan_with_tombstones(
        self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Page> {
        self.scan_all(start, end, max_entries, max_bytes, true)
    }

    fn scan_all(
        mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
        tombstones: bool,
    ) -> Result<Page> {
        let is_own = self.keys.inner(start).is_none();
        let (start, end) = (&*self.keys.in_layer(0, start), &*self.keys.in_layer(0, end));
        if is_own || self.lower.is_none() && self.keys.layers_below() == 0 {
            // The volume's own records are in no layer.
            let entries = self.scan_top(start, end, max_entries, max_bytes)?;
            return Ok(Page { entries, below: Vec::new() });
        }
        let (mut start, mut merged, mut bytes) = (start.to_vec(), Page::default(), 0);
        loop {
            let mut runs = self.runs(&start, end, max_entries, max_bytes)?;
            let image_run = self.lower.as_ref().map(|_| runs.len() - 1);
            // Each run covers the keys up to its last one, or the whole range. Only keys that all of
            // them cover are known.
            let known_to = runs.iter().filter_map(|run| run.known_to.clone()).min();
            let before = merged.entries.len();
            merge(&mut runs, image_run, known_to.as_deref(), max_entries as usize, tombstones, &mut merged);
            let next = merged.entries.get(before..).unwrap_or_default();
            bytes += next.iter().map(|entry| entry.key.len() + entry.value.len()).sum::<usize>();
            match known_to {
                // Less than a page is known, or all of it is hidden: go on behind it.
                Some(last) if merged.entries.len() < max_entries as usize && bytes < max_bytes as usize => {
                    start = [&*last, &[0]].concat();
                }
                _ => return Ok(merged),
            }
        }
    }

    /// Scans the top layer, through the journal.
    fn scan_top(&mut self, start: &[u8], end: &[u8], max_entries: u32, max_bytes: u32) -> Result<Vec<Entry>> {
        match &mut self.store {
            Some(store) => {
                Ok(journal_view::scan(&mut **store, self.changes, start, end, max_entries, max_bytes)?)
            }
            None => Ok(Vec::new()),
        }
    }

    /// Returns a run of each layer, from the top one down to the image.
    fn runs(&mut self, start: &[u8], end: &[u8], max_entries: u32, max_bytes: u32) -> Result<Vec<Run>> {
        let top = self.scan_top(start, end, max_entries, max_bytes)?;
        let known_to = top.last().map(|entry| entry.key.clone());
        let mut runs = vec![Run::new(top, known_to)];
        for layer in 1..=self.keys.layers_below() {
            let Some(store) = &mut self.store else { break };
            let (from, to) = self.keys.range_in_layer(layer, start, end);
            let mut page = store.scan(&from, &to, max_entries, max_bytes)?;
            for entry in &mut page {
                let inner = self.keys.inner_of(layer, &entry.key).ok_or(Error::Store(
                    StoreError::Corrupt("a scan gave a key outside of its range".to_owned()),
                ))?;
                let key = self.keys.outer(inner);
                move_value(&entry.key, &key, &mut entry.value);
                entry.key = key;
            }
            let known_to = page.last().map(|entry| entry.key.clone());
            runs.push(Run::new(page, known_to));
        }
        if let Some(lower) = &mut self.lower {
            let (page, cut) = lower.scan(self.keys, start, end, max_entries, max_bytes)?;
            let known_to = page.last().filter(|_| cut).map(|entry| entry.key.clone());
            runs.push(Run::new(page, known_to));
        }
        Ok(runs)
    }
}

/// Makes a value of a layer below one of the top layer. A tombstone stays one.
pub(crate) fn move_value(from: &[u8], to: &[u8], value: &mut [u8]) {
    if from != to {
        move_to(from, to, value);
    }
}

/// Reads keys in all layers of the store: each in the highest layer that has it, tombstones included.
fn get_layered(
    store: &mut dyn KvStore,
    keyspace: &KeySpace,
    changes: &Changes,
    layers: Range<usize>,
    max_keys: usize,
    keys: &[&[u8]],
) -> Result<Vec<Option<Found>>> {
    let mut found: Vec<Option<Found>> = keys.iter().map(|_| None).collect();
    // Key by key, each from above: where a `get` takes few keys, a record of a high layer saves
    // asking the others.
    let pairs = (0..keys.len()).flat_map(|at| layers.clone().map(move |layer| (at, layer)));
    let is_own = |at: usize| keys.get(at).is_some_and(|key| keyspace.inner(key).is_none());
    let mut wanted = pairs.filter(|(at, layer)| *layer == layers.start || !is_own(*at)).peekable();
    let mut most = max_keys.max(1);
    while wanted.peek().is_some() {
        let asked: Vec<(usize, usize)> = wanted
            .by_ref()
            .filter(|(at, _)| found.get(*at).is_some_and(Option::is_none))
            .take(most)
            .collect();
        ask(store, keyspace, changes, keys, &asked, &mut most, &mut found)?;
    }
    Ok(found)
}

/// Asks for records in layers with one `get`, and with smaller ones if the answer would be too large.
fn ask(
    store: &mut dyn KvStore,
    keyspace: &KeySpace,
    changes: &Changes,
    keys: &[&[u8]],
    asked: &[(usize, usize)],
    most: &mut usize,
    found: &mut [Option<Found>],
) -> Result<()> {
    let in_layer = |(at, layer): &(usize, usize)| {
        keys.get(*at).map(|key| keyspace.in_layer(*layer, key)).unwrap_or_default()
    };
    let names: Vec<Cow<'_, [u8]>> = asked.iter().map(in_layer).collect();
    let borrowed: Vec<&[u8]> = names.iter().map(AsRef::as_ref).collect();
    match journal_view::get(store, changes, &borrowed) {
        Ok(values) => {
            for ((at, layer), value) in asked.iter().zip(values) {
                if let (Some(place @ None), Some(value)) = (found.get_mut(*at), value) {
                    *place = Some(Found { value: Cow::Owned(value), layer: *layer });
                }
            }
            Ok(())
        }
        Err(StoreError::TooLarge) if asked.len() > 1 => {
            let (first, rest) = asked.split_at(asked.len() / 2);
            *most = first.len().max(1);
            ask(store, keyspace, changes, keys, first, most, found)?;
            ask(store, keyspace, changes, keys, rest, most, found)
        }
        Err(error) => Err(error.into()),
    }
}

/// Merges ordered runs, up to the key `known_to`, into a page of at most `max_entries`. Of the values
/// of one key, the highest one wins.
fn merge(
    runs: &mut [Run],
    image_run: Option<usize>,
    known_to: Option<&[u8]>,
    max_entries: usize,
    tombstones: bool,
    merged: &mut Page,
) {
    while merged.entries.len() < max_entries {
        let mut least: Option<(&[u8], usize)> = None;
        for (number, run) in runs.iter_mut().enumerate() {
            let Some(entry) = run.entries.peek() else { continue };
            if least.is_none_or(|(key, _)| entry.key.as_slice() < key) {
                least = Some((&entry.key, number));
            }
        }
        let Some((key, from)) = least.filter(|(key, _)| known_to.is_none_or(|last| *key <= last)) else {
            return;
        };
        let key = key.to_vec();
        let mut winner = None;
        for (number, run) in runs.iter_mut().enumerate() {
            if let Some(entry) = run.entries.next_if(|entry| entry.key == key)
                && number == from
            {
                winner = Some(entry);
            }
        }
        if let Some(entry) = winner.filter(|entry| tombstones || !is_tombstone(&entry.key, &entry.value)) {
            merged.entries.push(entry);
            if let Some(image_run) = image_run {
                merged.below.push(from == image_run);
            }
        }
    }
}
