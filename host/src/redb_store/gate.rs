//! A file whose writes wait until it is known that the database on it may be opened.

use std::fs::{File, OpenOptions};
use std::io::{Error, Result};
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::pages::Pages;

/// A file under a database that is being opened. redb writes while it opens a file: it recovers one
/// that was not closed in order, and may give up its newest state for an older one. These writes
/// stay in memory until [`Gate::release`] makes them, in their order and with their syncs. From then
/// on the file is written as any other. Dropped before, not a byte of it has changed.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Gated>);

#[derive(Debug)]
struct Gated {
    file: FileBackend,
    is_released: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    pages: Pages,
    calls: Vec<Call>,
}

/// A call that waits.
#[derive(Debug)]
enum Call {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl Gate {
    /// Opens a file for reading and writing; makes it if it is missing.
    pub(super) fn open(path: &Path) -> std::result::Result<Self, redb::DatabaseError> {
        let file: File = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let pages = Pages::new(file.metadata()?.len());
        Ok(Self(Arc::new(Gated {
            file: FileBackend::new(file)?,
            is_released: AtomicBool::new(false),
            held: Mutex::new(Held { pages, calls: Vec::new() }),
        })))
    }

    /// Makes the writes that wait, and lets all later ones through.
    ///
    /// # Errors
    /// The system's. The file is then as after a crash in the middle of these writes.
    pub(super) fn release(&self) -> Result<()> {
        let mut held = self.held()?;
        for call in held.calls.drain(..) {
            match call {
                Call::Write(offset, data) => self.0.file.write(offset, &data)?,
                Call::SetLen(len) => self.0.file.set_len(len)?,
                Call::Sync => self.0.file.sync_data()?,
            }
        }
        held.pages = Pages::new(0);
        // Under the lock, which a call that came before waits for.
        self.0.is_released.store(true, Ordering::Release);
        Ok(())
    }

    fn held(&self) -> Result<MutexGuard<'_, Held>> {
        self.0.held.lock().map_err(|_| Error::other("a thread panicked in the middle of a write"))
    }

    /// Returns what is held back; `None` once the gate is released.
    fn holds(&self) -> Result<Option<MutexGuard<'_, Held>>> {
        if self.0.is_released.load(Ordering::Acquire) {
            return Ok(None);
        }
        let held = self.held()?;
        Ok((!self.0.is_released.load(Ordering::Acquire)).then_some(held))
    }
}

impl StorageBackend for Gate {
    fn len(&self) -> Result<u64> {
        match self.holds()? {
            Some(held) => Ok(held.pages.len()),
            None => self.0.file.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        match self.holds()? {
            Some(held) => held.pages.read(&self.0.file, offset, out),
            None => self.0.file.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        match self.holds()? {
            Some(mut held) => {
                held.calls.push(Call::SetLen(len));
                held.pages.set_len(&self.0.file, len)
            }
            None => self.0.file.set_len(len),
        }
    }

    fn sync_data(&self) -> Result<()> {
        match self.holds()? {
            Some(mut held) => {
                held.calls.push(Call::Sync);
                Ok(())
            }
            None => self.0.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        match self.holds()? {
            Some(mut held) => {
                held.calls.push(Call::Write(offset, data.to_vec()));
                held.pages.write(&self.0.file, offset, data)
            }
            None => self.0.file.write(offset, data),
        }
    }

    fn close(&self) -> Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> std::result::Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> std::result::Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_wait_for_the_release_and_are_seen_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        let gate = Gate::open(&path).unwrap();
        let read = |gate: &Gate| {
            let mut bytes = vec![0; StorageBackend::len(gate).unwrap() as usize];
            gate.read(0, &mut bytes).unwrap();
            bytes
        };
        gate.write(2, b"ab").unwrap();
        gate.sync_data().unwrap();
        gate.set_len(6).unwrap();
        gate.set_len(8).unwrap();
        gate.write(7, b"z").unwrap();
        assert_eq!(read(&gate), b"01ab45\0z");
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
        let dropped = Gate::open(&path).unwrap();
        dropped.write(0, b"never").unwrap();
        drop(dropped);
        gate.release().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"01ab45\0z");
        gate.write(0, b"x").unwrap();
        assert_eq!(read(&gate), b"x1ab45\0z");
        assert_eq!(std::fs::read(&path).unwrap(), b"x1ab45\0z");
    }
}
