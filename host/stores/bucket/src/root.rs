//! The root: the value that a commit sets.
//!
//! ```text
//! log         changes since the tree was written, in their order
//! garbage     extents of pages that nothing refers to, 28 bytes each
//! leftovers   pages from which on an opener who is gone may have written some, 24 bytes each
//! tail        87 bytes: magic, version, generation, next page, tree, lengths of the above, spilled garbage
//! checksum    8 bytes, of the opener and all of the above
//! ```
//!
//! The tail is at the end, so that the older part of the log is not hashed again.

use crate::names::{EXTENT_BYTES, Extent, Opener, PAGE_ID_BYTES, PageId};
use crate::node::{Change, read_change};
use crate::tree::Tree;
use crate::wire::{Read, SUM_BYTES, Sum, Write};

/// Most bytes of changes in a root. A commit sets half of it on average, and one in many rewrites
/// the tree.
pub(crate) const LOG_BYTES: usize = 24 << 10;

/// Most extents of garbage in a root; more go into pages of their own.
pub(crate) const ROOT_EXTENTS: usize = 512;

/// Most past openers in a row that are not yet cleaned up after.
pub(crate) const MAX_LEFTOVERS: usize = 64;

/// Most levels of a tree of [`NODE_BYTES`](crate::node::NODE_BYTES) nodes.
const MAX_HEIGHT: u8 = 32;

const MAGIC: &[u8; 8] = b"kvfs-bkt";
const VERSION: u8 = 1;
const TAIL_BYTES: usize = 8 + 1 + 8 + 8 + (2 + PAGE_ID_BYTES) + 4 + 2 + 2 + EXTENT_BYTES;

/// The contents of a root beside its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Root {
    /// Numbers the roots of an opener, and picks their slots.
    pub(crate) generation: u64,
    /// The number of the opener's next page.
    pub(crate) next: u64,
    pub(crate) tree: Option<Tree>,
    /// Pages to remove, without those listed in `spilled`.
    pub(crate) garbage: Vec<Extent>,
    /// Pages that list garbage. They are garbage themselves once that is removed.
    pub(crate) spilled: Option<Extent>,
    pub(crate) leftovers: Vec<PageId>,
}

/// The changes since the tree was written, as a root holds them.
pub(crate) struct Log {
    bytes: Vec<u8>,
    sum: Sum,
    opener: Opener,
}

impl Log {
    pub(crate) fn new(opener: Opener) -> Self {
        Self { bytes: Vec::new(), sum: new_sum(opener), opener }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the root with changes appended to the log, and the appended part for
    /// [`Log::append`].
    pub(crate) fn with(&mut self, changes: &[u8], root: &Root) -> (Vec<u8>, Appended) {
        let mut sum = self.sum.clone();
        sum.add(changes);
        let log_bytes = self.bytes.len() + changes.len();
        let rest = root.rest(log_bytes);
        let mut value = Vec::with_capacity(log_bytes + rest.len() + SUM_BYTES);
        value.extend_from_slice(&self.bytes);
        value.extend_from_slice(changes);
        value.extend_from_slice(&rest);
        let mut whole = sum.clone();
        whole.add(&rest);
        value.extend_from_slice(&whole.finish());
        (value, Appended { changes: changes.to_vec(), sum: Some(sum) })
    }

    /// Returns a root whose log is empty.
    pub(crate) fn without(&self, root: &Root) -> (Vec<u8>, Appended) {
        let mut value = root.rest(0);
        let mut sum = new_sum(self.opener);
        sum.add(&value);
        value.extend_from_slice(&sum.finish());
        (value, Appended { changes: Vec::new(), sum: None })
    }

    /// Brings the log to its state in a root that was set.
    pub(crate) fn append(&mut self, appended: Appended) {
        match appended.sum {
            Some(sum) => {
                self.bytes.extend_from_slice(&appended.changes);
                self.sum = sum;
            }
            None => {
                self.bytes.clear();
                self.sum = new_sum(self.opener);
            }
        }
    }
}

/// The effect on the log of a root that is being set: it grows, or becomes empty.
pub(crate) struct Appended {
    changes: Vec<u8>,
    sum: Option<Sum>,
}

impl Appended {
    /// Returns whether the log becomes empty, because all changes are in the tree.
    pub(crate) fn empties(&self) -> bool {
        self.sum.is_none()
    }
}

impl Root {
    /// Returns the bytes behind the log, without the checksum.
    fn rest(&self, log_bytes: usize) -> Vec<u8> {
        let lists = self.garbage.len() * EXTENT_BYTES + self.leftovers.len() * PAGE_ID_BYTES;
        let mut out = Vec::with_capacity(lists + TAIL_BYTES + SUM_BYTES);
        self.garbage.iter().for_each(|extent| extent.write(&mut out));
        self.leftovers.iter().for_each(|page| page.write(&mut out));
        out.extend_from_slice(MAGIC);
        out.u8(VERSION);
        out.u64(self.generation);
        out.u64(self.next);
        let (there, tree) = match self.tree {
            Some(tree) => (1, tree),
            None => (0, Tree { page: NO_PAGE, height: 0 }),
        };
        out.u8(there);
        out.u8(tree.height);
        tree.page.write(&mut out);
        out.u32(log_bytes as u32);
        out.u16(self.garbage.len() as u16);
        out.u16(self.leftovers.len() as u16);
        self.spilled.unwrap_or(Extent { first: NO_PAGE, count: 0 }).write(&mut out);
        out
    }

