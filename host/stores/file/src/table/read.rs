//! An open table.

use super::block::{Block, Cursor, Malformed};
use super::cache::{Cache, Opening};
use super::error::TableError;
use super::filter::{KeyHash, PAGE_BYTES, STORED_PAGE_BYTES, page_hash};
use super::footer::{FOOTER_BYTES, Footer, is_below};
use super::place::{Child, Place};
use super::seed::seed;
use crate::directory::File;
use std::sync::Arc;
use xxhash_rust::xxh64::xxh64;

/// An open table: its root in memory, the other blocks through the cache.
#[derive(Debug)]
pub(crate) struct Table<F> {
    file: F,
    number: u64,
    size_bytes: u64,
    pub(super) footer: Footer,
    digest: u64,
    root: Arc<Block>,
    opening: Opening,
    pub(super) cache: Arc<Cache>,
}

/// Whether blocks that are read go into the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    Keep,
    /// Blocks that are there are used, but others do not push them out. For reading all of a table.
    Pass,
}

impl<F: File> Table<F> {
    /// Opens a table. Two reads: the footer and the root, at most 147 KiB.
    ///
    /// Other blocks are checked when they are read.
    pub(crate) fn open(file: F, number: u64, cache: &Arc<Cache>) -> Result<Self, TableError> {
        let io = |source| TableError::Io { number, source };
        let size_bytes = file.status().map_err(io)?.size_bytes;
        let at = size_bytes.saturating_sub(FOOTER_BYTES as u64);
        let bytes = file.read(at, FOOTER_BYTES).map_err(io)?;
        let (footer, digest) = Footer::read(&bytes, number, size_bytes)?;
        let root = read_block(&file, number, footer.root, footer.levels - 1)?;
        let root = Arc::new(root);
        let (opening, cache) = (cache.opening(), Arc::clone(cache));
        Ok(Self { file, number, size_bytes, footer, digest, root, opening, cache })
    }

    /// Returns the number in its name.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the number that stands for all of its bytes, as [`Built`](super::Built) has it.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the number of entries, tombstones included.
    pub(crate) fn entries(&self) -> u64 {
        self.footer.entries
    }

    pub(crate) fn file(&self) -> &F {
        &self.file
    }

    /// As [`Self::find`].
    #[cfg(test)]
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Place>, TableError> {
        self.find(key, KeyHash::of(key))
    }

    /// Returns what the table says of a key with this hash; `None` if it says nothing.
    ///
    /// # Cost
    ///
    /// One block of each level below the root, and before them, if the table has a filter, one page
    /// of it, which alone answers for nearly all keys that the table does not have. They are read
    /// from the cache or from the file.
    pub(crate) fn find(&self, key: &[u8], hash: KeyHash) -> Result<Option<Place>, TableError> {
        if !self.may_have(hash)? {
            return Ok(None);
        }
        let mut block = Arc::clone(&self.root);
        let mut at = self.footer.root.offset;
        while block.level() > 0 {
            let child = block.child(key).map_err(|_| self.malformed(at))?;
            block = self.block(child, at, block.level() - 1, Caching::Keep)?;
            at = child.offset;
        }
        block.place(key).map_err(|_| self.malformed(at))
    }

    /// Asks the filter.
    fn may_have(&self, hash: KeyHash) -> Result<bool, TableError> {
        let Footer { filter_pages, root, .. } = self.footer;
        let page_at = || self.footer.page_at(hash.page(filter_pages), self.size_bytes);
        let Some(at) = (filter_pages > 0).then(page_at).flatten() else { return Ok(true) };
        let page = match self.cache.get(self.opening, at) {
            Some(page) => page,
            None => {
                let io = |source| TableError::Io { number: self.number, source };
                let mut bytes = self.file.read(at, STORED_PAGE_BYTES).map_err(io)?;
                let stored = bytes.split_off(bytes.len().min(PAGE_BYTES));
                let expected = page_hash(&bytes, self.number, at, root.hash);
                if stored != expected.to_le_bytes() {
                    let why = "a page of its filter has another checksum";
                    return Err(TableError::Damaged { number: self.number, at, why });
                }
                let page = Arc::new(Block::of_filter(bytes));
                self.cache.insert(self.opening, at, &page);
                page
            }
        };
        Ok(hash.may_be_in(page.bytes(), filter_pages))
    }

