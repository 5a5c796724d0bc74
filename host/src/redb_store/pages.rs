//! Changes of a file that lie in memory, in front of it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Result};

use redb::StorageBackend;
use redb::backends::FileBackend;

/// Bytes that are kept together when one of them is written.
const PAGE_BYTES: usize = 4096;

type Page = Box<[u8; PAGE_BYTES]>;

/// The pages of a file that were written since, and its length.
#[derive(Debug)]
pub(super) struct Pages {
    len: u64,
    /// By number.
    written: BTreeMap<u64, Page>,
}

impl Pages {
    /// Takes the length of the file.
    pub(super) fn new(len: u64) -> Self {
        Self { len, written: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, file: &FileBackend, offset: u64, out: &mut [u8]) -> Result<()> {
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > self.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for (number, within, done, bytes) in pieces(offset, out.len()) {
            let Some(out) = out.get_mut(done..done + bytes) else { continue };
            match self.written.get(&number) {
                Some(page) => out.copy_from_slice(&page[within..within + bytes]),
                None => out.copy_from_slice(&page(file, number)?[within..within + bytes]),
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, file: &FileBackend, offset: u64, data: &[u8]) -> Result<()> {
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > self.len) {
            return Err(ErrorKind::InvalidInput.into());
        }
        for (number, within, done, bytes) in pieces(offset, data.len()) {
            let Some(data) = data.get(done..done + bytes) else { continue };
            let mut page = self.take(file, number)?;
            page[within..within + bytes].copy_from_slice(data);
            self.written.insert(number, page);
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, file: &FileBackend, len: u64) -> Result<()> {
        // Bytes cut off now must read as zeros when the file grows again.
        let old = std::mem::replace(&mut self.len, len);
        let mut at = len;
        while at < old {
            let (number, within) = (at / PAGE_BYTES as u64, (at % PAGE_BYTES as u64) as usize);
            let mut page = self.take(file, number)?;
            page[within..].fill(0);
            self.written.insert(number, page);
            at = (number + 1) * PAGE_BYTES as u64;
        }
        Ok(())
    }

    fn take(&mut self, file: &FileBackend, number: u64) -> Result<Page> {
        self.written.remove(&number).map_or_else(|| page(file, number), Ok)
    }
}

/// Returns a page of the file, with zeros behind the file's end.
fn page(file: &FileBackend, number: u64) -> Result<Page> {
    let mut page = Box::new([0; PAGE_BYTES]);
    let start = number * PAGE_BYTES as u64;
    let there = file.len()?.saturating_sub(start).min(PAGE_BYTES as u64);
    // At most a page's length, which fits.
    if let Some(there) = page.get_mut(..there as usize).filter(|there| !there.is_empty()) {
        file.read(start, there)?;
    }
    Ok(page)
}

/// The pages that `[offset, offset + length)` touches: number, start in the page, start in the
/// range, and bytes.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE_BYTES as u64) as usize;
        let bytes = (PAGE_BYTES - within).min(length - done);
        let piece = (at / PAGE_BYTES as u64, within, done, bytes);
        done += bytes;
        (bytes > 0).then_some(piece)
    })
}
