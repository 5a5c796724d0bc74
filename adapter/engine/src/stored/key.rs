//! The encoding of keys.
//!
//! A key is the length of the volume's name (one byte), the name, a tag, and the fields of the tag.
//! Numbers are big-endian, so that a directory's entries and a file's extents lie in order. Records of
//! a layer have the layer's name in the place of the volume's.

use super::layer_name::LayerName;
pub(crate) use super::tag;
use crate::types::{ExtentIndex, InodeNo};
use std::borrow::Cow;

/// Builds the keys of one volume.
#[derive(Debug, Clone)]
pub(crate) struct KeySpace {
    /// The start of the keys of the volume's own records: superblock, settings, journal.
    head: Vec<u8>,
    /// Kept because every commit needs it.
    superblock: Vec<u8>,
    /// The start of the keys of all other records, in the volume's top layer. The same as `head` in a
    /// volume that has no layers.
    prefix: Vec<u8>,
    /// The same of the layers below, from above.
    below: Vec<Vec<u8>>,
    /// The same of layers that were the top one before. Keys that were built then are still in use.
    former: Vec<Vec<u8>>,
}

/// Most former top layers whose keys are known: no key is in use for as long.
const MAX_FORMER: usize = 64;

impl KeySpace {
    /// Makes the keys of `volume`, which has at most 255 bytes: opening checks that. Its records lie
    /// under its name.
    pub(crate) fn new(volume: &str) -> Self {
        let head = LayerName::named(volume).prefix();
        let mut superblock = head.clone();
        superblock.push(tag::SUPERBLOCK);
        Self { prefix: head.clone(), head, superblock, below: Vec::new(), former: Vec::new() }
    }

    /// Puts the records into these layers, from the top one down.
    pub(crate) fn set_layers(&mut self, top: &LayerName, below: &[LayerName]) {
        let before = std::mem::replace(&mut self.prefix, top.prefix());
        if before != self.prefix {
            if self.former.len() >= MAX_FORMER {
                self.former.remove(0);
            }
            self.former.push(before);
        }
        self.below = below.iter().map(LayerName::prefix).collect();
    }

    /// The layer under the volume's name.
    pub(crate) fn own_layer(&self) -> LayerName {
        LayerName::of_prefix(&self.head).unwrap_or(LayerName::Named(String::new()))
    }

    /// The number of layers in the store below the top one.
    pub(crate) fn layers_below(&self) -> usize {
        self.below.len()
    }

    /// Returns whether the volume's own records and all others have the same start.
    pub(crate) fn is_under_its_name(&self) -> bool {
        self.head == self.prefix
    }