    /// Returns the entries with `start <= key < end` in order; an empty `end` is the end of the
    /// table. After an error there is nothing more.
    pub(crate) fn range<'a>(&'a self, start: &'a [u8], end: &'a [u8], caching: Caching) -> Range<'a, F> {
        Range { table: self, start, end, caching, stack: Vec::new(), state: Walk::Begin }
    }

    /// Returns a block whose parent lies at `parent_at`.
    fn block(
        &self,
        block: Child,
        parent_at: u64,
        level: u32,
        caching: Caching,
    ) -> Result<Arc<Block>, TableError> {
        if let Some(found) = self.cache.get(self.opening, block.offset) {
            // Two parents may claim one block in a table that somebody made up.
            return if found.level() == level { Ok(found) } else { Err(self.malformed(parent_at)) };
        }
        // A child lies in front of its parent, so there is no way round in circles.
        if !is_below(block, parent_at) {
            return Err(self.malformed(parent_at));
        }
        let read = Arc::new(read_block(&self.file, self.number, block, level)?);
        // A walk must find a key in each, or many parents of one block keep it for ever.
        if read.is_empty() {
            return Err(self.malformed(block.offset));
        }
        if caching == Caching::Keep {
            self.cache.insert(self.opening, block.offset, &read);
        }
        Ok(read)
    }

    fn malformed(&self, at: u64) -> TableError {
        TableError::Damaged { number: self.number, at, why: "its block does not follow the format" }
    }
}

fn read_block<F: File>(file: &F, number: u64, block: Child, level: u32) -> Result<Block, TableError> {
    let Child { offset: at, length, hash } = block;
    let damaged = |why| TableError::Damaged { number, at, why };
    let bytes = file.read(at, length as usize).map_err(|source| TableError::Io { number, source })?;
    if bytes.len() != length as usize || xxh64(&bytes, seed(number, at)) != hash {
        return Err(damaged("its block has another checksum"));
    }
    match Block::new(bytes) {
        Ok(block) if block.level() == level => Ok(block),
        Ok(_) | Err(Malformed) => Err(damaged("its block does not follow the format")),
    }
}

/// The entries of a range.
#[derive(Debug)]
pub(crate) struct Range<'a, F> {
    table: &'a Table<F>,
    start: &'a [u8],
    end: &'a [u8],
    caching: Caching,
    /// The blocks from the root to the current one of places.
    stack: Vec<Step>,
    state: Walk,
}

#[derive(Debug, PartialEq, Eq)]
enum Walk {
    Begin,
    /// Keys that follow must be greater than this one.
    After(Option<Vec<u8>>),
    End,
}

#[derive(Debug)]
struct Step {
    block: Arc<Block>,
    at: u64,
    cursor: Cursor,
    /// A child that was read too early, in search of the one before.
    early: Option<Child>,
}

impl<F: File> Iterator for Range<'_, F> {
    type Item = Result<(Vec<u8>, Place), TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.find().transpose()?;
        if found.is_err() {
            self.state = Walk::End;
        }
        Some(found)
    }
}

impl<F: File> Range<'_, F> {
    fn find(&mut self) -> Result<Option<(Vec<u8>, Place)>, TableError> {
        if self.state == Walk::Begin {
            self.state = Walk::After(None);
            self.descend_to_start()?;
        }
        loop {
            let (Walk::After(last), Some(step)) = (&mut self.state, self.stack.last_mut()) else {
                return Ok(None);
            };
            let at = step.at;
            if step.block.level() > 0 {
                let child = match step.early.take() {
                    Some(child) => Some(child),
                    None => step.cursor.child(&step.block).map_err(|_| self.table.malformed(at))?,
                };
                let level = step.block.level();
                let Some(child) = child else {
                    self.stack.pop();
                    continue;
                };
                let block = self.table.block(child, at, level - 1, self.caching)?;
                self.stack.push(Step { block, at: child.offset, cursor: Cursor::first(), early: None });
                continue;
            }
            let Some(place) = step.cursor.place(&step.block).map_err(|_| self.table.malformed(at))? else {
                self.stack.pop();
                continue;
            };
            let key = &step.cursor.key;
            // Keys out of order would keep a caller that goes on behind the last one for ever, and
            // this walk, if they are before the start.
            if last.as_ref().is_some_and(|last| last >= key) {
                return Err(self.table.malformed(at));
            }
            last.get_or_insert_default().clone_from(key);
            if key.as_slice() < self.start {
                continue;
            }
            if !self.end.is_empty() && key.as_slice() >= self.end {
                self.state = Walk::End;
                return Ok(None);
            }
            return Ok(Some((key.clone(), place)));
        }
    }

    /// Goes down to the block of places where the range starts.
    fn descend_to_start(&mut self) -> Result<(), TableError> {
        let table = self.table;
        let (mut block, mut at) = (Arc::clone(&table.root), table.footer.root.offset);
        loop {
            let malformed = |_| table.malformed(at);
            let mut cursor = Cursor::before(&block, self.start).map_err(malformed)?;
            if block.level() == 0 {
                self.stack.push(Step { block, at, cursor, early: None });
                return Ok(());
            }
            let (mut found, mut early) = (None, None);
            while let Some(child) = cursor.child(&block).map_err(malformed)? {
                if found.is_some() && cursor.key.as_slice() > self.start {
                    early = Some(child);
                    break;
                }
                found = Some(child);
            }
            let child = found.ok_or_else(|| table.malformed(at))?;
            let level = block.level() - 1;
            self.stack.push(Step { block, at, cursor, early });
            block = table.block(child, at, level, self.caching)?;
            at = child.offset;
        }
    }
}
