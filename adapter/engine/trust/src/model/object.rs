//! Files, directories and links of the reference.

use super::cost::Cost;
use kvfs::{Kind, Timestamp};
use std::collections::BTreeMap;
use std::rc::Rc;

pub type Id = u64;
pub const ROOT: Id = 1;

const PAGE: u64 = 256;

/// The bytes of a file. Bytes on no page are zero.
#[derive(Debug, Clone, Default)]
pub struct Bytes {
    pub size: u64,
    pub cost: Cost,
    pages: BTreeMap<u64, Rc<[u8; PAGE as usize]>>,
}

impl Bytes {
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        for (at, byte) in (offset..).zip(data) {
            let page = self.pages.entry(at / PAGE).or_insert_with(|| Rc::new([0; PAGE as usize]));
            Rc::make_mut(page)[(at % PAGE) as usize] = *byte;
        }
        self.size = self.size.max(offset + data.len() as u64);
    }

    pub(super) fn resize(&mut self, size: u64) {
        if size < self.size {
            self.pages.retain(|page, _| *page <= size / PAGE);
            if let Some(page) = self.pages.get_mut(&(size / PAGE)) {
                Rc::make_mut(page)[(size % PAGE) as usize..].fill(0);
            }
        }
        self.size = size;
    }

    pub fn read(&self, offset: u64, length: u64) -> Vec<u8> {
        let end = self.size.min(offset.saturating_add(length));
        let byte = |at: u64| self.pages.get(&(at / PAGE)).map_or(0, |page| page[(at % PAGE) as usize]);
        (offset..end).map(byte).collect()
    }
}

#[derive(Debug, Clone)]
pub enum Content {
    File(Bytes),
    Directory { entries: BTreeMap<String, Id>, parent: Id },
    Symlink(String),
}

#[derive(Debug, Clone)]
pub struct Object {
    pub content: Content,
    /// Whether the object was made or changed above the image, and so is not the image's alone.
    pub above: bool,
    pub nlink: u64,
    pub atime: Timestamp,
    pub mtime: Timestamp,
    pub ctime: Timestamp,
}

impl Object {
    pub fn kind(&self) -> Kind {
        match self.content {
            Content::File(_) => Kind::File,
            Content::Directory { .. } => Kind::Directory,
            Content::Symlink(_) => Kind::Symlink,
        }
    }

    pub fn size(&self) -> u64 {
        match &self.content {
            Content::File(bytes) => bytes.size,
            Content::Directory { entries, .. } => entries.len() as u64,
            Content::Symlink(target) => target.len() as u64,
        }
    }
}
