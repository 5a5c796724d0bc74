//! A volume's layers, seen as one: those in the store, and the image below.
//!
//! A value above hides the one below, and a tombstone hides that there is one. Only this module
//! knows: to everything else, it is one volume.

use super::cursor::{Asked, Cursor};
use super::journal_view;
use super::known::{Known, Sought};
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

    pub(crate) fn image(&self) -> Image {
        self.image.clone()
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
    /// Returns whether it is the image's.
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
    /// Returns whether the entry at `place` is the image's.
    pub(crate) fn is_below(&self, place: usize) -> bool {
        self.below.get(place).copied().unwrap_or(false)
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
    /// The highest layer that is asked: 0 is the top one.
    pub(crate) first_layer: usize,
    /// Which layers need not be asked, if anything is known of them.
    pub(crate) known: Option<&'v Known>,
}

impl<'v> Layers<'v> {
    /// The layers of a store alone, of which nothing is known, from the top one down.
    pub(crate) fn of_store(
        store: &'v mut dyn KvStore,
        keys: &'v KeySpace,
        changes: &'v Changes,
        max_keys: usize,
    ) -> Self {
        Self { store: Some(store), keys, changes, lower: None, max_keys, first_layer: 0, known: None }
    }
}

impl Layers<'_> {
    /// Reads keys.
    ///
    /// # Cost
    /// One `get` for the keys in all layers of the store that may have them, or more if these are more keys
    /// than a `get` takes.
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
                get_layered(&mut **store, self.keys, self.changes, self.known, layers, self.max_keys, keys)?
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
    /// One `scan` for each layer of the store. Above an image or another layer, one more for each that
    /// has anything in the range: a layer usually has less than a page, and only an empty answer tells
    /// that this is all. Of `n` layers, one that has most of the page takes up to log2(`n`) - 1 more:
    /// each is asked for its share twice over at first, and for more if it has more.
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
        if is_own || self.lower.is_none() && self.keys.layers_below() == 0 {
            let (start, end) = (&*self.keys.in_layer(0, start), &*self.keys.in_layer(0, end));
            // The volume's own records are in no layer.
            let entries = self.scan_top(start, end, max_entries, max_bytes)?;
            return Ok(Page { entries, below: Vec::new() });
        }
        let mut cursor = self.cursor(start, end, max_entries, max_bytes);
        self.page(&mut cursor, tombstones)
    }

    /// Returns where a scan of all layers begins that has pages of so many entries and bytes.
    pub(crate) fn cursor(&self, start: &[u8], end: &[u8], max_entries: u32, max_bytes: u32) -> Cursor {
        let layers = 1 + self.keys.layers_below() + usize::from(self.lower.is_some());
        let sought = self.known.and_then(|known| {
            let sought = known.sought_between(self.keys.inner(start)?, self.keys.inner(end)?)?;
            Some((known, sought))
        });
        let in_store = 1 + self.keys.layers_below();
        let asks: Vec<bool> = (0..layers)
            .map(|layer| {
                let is_known = |(known, sought): (&Known, Sought)| known.may_have(layer, sought);
                layer >= self.first_layer && (layer >= in_store || sought.is_none_or(is_known))
            })
            .collect();
        let (start, end) = (self.keys.in_layer(0, start), self.keys.in_layer(0, end));
        Cursor::new(&asks, &start, &end, max_entries, max_bytes)
    }

    /// Returns the next page, with tombstones where nothing above them hides them, or without. The layers
    /// must be those of the cursor, and as they were.
    pub(crate) fn page(&mut self, cursor: &mut Cursor, tombstones: bool) -> Result<Page> {
        let image_run = self.lower.as_ref().map(|_| 1 + self.keys.layers_below());
        let (mut merged, mut bytes) = (Page::default(), 0);
        while !cursor.is_full(merged.entries.len(), bytes) {
            while let Some(asked) = cursor.lacking() {
                let (entries, next) = self.run(&asked)?;
                cursor.give(&asked, entries, next);
            }
            let Some((entry, layer)) = cursor.next_entry() else { break };
            if tombstones || !is_tombstone(&entry.key, &entry.value) {
                bytes += entry.key.len() + entry.value.len();
                merged.entries.push(entry);
                if image_run.is_some() {
                    merged.below.push(image_run == Some(layer));
                }
            }
        }
        Ok(merged)
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

    /// Returns records of a layer, 0 is the top one and the image comes last, and the key from which it may
    /// have more.
    fn run(&mut self, asked: &Asked) -> Result<(Vec<Entry>, Option<Vec<u8>>)> {
        let Asked { layer, start, end, max_entries, max_bytes } = asked;
        let (layer, max_entries, max_bytes) = (*layer, *max_entries, *max_bytes);
        let behind = |page: &[Entry]| page.last().map(|last| [last.key.as_slice(), &[0]].concat());
        if layer == 0 {
            let page = self.scan_top(start, end, max_entries, max_bytes)?;
            let next = behind(&page);
            return Ok((page, next));
        }
        if layer > self.keys.layers_below() {
            let Some(lower) = &mut self.lower else { return Ok(Default::default()) };
            let (page, cut) = lower.scan(self.keys, start, end, max_entries, max_bytes)?;
            let next = behind(&page).filter(|_| cut);
            return Ok((page, next));
        }
        let Some(store) = &mut self.store else { return Ok(Default::default()) };
        let (from, to) = self.keys.range_in_layer(layer, start, end);
        let mut page = store.scan(&from, &to, max_entries, max_bytes)?;
        let mut key = Vec::new();
        for entry in &mut page {
            let inner = self.keys.inner_of(layer, &entry.key);
            let inner = inner.ok_or(Error::Store(StoreError::Corrupt(
                "a scan gave a key outside of its range".to_owned(),
            )))?;
            key.clear();
            self.keys.outer_into(inner, &mut key);
            move_value(&entry.key, &key, &mut entry.value);
            // The next key is built in the memory of this one.
            std::mem::swap(&mut entry.key, &mut key);
        }
        let next = behind(&page);
        Ok((page, next))
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
    known: Option<&Known>,
    layers: Range<usize>,
    max_keys: usize,
    keys: &[&[u8]],
) -> Result<Vec<Option<Found>>> {
    let mut found: Vec<Option<Found>> = keys.iter().map(|_| None).collect();
    let sought: Vec<Option<Sought>> = keys
        .iter()
        .map(|key| keyspace.inner(key).map(|inner| known.map_or(Sought::ANY, |known| known.sought(inner))))
        .collect();
    // Key by key, each from above: where a `get` takes few keys, a record of a high layer saves
    // asking the others.
    let pairs = (0..keys.len()).flat_map(|at| layers.clone().map(move |layer| (at, layer)));
    // The volume's own records are in no layer, and are asked for once.
    let may_have = |at: usize, layer: usize| match (sought.get(at), known) {
        (Some(Some(sought)), Some(known)) => known.may_have(layer, *sought),
        (sought, _) => layer == layers.start || sought.is_some_and(Option::is_some),
    };
    let mut wanted = pairs.filter(|(at, layer)| may_have(*at, *layer)).peekable();
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
