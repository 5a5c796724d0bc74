//! Writes a table from keys in ascending order, in bounded memory.

use super::block::{BlockBuilder, MAX_KEY_BYTES, shared_bytes};
use super::error::TableError;
use super::filter::{FilterBuilder, page_hash};
use super::footer::Footer;
use super::place::{Child, Place};
use super::seed::seed;
use crate::directory::File;
use xxhash_rust::xxh64::xxh64;

/// Bytes written at once.
const WRITE_BYTES: usize = 64 << 10;

/// A table in the making. It holds one block of each level, up to 64 KiB that are not written, and
/// its filter.
///
/// Nothing is synced. A file that is not finished is no table.
#[derive(Debug)]
pub(crate) struct TableBuilder<F> {
    file: F,
    number: u64,
    written: u64,
    pending: Vec<u8>,
    /// The blocks in the making, those of places first.
    levels: Vec<BlockBuilder>,
    /// The separator of the block of places in the making: its keys are not below it, and the keys
    /// before are.
    separator: Vec<u8>,
    last_key: Option<Vec<u8>>,
    entries: u64,
    tombstones: u64,
    filter: Option<FilterBuilder>,
    /// What is behind the entries, once all of them are there.
    ending: Option<Ending>,
}

/// The end of a table in the making.
#[derive(Debug)]
struct Ending {
    root: Child,
    /// How many pages of the filter are there.
    pages: u32,
}

/// A table that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    pub(crate) size_bytes: u64,
    /// Stands for all of the table's bytes.
    pub(crate) digest: u64,
    pub(crate) entries: u64,
    /// How many of the entries are tombstones.
    pub(crate) tombstones: u64,
}

impl<F: File> TableBuilder<F> {
    /// Begins a table in an empty file, with a filter for up to so many keys unless they are too
    /// many.
    pub(crate) fn new(file: F, number: u64, max_filtered_keys: u64) -> Self {
        Self {
            file,
            number,
            written: 0,
            pending: Vec::new(),
            levels: vec![BlockBuilder::default()],
            separator: Vec::new(),
            last_key: None,
            entries: 0,
            tombstones: 0,
            filter: FilterBuilder::new(max_filtered_keys),
            ending: None,
        }
    }

    /// Adds a key, which must be greater than all before.
    ///
    /// # Errors
    ///
    /// [`TableError::Damaged`] if it is not, since keys in disorder come from damaged tables.
    pub(crate) fn push(&mut self, key: &[u8], place: Place) -> Result<(), TableError> {
        let damaged = |why| TableError::Damaged { number: self.number, at: self.written, why };
        if key.len() > MAX_KEY_BYTES {
            return Err(damaged("a key that it is to have is too long"));
        }
        if self.last_key.as_ref().is_some_and(|last| **last >= *key) {
            return Err(damaged("the keys that it is to have are not in order"));
        }
        let places = &mut self.levels[0];
        let last = self.last_key.get_or_insert_default();
        if places.is_empty() && self.entries > 0 {
            // The shortest key between the two.
            let shared = shared_bytes(last, key);
            self.separator.clear();
            self.separator.extend_from_slice(&key[..key.len().min(shared + 1)]);
        }
        places.push_place(key, place);
        if let Some(filter) = &mut self.filter {
            filter.add(key);
        }
        last.clear();
        last.extend_from_slice(key);
        self.entries += 1;
        self.tombstones += u64::from(place == Place::Gone);
        if places.is_full_of_places() {
            self.close(0)?;
        }
        Ok(())
    }

    /// Goes on to write what is behind the entries, up to so many pages of the filter. Once it returns
    /// the table, the file is one. No entry may be added after the first call.
    pub(crate) fn end_some(&mut self, max_pages: u32) -> Result<Option<Built>, TableError> {
        let Ending { root, pages: begin } = match self.ending.take() {
            Some(ending) => ending,
            None => self.close_all()?,
        };
        let pages = self.pages();
        let until = pages.min(begin.saturating_add(max_pages));
        for number in begin..until {
            let end = self.end();
            let Some(page) = self.filter.as_ref().and_then(|filter| filter.page(number)) else { break };
            self.pending.extend_from_slice(page);
            self.pending.extend_from_slice(&page_hash(page, self.number, end, root.hash).to_le_bytes());
            if self.pending.len() >= WRITE_BYTES {
                self.flush()?;
            }
        }
        if until < pages {
            self.ending = Some(Ending { root, pages: until });
            return Ok(None);
        }
        let footer = Footer {
            levels: self.levels.len() as u32,
            entries: self.entries,
            tombstones: self.tombstones,
            root,
            filter_pages: pages,
        };
        let (bytes, digest) = footer.to_bytes(self.number, self.end());
        self.pending.extend_from_slice(&bytes);
        self.flush()?;
        let Footer { entries, tombstones, .. } = footer;
        Ok(Some(Built { size_bytes: self.written, digest, entries, tombstones }))
    }

    /// Returns the pages of its filter.
    pub(crate) fn pages(&self) -> u32 {
        self.filter.as_ref().map_or(0, FilterBuilder::pages)
    }

    /// Returns the file.
    pub(crate) fn into_file(self) -> F {
        self.file
    }

    /// Closes the blocks of all levels.
    fn close_all(&mut self) -> Result<Ending, TableError> {
        let mut level = 0;
        // The last level has the root: no block of it was closed.
        while level + 1 < self.levels.len() {
            if !self.levels[level].is_empty() {
                self.close(level)?;
            }
            level += 1;
        }
        let (_, block) = self.levels[level].finish(level as u32);
        let root = self.write_block(&block)?;
        if self.levels.len() == 1 {
            // Whoever has the root has the keys of a table without other blocks.
            self.filter = None;
        }
        Ok(Ending { root, pages: 0 })
    }

    /// Closes the block of a level, and those above that it fills.
    fn close(&mut self, mut level: usize) -> Result<(), TableError> {
        loop {
            let (first, block) = self.levels[level].finish(level as u32);
            let child = self.write_block(&block)?;
            if self.levels.len() == level + 1 {
                self.levels.push(BlockBuilder::default());
            }
            let separator = if level == 0 { &self.separator } else { &first };
            level += 1;
            self.levels[level].push_child(separator, child);
            if !self.levels[level].is_full_of_children() {
                return Ok(());
            }
        }
    }

    fn write_block(&mut self, block: &[u8]) -> Result<Child, TableError> {
        let offset = self.end();
        let hash = xxh64(block, seed(self.number, offset));
        self.pending.extend_from_slice(block);
        if self.pending.len() >= WRITE_BYTES {
            self.flush()?;
        }
        // A block's bytes are bounded far below the end of the type.
        Ok(Child { offset, length: block.len() as u32, hash })
    }

    fn end(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    fn flush(&mut self) -> Result<(), TableError> {
        let written = self.file.write(self.written, &self.pending);
        written.map_err(|source| TableError::Io { number: self.number, source })?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

/// Writes a table of entries that are in ascending order of their keys, with a filter for up to so
/// many.
///
/// # Errors
///
/// The first error of the entries, or as [`TableBuilder::push`]. The file is no table then.
pub(crate) fn build<F: File>(
    file: &F,
    number: u64,
    max_filtered_keys: u64,
    entries: impl Iterator<Item = Result<(Vec<u8>, Place), TableError>>,
) -> Result<Built, TableError> {
    let mut builder = TableBuilder::new(file, number, max_filtered_keys);
    for entry in entries {
        let (key, place) = entry?;
        builder.push(&key, place)?;
    }
    loop {
        if let Some(built) = builder.end_some(u32::MAX)? {
            return Ok(built);
        }
    }
}
