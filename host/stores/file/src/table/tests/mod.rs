//! Tables against sorted maps, damaged, and measured.

mod damage;
mod filter;
mod measure;
mod random;

use super::{Built, Cache, Entry, Place, Table, TableError, build};
use crate::directory::{File, IoError, IoKind, Status};
use kvfs_store_rig::Random;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

pub(super) type Places = BTreeMap<Vec<u8>, Place>;

/// A file in memory that counts reads. A clone is the same file.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryFile {
    bytes: Rc<RefCell<Vec<u8>>>,
    reads: Rc<Cell<usize>>,
    longest_write: Rc<Cell<usize>>,
}

impl MemoryFile {
    fn of(bytes: Vec<u8>) -> Self {
        Self { bytes: Rc::new(RefCell::new(bytes)), ..Self::default() }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.borrow().clone()
    }
}

impl File for MemoryFile {
    fn cut(&self, _: u64) -> Result<(), IoError> {
        Err(IoError::new(IoKind::Other, "building a table cuts nothing"))
    }

    fn status(&self) -> Result<Status, IoError> {
        Ok(Status { size_bytes: self.bytes.borrow().len() as u64, names: 1 })
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        self.reads.set(self.reads.get() + 1);
        let bytes = self.bytes.borrow();
        let start = bytes.len().min(offset as usize);
        Ok(bytes[start..(start + length).min(bytes.len())].to_vec())
    }

    fn write(&self, offset: u64, part: &[u8]) -> Result<(), IoError> {
        let mut bytes = self.bytes.borrow_mut();
        if bytes.len() != offset as usize {
            return Err(IoError::new(IoKind::Other, "a table is written from front to back"));
        }
        bytes.extend_from_slice(part);
        self.longest_write.set(self.longest_write.get().max(part.len()));
        Ok(())
    }

    fn sync(&self) -> Result<(), IoError> {
        Err(IoError::new(IoKind::Other, "building a table syncs nothing"))
    }
}

/// Returns entries as a source gives them.
pub(super) fn source<'a>(
    places: impl IntoIterator<Item = (&'a Vec<u8>, &'a Place)>,
) -> impl Iterator<Item = Entry> {
    places.into_iter().map(|(key, place)| Ok((key.clone(), *place)))
}

/// Builds a table.
pub(super) fn built(number: u64, places: &Places) -> (MemoryFile, Built) {
    let file = MemoryFile::default();
    let built = build(&file, number, 0, source(places)).unwrap();
    (file, built)
}

pub(super) fn open(
    file: &MemoryFile,
    number: u64,
    cache_bytes: usize,
) -> Result<Table<MemoryFile>, TableError> {
    Table::open(file.clone(), number, &Cache::new(cache_bytes))
}

/// Returns a place, or a tombstone once in eight times.
pub(super) fn place(random: &mut Random) -> Place {
    if random.chance(8) {
        return Place::Gone;
    }
    let epoch = [3, 4, 5, 1 << 40, u64::MAX][random.below(5) as usize];
    let offset = random.below(1 << 31) << random.below(31);
    Place::At { epoch, offset, length: random.below(1 << 24) as u32 }
}

/// Returns the key of an extent of the file system, of a volume with a name of seven bytes.
pub(super) fn extent_key(inode: u64, index: u64) -> Vec<u8> {
    let mut key = b"\x07default\x20".to_vec();
    key.extend_from_slice(&inode.to_be_bytes());
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// Returns keys of many shapes: long and short, alike and not, the empty one.
pub(super) fn wild_key(random: &mut Random) -> Vec<u8> {
    let length = match random.below(40) {
        0 => 0,
        1 => random.below(3000),
        2 => 65_000 + random.below(536),
        _ => 1 + random.below(24),
    };
    let alphabet = [2, 256][random.below(2) as usize];
    let mut key: Vec<u8> = (0..length.min(48)).map(|_| random.below(alphabet) as u8).collect();
    key.resize(length as usize, 7);
    key
}

pub(super) fn shared_cache(bytes: usize) -> Arc<Cache> {
    Cache::new(bytes)
}
