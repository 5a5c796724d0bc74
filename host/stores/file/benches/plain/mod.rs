//! A directory of the operating system that counts calls.

use kvfs_file_store::{Directory, File, IoError, IoKind, Listed, Status};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What was asked of a directory and its files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Creations, removals, writes and cuts.
    pub(crate) calls: u64,
    pub(crate) written_bytes: u64,
    pub(crate) reads: u64,
    pub(crate) read_bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) statuses: u64,
}

impl Counts {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            written_bytes: self.written_bytes - before.written_bytes,
            reads: self.reads - before.reads,
            read_bytes: self.read_bytes - before.read_bytes,
            syncs: self.syncs - before.syncs,
            statuses: self.statuses - before.statuses,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Plain {
    path: PathBuf,
    counts: Arc<Mutex<Counts>>,
}

pub(crate) struct PlainFile {
    file: fs::File,
    counts: Arc<Mutex<Counts>>,
}

fn count(counts: &Mutex<Counts>, change: impl FnOnce(&mut Counts)) {
    change(&mut counts.lock().unwrap_or_else(PoisonError::into_inner));
}

impl Plain {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), counts: Arc::default() }
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_by(&self, name: &str, options: &fs::OpenOptions) -> Result<PlainFile, IoError> {
        let file = options.open(self.path.join(name)).map_err(io_error)?;
        Ok(PlainFile { file, counts: Arc::clone(&self.counts) })
    }
}

impl Directory for Plain {
    type File = PlainFile;

    fn list(&self) -> Result<Vec<Listed>, IoError> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(io_error)? {
            let entry = entry.map_err(io_error)?;
            let is_file = entry.file_type().map_err(io_error)?.is_file();
            listed.extend(entry.file_name().into_string().map(|name| Listed { name, is_file }));
        }
        Ok(listed)
    }

    fn create(&self, name: &str) -> Result<PlainFile, IoError> {
        count(&self.counts, |counts| counts.calls += 1);
        self.open_by(name, fs::OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn open(&self, name: &str) -> Result<PlainFile, IoError> {
        self.open_by(name, fs::OpenOptions::new().read(true))
    }

    fn open_for_writing(&self, name: &str) -> Result<PlainFile, IoError> {
        self.open_by(name, fs::OpenOptions::new().write(true))
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        count(&self.counts, |counts| counts.calls += 1);
        fs::remove_file(self.path.join(name)).map_err(io_error)
    }

    fn sync(&self) -> Result<(), IoError> {
        count(&self.counts, |counts| counts.syncs += 1);
        fs::File::open(&self.path).and_then(|directory| directory.sync_all()).map_err(io_error)
    }

    fn random(&self) -> Result<[u8; 16], IoError> {
        let mut bytes = [0; 16];
        let source = fs::File::open("/dev/urandom");
        source.and_then(|source| source.read_exact_at(&mut bytes, 0)).map_err(io_error)?;
        Ok(bytes)
    }
}

impl File for PlainFile {
    fn status(&self) -> Result<Status, IoError> {
        count(&self.counts, |counts| counts.statuses += 1);
        let metadata = self.file.metadata().map_err(io_error)?;
        Ok(Status { size_bytes: metadata.len(), names: metadata.nlink() })
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(error)),
            }
        }
        bytes.truncate(filled);
        count(&self.counts, |counts| {
            counts.reads += 1;
            counts.read_bytes += filled as u64;
        });
        Ok(bytes)
    }

    fn cut(&self, size_bytes: u64) -> Result<(), IoError> {
        count(&self.counts, |counts| counts.calls += 1);
        let length = self.file.metadata().map_err(io_error)?.len();
        if length > size_bytes { self.file.set_len(size_bytes).map_err(io_error) } else { Ok(()) }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        count(&self.counts, |counts| {
            counts.calls += 1;
            counts.written_bytes += bytes.len() as u64;
        });
        self.file.write_all_at(bytes, offset).map_err(io_error)
    }

    fn sync(&self) -> Result<(), IoError> {
        count(&self.counts, |counts| counts.syncs += 1);
        self.file.sync_data().map_err(io_error)
    }
}

fn io_error(error: io::Error) -> IoError {
    let kind = match error.kind() {
        ErrorKind::NotFound => IoKind::NotFound,
        ErrorKind::AlreadyExists => IoKind::Exists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => IoKind::NoSpace,
        ErrorKind::PermissionDenied => IoKind::Denied,
        _ => IoKind::Other,
    };
    IoError::new(kind, error.to_string())
}