    /// Returns the key under which a layer has the record of `key`: the top layer is 0. A layer that
    /// is not there counts as the top one. A key of the volume's own records stays as it is.
    pub(crate) fn in_layer<'k>(&self, layer: usize, key: &'k [u8]) -> Cow<'k, [u8]> {
        let prefix = layer.checked_sub(1).and_then(|at| self.below.get(at)).unwrap_or(&self.prefix);
        match self.inner(key) {
            Some(inner) if !key.starts_with(prefix) => Cow::Owned([prefix.as_slice(), inner].concat()),
            _ => Cow::Borrowed(key),
        }
    }

    /// Returns the range of keys of a layer below that has the records between two keys of the top
    /// layer. The end of a range may lie behind all keys of the top layer.
    pub(crate) fn range_in_layer(&self, layer: usize, start: &[u8], end: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut last = self.in_layer(layer, &self.prefix).into_owned();
        if let Some(byte) = last.last_mut() {
            // A layer's name ends in a byte of UTF-8 or of its number, which is never the highest.
            *byte = byte.saturating_add(1);
        }
        let end = if self.inner(end).is_some() { self.in_layer(layer, end).into_owned() } else { last };
        (self.in_layer(layer, start).into_owned(), end)
    }

    fn start(&self, tag: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        out.push(tag);
    }

    fn start_own(&self, tag: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.push(tag);
    }

    pub(crate) fn superblock(&self) -> &[u8] {
        &self.superblock
    }

    /// Returns the key of the settings.
    pub(crate) fn settings(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.head.len() + 1);
        self.start_own(tag::SETTINGS, &mut key);
        key
    }

    pub(crate) fn inode(&self, ino: InodeNo, out: &mut Vec<u8>) {
        self.start(tag::INODE, out);
        out.extend_from_slice(&ino.0.to_be_bytes());
    }

    pub(crate) fn dentry(&self, dir: InodeNo, name: &str, out: &mut Vec<u8>) {
        self.start(tag::DENTRY, out);
        out.extend_from_slice(&dir.0.to_be_bytes());
        out.extend_from_slice(name.as_bytes());
    }

    pub(crate) fn extent(&self, ino: InodeNo, index: ExtentIndex, out: &mut Vec<u8>) {
        self.start(tag::EXTENT, out);
        out.extend_from_slice(&ino.0.to_be_bytes());
        out.extend_from_slice(&index.0.to_be_bytes());
    }

    pub(crate) fn reap(&self, ino: InodeNo, out: &mut Vec<u8>) {
        self.start(tag::REAP, out);
        out.extend_from_slice(&ino.0.to_be_bytes());
    }

    pub(crate) fn orphan(&self, ino: InodeNo, out: &mut Vec<u8>) {
        self.start(tag::ORPHAN, out);
        out.extend_from_slice(&ino.0.to_be_bytes());
    }

    /// Builds the key of a journal's commit record, which lies before its parts.
    pub(crate) fn journal_commit(&self, out: &mut Vec<u8>) {
        self.start_own(tag::JOURNAL, out);
    }

    pub(crate) fn journal_part(&self, index: u64, out: &mut Vec<u8>) {
        self.start_own(tag::JOURNAL, out);
        out.extend_from_slice(&index.to_be_bytes());
    }

    /// The range of a journal's parts.
    pub(crate) fn journal_parts(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut start, mut end) = (Vec::new(), Vec::new());
        self.start_own(tag::JOURNAL, &mut start);
        start.push(0);
        self.start_own(tag::JOURNAL + 1, &mut end);
        (start, end)
    }

    /// Returns a key without the name of its layer, if it is one of the volume's top layer, or of one
    /// that was.
    pub(crate) fn inner<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        key.strip_prefix(self.prefix.as_slice()).or_else(|| self.inner_of_former(key))
    }

    /// Returns a key of a layer, whichever it is, without the name of that layer.
    pub(crate) fn inner_of_any(key: &[u8]) -> Option<&[u8]> {
        let (length, rest) = key.split_first()?;
        rest.get(usize::from(*length)..)
    }

    fn inner_of_former<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let inner = self.former.iter().find_map(|prefix| key.strip_prefix(prefix.as_slice()))?;
        // The volume's own records are not in any layer, though they may have the same start.
        inner.first().is_some_and(|tag| *tag > tag::LAYER).then_some(inner)
    }

    /// As [`KeySpace::inner`], for a key of a layer below.
    pub(crate) fn inner_of<'k>(&self, layer: usize, key: &'k [u8]) -> Option<&'k [u8]> {
        match layer.checked_sub(1) {
            None => self.inner(key),
            Some(at) => key.strip_prefix(self.below.get(at)?.as_slice()),
        }
    }

    /// Splits a key of the volume's own records into its tag and the bytes behind it.
    pub(crate) fn split_own<'k>(&self, key: &'k [u8]) -> Option<(u8, &'k [u8])> {
        let (tag, rest) = key.strip_prefix(self.head.as_slice())?.split_first()?;
        Some((*tag, rest))
    }

    /// Returns a key of this volume from what [`KeySpace::inner`] returned.
    pub(crate) fn outer(&self, inner: &[u8]) -> Vec<u8> {
        [&self.prefix, inner].concat()
    }

    /// As [`KeySpace::outer`], appended to `out`.
    pub(crate) fn outer_into(&self, inner: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(inner);
    }

    /// Returns the start of a directory's entries; with `after`, of those behind that name.
    pub(crate) fn dentries_from(&self, dir: InodeNo, after: Option<&str>) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix.len() + 10 + after.map_or(0, str::len));
        self.dentry(dir, after.unwrap_or(""), &mut key);
        if after.is_some() {
            key.push(0); // The next key in order.
        }
        key
    }

    /// Returns the end of a directory's entries. The last inode number is never given out.
    pub(crate) fn dentries_end(&self, dir: InodeNo) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix.len() + 9);
        self.dentry(InodeNo(dir.0.saturating_add(1)), "", &mut key);
        key
    }

    /// The range of all records with tags from one to another, inclusive.
    pub(crate) fn tags_range(&self, first: u8, last: u8) -> (Vec<u8>, Vec<u8>) {
        let (mut start, mut end) = (Vec::new(), Vec::new());
        self.start(first, &mut start);
        self.start(last.saturating_add(1), &mut end);
        (start, end)
    }

    /// The range of all reap and orphan records, which an opener reads.
    pub(crate) fn pending_range(&self) -> (Vec<u8>, Vec<u8>) {
        self.tags_range(tag::REAP, tag::ORPHAN)
    }

    /// The range of all keys that start with the volume's name, of any form.
    pub(crate) fn volume_range(&self) -> (Vec<u8>, Vec<u8>) {
        range_of(&self.head)
    }

    /// The ranges of the volume's records: its own, and those of its top layer, of any form. One
    /// range if both lie under one name.
    pub(crate) fn record_ranges(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        if self.is_under_its_name() {
            return vec![self.volume_range()];
        }
        let (mut own_end, mut start) = (Vec::new(), Vec::new());
        self.start_own(tag::LAYER, &mut own_end);
        self.start(tag::GARBAGE, &mut start);
        vec![(self.head.clone(), own_end), (start, range_of(&self.prefix).1)]
    }

    /// Splits a key of this volume into its tag and the bytes behind it.
    pub(crate) fn split<'k>(&self, key: &'k [u8]) -> Option<(u8, &'k [u8])> {
        let (tag, rest) = self.inner(key)?.split_first()?;
        Some((*tag, rest))
    }

    /// Splits a key of this volume, be it one of its own records or of its top layer.
    pub(crate) fn split_any<'k>(&self, key: &'k [u8]) -> Option<(u8, &'k [u8])> {
        self.split(key).or_else(|| self.split_own(key))
    }

    /// Returns the index in the key of an extent of `ino`.
    pub(crate) fn extent_index(&self, ino: InodeNo, key: &[u8]) -> Option<u64> {
        match self.split(key)? {
            (tag::EXTENT, rest) => {
                let index = rest.strip_prefix(&ino.0.to_be_bytes())?;
                Some(u64::from_be_bytes(index.try_into().ok()?))
            }
            _ => None,
        }
    }

    /// Returns the name in the key of an entry of `dir`, if it is valid UTF-8.
    pub(crate) fn dentry_name<'k>(&self, dir: InodeNo, key: &'k [u8]) -> Option<&'k str> {
        match self.split(key)? {
            (tag::DENTRY, rest) => std::str::from_utf8(rest.strip_prefix(&dir.0.to_be_bytes())?).ok(),
            _ => None,
        }
    }
}

