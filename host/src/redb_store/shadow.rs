//! A file that is only read, under a database that believes it writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use redb::StorageBackend;
use redb::backends::FileBackend;

/// Bytes that are shadowed together when one of them is written.
const PAGE_BYTES: usize = 4096;

/// Start of redb's lock bytes that stand for something other than data. A writer holds an exclusive
/// lock on everything before it, and a reader a shared one.
const LOCKS_START: u64 = 1 << 62;

/// Reads a file and keeps writes in memory. So redb can recover a database that was not closed in
/// order, and not a byte of the file changes.
///
/// The file is locked as long as this lives: writers wait or are refused, other readers are not.
/// Recovery writes a few pages for each gigabyte of the file.
#[derive(Debug)]
pub(super) struct Shadow {
    file: FileBackend,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// Pages by number.
    pages: BTreeMap<u64, Box<[u8; PAGE_BYTES]>>,
}

impl Shadow {
    /// Takes a file that was opened for reading; `None` if a writer has it open.
    pub(super) fn new(file: File) -> std::result::Result<Option<Self>, redb::DatabaseError> {
        let len = file.metadata()?.len();
        let file = FileBackend::new(file)?;
        match file.try_lock_shared_range(Bound::Included(0), Bound::Excluded(LOCKS_START)) {
            Ok(true) | Err(redb::BackendError::Unsupported) => {}
            Ok(false) => return Ok(None),
            Err(redb::BackendError::Io(error)) => return Err(error.into()),
            Err(other) => return Err(Error::other(format!("{other:?}")).into()),
        }
        Ok(Some(Self { file, written: Mutex::new(Written { len, pages: BTreeMap::new() }) }))
    }

    fn written(&self) -> Result<MutexGuard<'_, Written>> {
        self.written.lock().map_err(|_| Error::other("a thread panicked in the middle of a write"))
    }

    /// Returns a page of the file, with zeros behind the file's end.
    fn page(&self, number: u64) -> Result<Box<[u8; PAGE_BYTES]>> {
        let mut page = Box::new([0; PAGE_BYTES]);
        let start = number * PAGE_BYTES as u64;
        let there = self.file.len()?.saturating_sub(start).min(PAGE_BYTES as u64);
        // At most a page's length, which fits.
        if let Some(there) = page.get_mut(..there as usize).filter(|there| !there.is_empty()) {
            self.file.read(start, there)?;
        }
        Ok(page)
    }
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

impl StorageBackend for Shadow {
    fn len(&self) -> Result<u64> {
        Ok(self.written()?.len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let written = self.written()?;
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > written.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for (number, within, done, bytes) in pieces(offset, out.len()) {
            let Some(out) = out.get_mut(done..done + bytes) else { continue };
            match written.pages.get(&number) {
                Some(page) => out.copy_from_slice(&page[within..within + bytes]),
                None => out.copy_from_slice(&self.page(number)?[within..within + bytes]),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut written = self.written()?;
        // Bytes cut off now must read as zeros when the file grows again.
        let old = std::mem::replace(&mut written.len, len);
        let mut at = len;
        while at < old {
            let (number, within) = (at / PAGE_BYTES as u64, (at % PAGE_BYTES as u64) as usize);
            let mut page = match written.pages.remove(&number) {
                Some(page) => page,
                None => self.page(number)?,
            };
            page[within..].fill(0);
            written.pages.insert(number, page);
            at = (number + 1) * PAGE_BYTES as u64;
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut written = self.written()?;
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > written.len) {
            return Err(ErrorKind::InvalidInput.into());
        }
        for (number, within, done, bytes) in pieces(offset, data.len()) {
            let Some(data) = data.get(done..done + bytes) else { continue };
            let mut page = match written.pages.remove(&number) {
                Some(page) => page,
                None => self.page(number)?,
            };
            page[within..within + bytes].copy_from_slice(data);
            written.pages.insert(number, page);
        }
        Ok(())
    }

    fn close(&self) -> Result<()> {
        self.file.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_seen_and_the_file_is_not_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let old: Vec<u8> = (0..10_000u32).map(|at| at as u8).collect();
        std::fs::write(&path, &old).unwrap();
        let shadow = Shadow::new(File::open(&path).unwrap()).unwrap().unwrap();
        let mut model = old.clone();
        let read_all = |model: &[u8]| {
            let mut out = vec![0; model.len()];
            shadow.read(0, &mut out).unwrap();
            assert!(out == model);
        };
        read_all(&model);
        for (at, bytes) in [(4000, 200), (0, 1), (8191, 2), (9999, 1), (100, 9000)] {
            let data = vec![at as u8 ^ 0x5A; bytes];
            shadow.write(at as u64, &data).unwrap();
            model[at..at + bytes].copy_from_slice(&data);
            read_all(&model);
        }
        for len in [12_000, 5000, 20_000, 0, 9000] {
            shadow.set_len(len as u64).unwrap();
            model.resize(len, 0);
            assert_eq!(shadow.len().unwrap(), len as u64);
            read_all(&model);
        }
        assert!(shadow.read(8999, &mut [0; 2]).is_err() && shadow.write(u64::MAX, &[0; 2]).is_err());
        assert!(std::fs::read(&path).unwrap() == old);
    }
}
