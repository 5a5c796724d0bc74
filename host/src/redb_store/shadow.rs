//! A file that is only read, under a database that believes it writes.

use std::fs::File;
use std::io::{Error, Result};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::pages::Pages;

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
    pages: Mutex<Pages>,
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
        Ok(Some(Self { file, pages: Mutex::new(Pages::new(len)) }))
    }

    fn pages(&self) -> Result<MutexGuard<'_, Pages>> {
        self.pages.lock().map_err(|_| Error::other("a thread panicked in the middle of a write"))
    }
}

/// Returns whether a program has a redb file open.
///
/// # Errors
/// The system's.
pub(crate) fn is_locked(path: &Path) -> Result<bool> {
    let file = FileBackend::new(File::options().read(true).write(true).open(path)?).map_err(Error::other)?;
    match file.try_lock_range(Bound::Included(0), Bound::Excluded(LOCKS_START)) {
        Ok(is_free) => {
            file.close()?;
            Ok(!is_free)
        }
        // Nobody can tell.
        Err(redb::BackendError::Unsupported) => Ok(false),
        Err(redb::BackendError::Io(error)) => Err(error),
        Err(other) => Err(Error::other(format!("{other:?}"))),
    }
}

impl StorageBackend for Shadow {
    fn len(&self) -> Result<u64> {
        Ok(self.pages()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.pages()?.read(&self.file, offset, out)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.pages()?.set_len(&self.file, len)
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.pages()?.write(&self.file, offset, data)
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