/// The range of all keys with a prefix.
pub(crate) fn range_of(prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut end = prefix.to_vec();
    // The last byte is one of UTF-8 or of a layer's number, or the length of an empty name: never the
    // highest one.
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    (prefix.to_vec(), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_directory_lie_between_its_bounds_and_no_others_do() {
        let keys = KeySpace::new("v");
        for dir in [1, 255, 256, u64::MAX - 1] {
            let (start, end) = (keys.dentries_from(InodeNo(dir), None), keys.dentries_end(InodeNo(dir)));
            for (other, name) in [(dir, "a"), (dir, "\u{10FFFF}"), (dir - 1, "z"), (dir + 1, "a")] {
                let mut key = Vec::new();
                keys.dentry(InodeNo(other), name, &mut key);
                assert_eq!(start <= key && key < end, other == dir, "{dir} {other} {name}");
            }
        }
    }

    #[test]
    fn names_of_volumes_do_not_run_into_each_other() {
        let (a, ab) = (KeySpace::new("a"), KeySpace::new("ab"));
        assert_eq!(ab.split(a.superblock()), None);
        assert_eq!(a.split(ab.superblock()), None);
    }

    #[test]
    fn a_volume_s_range_holds_every_key_that_starts_as_its_own_do() {
        for volume in ["v", "\u{10FFFF}"] {
            let keys = KeySpace::new(volume);
            let (start, end) = keys.volume_range();
            let length = u8::try_from(volume.len()).unwrap();
            let prefix = [&[length], volume.as_bytes()].concat();
            for tail in [&[][..], &[0], &[0xff], &[0xff; 9]] {
                let key = [&prefix, tail].concat();
                assert!(start <= key && key < end, "{key:?}");
            }
        }
    }

    #[test]
    fn a_scan_goes_on_behind_a_name_and_before_its_longer_neighbours() {
        let keys = KeySpace::new("v");
        let next = keys.dentries_from(InodeNo(1), Some("a"));
        let (mut same, mut longer) = (Vec::new(), Vec::new());
        keys.dentry(InodeNo(1), "a", &mut same);
        keys.dentry(InodeNo(1), "a\u{1}", &mut longer);
        assert!(same < next && next < longer);
    }
}
