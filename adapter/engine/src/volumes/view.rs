//! A volume's records as they are now, read without opening it.

use super::stored::StoredVolume;
use crate::attempts::busy;
use crate::backing::overlay::{Found, Layers, Lower, sealing_key};
use crate::error::{Error, Result};
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::opening::checks::check_image;
use crate::store::{Entry, KvStore};
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::stored::layer_name::LayerName;
use crate::stored::record::RecordId;
use crate::stored::record::dentry::{self, is_storable_name};
use crate::stored::record::inode::Inode;
use crate::stored::record::journal::Changes;
use crate::stored::record::{is_tombstone, unseal};
use crate::types::{Dentry, ExtentIndex, InodeNo};
use std::collections::BTreeSet;

/// Most records that are read at once.
const MAX_READ_KEYS: usize = 256;

/// The records of a volume, in all its layers.
pub(super) struct View {
    pub(super) volume: StoredVolume,
    /// The keys of its records.
    pub(super) keys: KeySpace,
    lower: Option<Lower>,
    /// It has layers in the store.
    in_store: bool,
    /// There are layers below that are not asked, and that tombstones hide records of.
    is_cut: bool,
    max_keys: usize,
    page_entries: u32,
    page_bytes: u32,
}

impl View {
    /// # Errors
    /// As [`StoredVolume::read`], and [`Error::OtherImage`] for a volume on another image.
    pub(super) fn new(store: &mut dyn KvStore, name: &str, image: Option<&Image>) -> Result<Self> {
        for _ in 0..64 {
            let Some(volume) = StoredVolume::read(store, name)? else { continue };
            volume.check_at_rest()?;
            check_image(&volume.superblock, image.map(Image::id))?;
            let mut keys = volume.keys.clone();
            volume.chain.set_in(&mut keys);
            let limits = store.limits()?;
            return Ok(Self {
                volume,
                keys,
                lower: image.cloned().map(Lower::new),
                in_store: true,
                is_cut: false,
                max_keys: limits.max_batch_entries as usize,
                page_entries: READDIR_PAGE_ENTRIES.min(limits.max_batch_entries),
                page_bytes: READDIR_PAGE_BYTES.min(limits.max_batch_bytes),
            });
        }
        Err(busy())
    }

    /// Returns what lies in these of the volume's layers, from above, and in the image below.
    pub(super) fn in_layers(&self, layers: &[LayerName]) -> Self {
        let mut keys = self.volume.keys.clone();
        if let Some((first, below)) = layers.split_first() {
            keys.set_layers(first, below);
        }
        Self {
            volume: self.volume.clone(),
            keys,
            lower: self.lower.clone(),
            in_store: !layers.is_empty(),
            ..*self
        }
    }

    /// Returns what lies in these of the volume's layers alone, from above, for [`Self::read_all`].
    pub(super) fn only_in(&self, layers: &[LayerName]) -> Self {
        Self { lower: None, is_cut: true, ..self.in_layers(layers) }
    }

