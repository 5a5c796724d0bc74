//! A store over the image below.
//!
//! A value above hides the one below, and a tombstone hides that there is one. Only this module
//! knows: to everything else, it is one volume.

use super::journal_view;
use crate::error::Result;
use crate::store::{Entry, KvStore};
use crate::stored::image::Image;
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::journal::Changes;
use crate::stored::record::{Value, is_tombstone};
use crate::types::ImageId;
use std::borrow::Cow;
use std::cmp::Ordering;

/// The image below a volume.
#[derive(Debug, Clone)]
pub(crate) struct Lower {
    image: Image,
    keys: KeySpace,
}

impl Lower {
    pub(crate) fn new(image: Image, keys: KeySpace) -> Self {
        Self { image, keys }
    }

    pub(crate) fn id(&self) -> &ImageId {
        self.image.id()
    }

    /// Returns the value of a key. The superblock is never found: each volume has its own.
    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<&'static [u8]>> {
        match self.keys.inner(key) {
            None | Some([] | [tag::SUPERBLOCK, ..]) => Ok(None),
            Some(inner) => self.image.get(inner),
        }
    }

    /// Scans as [`KvStore::scan`], over keys of this volume. The answer ends with the range, unless
    /// the flag says that the limits cut it short.
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

/// Reads keys from a store and the image below. `store` is `None` if it is known to hold nothing.
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
    /// For each entry, whether it is the image's. Empty if there is no image.
    below: Vec<bool>,
}

impl Page {
    /// Whether the entry at `place` is the image's.
    pub(crate) fn is_below(&self, place: usize) -> bool {
        self.below.get(place).copied().unwrap_or(false)
    }
}

/// Scans as [`KvStore::scan`], over a store and the image below. `store` is `None` if it is known
/// to hold nothing. An empty answer means that there is nothing more.
///
/// # Cost
/// Above an image, one call more than the store needs for the page. The store usually has less than
/// a page, and only an empty answer tells that this is all.
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
        // Each answer covers the keys up to its last one. An empty one covers the whole range, and
        // so does one from below that was not cut. Only keys that both cover are known.
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
            // Less than a page is known, or all of it is hidden: go on behind it.
            Some(last) if merged.entries.len() < max_entries as usize && bytes < max_bytes as usize => {
                start = [&*last, &[0]].concat();
            }
            _ => return Ok(merged),
        }
    }
}

/// Merges two ordered runs, up to the key `known_to`, into a page of at most `max_entries`. Of two
/// values of one key, the one above wins.
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

/// The layers of a volume, for one read.
pub(crate) struct Layers<'v> {
    /// `None` if the store is known to hold nothing of it.
    pub(super) store: Option<&'v mut dyn KvStore>,
    pub(super) changes: &'v Changes,
    pub(super) lower: Option<&'v mut Lower>,
}

impl Layers<'_> {
    pub(crate) fn get(self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        get(self.store, self.changes, self.lower, keys)
    }

    pub(crate) fn scan(self, start: &[u8], end: &[u8], max_entries: u32, max_bytes: u32) -> Result<Page> {
        scan(self.store, self.changes, self.lower, start, end, max_entries, max_bytes)
    }
}