    /// Reads a root of an opener and its changes; `None` if it is not whole.
    pub(crate) fn read(opener: Opener, value: &[u8]) -> Option<(Self, Vec<Change>)> {
        let (bytes, stored) = value.split_last_chunk::<SUM_BYTES>()?;
        let mut sum = new_sum(opener);
        sum.add(bytes);
        if sum.finish() != *stored {
            return None;
        }
        let mut head = Read(bytes);
        let lists_end = bytes.len().checked_sub(TAIL_BYTES)?;
        let mut lists = Read(head.bytes(lists_end)?);
        let mut tail = head;
        if tail.bytes(MAGIC.len())? != MAGIC || tail.u8()? != VERSION {
            return None;
        }
        let mut root = Self { generation: tail.u64()?, next: tail.u64()?, ..Self::default() };
        let (there, height, page) = (tail.u8()?, tail.u8()?, PageId::read(&mut tail)?);
        root.tree = (there == 1).then_some(Tree { page, height });
        let (log_bytes, garbage, leftovers) = (tail.u32()?, tail.u16()?, tail.u16()?);
        root.spilled = Some(Extent::read(&mut tail)?).filter(|extent| extent.count > 0);
        let mut log = Read(lists.bytes(log_bytes as usize)?);
        for _ in 0..garbage {
            root.garbage.push(Extent::read(&mut lists)?);
        }
        for _ in 0..leftovers {
            root.leftovers.push(PageId::read(&mut lists)?);
        }
        let mut changes = Vec::new();
        while !log.0.is_empty() {
            changes.push(read_change(&mut log)?);
        }
        (there <= 1 && height <= MAX_HEIGHT && lists.0.is_empty()).then_some((root, changes))
    }
}

const NO_PAGE: PageId = PageId { opener: Opener { epoch: 0, tag: 0 }, number: 0 };

fn new_sum(opener: Opener) -> Sum {
    Sum::new(&format!("kvfs.root.{:x}.{:x}", opener.epoch, opener.tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Value, write_change};

    #[test]
    fn a_root_is_read_as_written_and_no_byte_may_differ() {
        let opener = Opener { epoch: 3, tag: 9 };
        let page = PageId { opener, number: 7 };
        let root = Root {
            generation: 5,
            next: 8,
            tree: Some(Tree { page, height: 2 }),
            garbage: vec![Extent { first: page, count: 3 }],
            spilled: Some(Extent { first: page, count: 1 }),
            leftovers: vec![page, page],
        };
        let mut log = Log::new(opener);
        let mut all = Vec::new();
        for key in [b"a", b"b"] {
            let value = Some(Value::Inline(b"1".to_vec()));
            let mut bytes = Vec::new();
            write_change(&mut bytes, key, value.as_ref());
            all.push((key.to_vec(), value));
            let (value, appended) = log.with(&bytes, &root);
            assert_eq!(Root::read(opener, &value), Some((root.clone(), all.clone())));
            log.append(appended);
        }
        let (value, appended) = log.without(&Root::default());
        assert_eq!(Root::read(opener, &value), Some((Root::default(), Vec::new())));
        log.append(appended);
        assert_eq!(log.len(), 0);
        let (value, _) = log.with(b"", &root);
        assert_eq!(Root::read(Opener { epoch: 4, ..opener }, &value), None);
        for at in 0..value.len() {
            let mut other = value.clone();
            other[at] ^= 0x20;
            assert_eq!(Root::read(opener, &other), None);
            assert_eq!(Root::read(opener, &value[..at]), None);
        }
    }
}