    fn layers<'l>(&'l mut self, store: &'l mut dyn KvStore, changes: &'l Changes) -> Layers<'l> {
        let (is_in_store, lower) = (self.in_store, self.lower.as_mut());
        let mut layers = Layers { lower, ..Layers::of_store(store, &self.keys, changes, self.max_keys) };
        layers.store = layers.store.filter(|_| is_in_store);
        layers
    }

    fn get(&mut self, store: &mut dyn KvStore, key: &[u8]) -> Result<Option<Found>> {
        Ok(self.layers(store, &Changes::new()).get(&[key])?.into_iter().next().flatten())
    }

    /// Reads records by their keys, each with whether it is the image's.
    ///
    /// # Cost
    /// A `get` for so many keys as one takes.
    pub(super) fn read_all<T>(
        &mut self,
        store: &mut dyn KvStore,
        keys: &[Vec<u8>],
        mut decode: impl FnMut(usize, &[u8], &[u8]) -> Result<T>,
    ) -> Result<Vec<Option<(T, bool)>>> {
        let mut records = Vec::with_capacity(keys.len());
        for part in keys.chunks(MAX_READ_KEYS) {
            let asked: Vec<&[u8]> = part.iter().map(Vec::as_slice).collect();
            let found = self.layers(store, &Changes::new()).get(&asked)?;
            for (key, found) in part.iter().zip(found) {
                let at = records.len();
                let Some(found) = found else {
                    records.push(None);
                    continue;
                };
                let key = self.sealed_under(&found, key);
                records.push(match self.is_cut && is_tombstone(&key, &found.value) {
                    true => None,
                    false => Some((decode(at, &key, &found.value)?, found.is_below())),
                });
            }
        }
        Ok(records)
    }

    /// Returns for each key whether anything lies under it below the top layer.
    pub(super) fn lies_below_top(&mut self, store: &mut dyn KvStore, keys: &[Vec<u8>]) -> Result<Vec<bool>> {
        let mut found = Vec::with_capacity(keys.len());
        for part in keys.chunks(MAX_READ_KEYS) {
            let asked: Vec<&[u8]> = part.iter().map(Vec::as_slice).collect();
            let changes = Changes::new();
            let layers = Layers { first_layer: 1, ..self.layers(store, &changes) };
            found.extend(layers.get(&asked)?.into_iter().map(|found| found.is_some()));
        }
        Ok(found)
    }

    fn sealed_under<'k>(&self, found: &Found, key: &'k [u8]) -> std::borrow::Cow<'k, [u8]> {
        sealing_key(&self.keys, self.lower.as_ref(), found, key)
    }

    /// Reads an inode; `None` if there is none of this number.
    pub(super) fn inode(&mut self, store: &mut dyn KvStore, ino: InodeNo) -> Result<Option<Inode>> {
        let mut key = Vec::new();
        self.keys.inode(ino, &mut key);
        let Some(found) = self.get(store, &key)? else { return Ok(None) };
        let inline_bytes = self.volume.superblock.inline_bytes;
        Inode::decode(&self.sealed_under(&found, &key), ino, inline_bytes, &found.value).map(Some)
    }

    /// Reads the entry of a name.
    pub(super) fn dentry(
        &mut self,
        store: &mut dyn KvStore,
        dir: InodeNo,
        name: &str,
    ) -> Result<Option<Dentry>> {
        let mut key = Vec::new();
        self.keys.dentry(dir, name, &mut key);
        let Some(found) = self.get(store, &key)? else { return Ok(None) };
        dentry::decode(&self.sealed_under(&found, &key), dir, &found.value).map(Some)
    }

    /// Reads up to `valid` bytes of an extent, without the zeros at their end, of which there may be more
    /// or fewer.
    pub(super) fn extent(
        &mut self,
        store: &mut dyn KvStore,
        ino: InodeNo,
        index: u64,
        valid: u64,
    ) -> Result<Vec<u8>> {
        let mut key = Vec::new();
        self.keys.extent(ino, ExtentIndex(index), &mut key);
        let Some(found) = self.get(store, &key)? else { return Ok(Vec::new()) };
        let id = RecordId { tag: crate::stored::key::tag::EXTENT, name: "extent", ino: ino.0 };
        let mut bytes = unseal(&self.sealed_under(&found, &key), id, &found.value)?.to_vec();
        bytes.truncate(usize::try_from(valid).unwrap_or(usize::MAX));
        bytes.truncate(without_zeros(&bytes).len());
        Ok(bytes)
    }

    /// Adds the indices of a file's extents before `end`.
    pub(super) fn extents(
        &mut self,
        store: &mut dyn KvStore,
        ino: InodeNo,
        end: u64,
        indices: &mut BTreeSet<u64>,
    ) -> Result<()> {
        let (mut start, mut behind) = (Vec::new(), Vec::new());
        self.keys.extent(ino, ExtentIndex(0), &mut start);
        self.keys.extent(ino, ExtentIndex(end), &mut behind);
        self.scan(store, start, &behind, &mut |keys, entry| {
            indices.extend(keys.extent_index(ino, &entry.key));
            Ok(true)
        })
    }

    /// Calls `each` with the names of a directory until it returns false.
    pub(super) fn names(
        &mut self,
        store: &mut dyn KvStore,
        dir: InodeNo,
        each: &mut dyn FnMut(&str, Dentry) -> bool,
    ) -> Result<()> {
        let (start, end) = (self.keys.dentries_from(dir, None), self.keys.dentries_end(dir));
        self.scan(store, start, &end, &mut |keys, entry| {
            let name = keys.dentry_name(dir, &entry.key).filter(|name| is_storable_name(name));
            let name = name.ok_or(Error::damaged("directory entry", dir.0, "malformed key"))?;
            Ok(each(name, dentry::decode(&entry.key, dir, &entry.value)?))
        })
    }

    /// Calls `each` with records of a range, in order, until it returns false.
    pub(super) fn scan(
        &mut self,
        store: &mut dyn KvStore,
        mut start: Vec<u8>,
        end: &[u8],
        each: &mut dyn FnMut(&KeySpace, &Entry) -> Result<bool>,
    ) -> Result<()> {
        let (entries, bytes) = (self.page_entries, self.page_bytes);
        loop {
            let page = self.layers(store, &Changes::new()).scan(&start, end, entries, bytes)?.entries;
            let Some(last) = page.last() else { return Ok(()) };
            start = [last.key.as_slice(), &[0]].concat();
            for entry in &page {
                if !each(&self.keys, entry)? {
                    return Ok(());
                }
            }
        }
    }

    /// Calls `each` with the keys of a range that the `upper` layers of the volume have anything under,
    /// without the layer's name. Tombstones count.
    pub(super) fn keys_of_upper(
        &mut self,
        store: &mut dyn KvStore,
        upper: usize,
        (first, last): (u8, u8),
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut keys = self.volume.keys.clone();
        let below = self.volume.chain.below.get(..upper.saturating_sub(1)).unwrap_or_default();
        keys.set_layers(&self.volume.chain.top, below);
        let (mut start, end) = keys.tags_range(first, last);
        let changes = Changes::new();
        loop {
            let layers = Layers::of_store(store, &keys, &changes, self.max_keys);
            let page = layers.scan_with_tombstones(&start, &end, self.page_entries, self.page_bytes)?.entries;
            let Some(last) = page.last() else { return Ok(()) };
            start = [last.key.as_slice(), &[0]].concat();
            for entry in page {
                each(keys.inner(&entry.key).unwrap_or_default())?;
            }
        }
    }
}

/// Bytes without the zeros at their end.
pub(super) fn without_zeros(bytes: &[u8]) -> &[u8] {
    let kept = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..kept).unwrap_or_default()
}
