//! A store in the files of a directory: the one that the provider component `file` keeps, opened
//! natively.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs_contract::{KvStore, ScanBudget, gather};
use kvfs_file_store::{Directory, File, FileReader, IoError, IoKind, Listed, Options, Status, with_remedy};

use crate::contract::poisoned;
use crate::ends::{self, Ends};
use crate::file_names::{resume, whereabouts};
use crate::{Durability, Entry, Guard, Limits, Mutation, OpenError, StoreError, SyncStore};

const LIMITS: Limits = Limits::standard(true);

/// Longest first wait for another opener that was faster; each further one may be twice as long.
const MIN_PAUSE_MICROS: u64 = 200;
const MAX_PAUSE_DOUBLINGS: u32 = 9;

/// A store in a directory of its own. A clone is another handle on the same store.
///
/// A composition with the provider `file` keeps the same directory under `wasmtime run --dir`, so
/// tools of the host read and write its data. There are no locks: openers, in this process or
/// others, take turns, and each apply sees those of all others before it.
///
/// # Durability
///
/// The operating system has a buffered apply when it returns, so the end of the process loses
/// nothing. A process that ends by returning from `main` or by [`std::process::exit`] makes
/// everything durable, and the next opening short.
///
/// # Cost
///
/// At most about 100 MiB of memory, however many keys there are. An apply is one write; a durable
/// one is also an `fsync` and a write of 64 bytes. An apply after another opener's reads what that
/// one appended, or opens the store anew if it did more than that.
#[derive(Clone, Debug)]
pub struct FileStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    inner: Mutex<Inner>,
    _registered: ends::Registered,
}

/// A store in a directory, as it was when it was opened. Reading changes nothing in the directory.
#[derive(Clone)]
pub struct FileStoreReader(Arc<FileReader<StdDirectory>>);

pub(crate) type Inner = kvfs_file_store::FileStore<StdDirectory>;

impl FileStore {
    /// Opens the store in a directory, or makes one. Makes the directory too, if only its last part
    /// is missing. A directory without a store must be empty; files that others add beside a store
    /// later are left alone.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, false)
    }

    /// Opens a store even if it has lost what was durable, as far as its marks tell. It counts as
    /// it is from then on.
    ///
    /// # Errors
    /// As [`FileStore::open`], but for such a loss.
    pub fn accept_loss(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, true)
    }

    fn open_with(path: impl AsRef<Path>, accept_loss: bool) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let options = Options { accept_loss, ..Options::DEFAULT };
        resume(path)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let directory = path.parent().unwrap_or(path).to_path_buf();
                return Err(OpenError::MissingDirectory { path: path.into(), directory });
            }
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(OpenError::io(path, error)),
            Err(_) => Self::check(path)?,
            Ok(()) => {}
        }
        let inner =
            Inner::open_with(directory(path)?, options).map_err(|error| OpenError::of_store(path, error))?;
        let shared = Arc::new_cyclic(|shared| Shared {
            path: path.into(),
            inner: Mutex::new(inner),
            _registered: ends::register(Weak::clone(shared)),
        });
        Ok(Self { shared })
    }

    /// Checks that a directory holds a store or nothing at all, as [`FileStore::open`] requires.
    /// Changes nothing.
    ///
    /// # Errors
    /// [`OpenError::NotAStore`] for a directory of other files and for what is no directory;
    /// otherwise the system's error.
    pub fn check(path: impl AsRef<Path>) -> Result<(), OpenError> {
        check_own(path.as_ref())
    }

    /// Makes everything durable, and leaves less garbage and a short next opening. The store can be
    /// used on.
    ///
    /// # Errors
    /// As a durable [`SyncStore::apply`].
    ///
    /// # Cost
    /// Nothing beside a sync where there is little garbage; otherwise up to eight copies of a
    /// segment.
    pub fn close(&self) -> Result<(), StoreError> {
        self.lock()?.end()
    }

    fn lock(&self) -> Result<MutexGuard<'_, Inner>, StoreError> {
        self.shared.inner.lock().map_err(|_| poisoned("a store in a directory"))
    }
}

impl Ends for Shared {
    fn end(&self, until: Instant) -> Result<(), String> {
        let Some(mut inner) = ends::lock_until(&self.inner, until) else {
            return Err(ends::lament(&self.path, "a call is still busy with it"));
        };
        let stored = inner.end().map_err(|error| ends::lament(&self.path, &error.to_string()));
        std::mem::forget(inner);
        stored
    }
}

impl FileStoreReader {
    /// Opens the store in a directory.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::NoStore`] where there is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, false)
    }

    /// Opens a store even if it has lost what was durable, as far as its marks tell.
    ///
    /// # Errors
    /// As [`FileStoreReader::open`], but for such a loss.
    pub fn accept_loss(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, true)
    }

    fn open_with(path: impl AsRef<Path>, accept_loss: bool) -> Result<Self, OpenError> {
        let path = &whereabouts(path.as_ref());
        let none = || OpenError::NoStore { path: path.into() };
        if !path.exists() {
            return Err(none());
        }
        let options = Options { accept_loss, ..Options::DEFAULT };
        let reader = FileReader::open_with(&directory(path)?, options)
            .map_err(|error| OpenError::of_store(path, error))?;
        reader.map(|reader| Self(Arc::new(reader))).ok_or_else(none)
    }
}

impl std::fmt::Debug for FileStoreReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStoreReader").finish_non_exhaustive()
    }
}

impl SyncStore for FileStore {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        Ok(self.lock()?.get(keys)?.into_iter().map(|value| value.map(Bytes::from)).collect())
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.lock()?.scan(start, end, max_entries, max_bytes).map(shared)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.lock()?.apply(guards, mutations, level)
    }
}

impl SyncStore for FileStoreReader {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        LIMITS.check_get(keys)?;
        gather(keys, |key| Ok(self.0.value(key)?.map(Bytes::from))).map_err(with_remedy)
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut page = ScanBudget::new(max_entries, max_bytes);
        self.0.page(start, end, |entry_bytes| page.take(entry_bytes)).map(shared).map_err(with_remedy)
    }

    fn apply(&self, _: &[Guard<'_>], _: &[Mutation<'_>], _: Durability) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

/// Converts the bytes of a page, so that they are given away without a copy.
fn shared(page: Vec<kvfs_contract::Entry<Vec<u8>>>) -> Vec<Entry> {
    page.into_iter().map(|entry| entry.map(Bytes::from)).collect()
}

/// Refuses a directory that holds other files and no store: its name may be a mistake.
fn check_own(path: &Path) -> Result<(), OpenError> {
    directory(path)?;
    let mut foreign = None;
    for entry in fs::read_dir(path).map_err(|error| OpenError::io(path, error))? {
        let name = entry.map_err(|error| OpenError::io(path, error))?.file_name();
        match name.to_str() {
            Some(name) if kvfs_file_store::is_own_name(name) => return Ok(()),
            // A new disk comes with it.
            Some("lost+found") => {}
            _ => drop(foreign.get_or_insert(name)),
        }
    }
    match foreign {
        None => Ok(()),
        Some(name) => {
            let found = format!("a directory of other files, such as {name:?}");
            Err(OpenError::NotAStore { path: path.into(), found })
        }
    }
}

pub(crate) fn directory(path: &Path) -> Result<StdDirectory, OpenError> {
    if path.is_dir() {
        Ok(StdDirectory(path.into()))
    } else {
        Err(OpenError::NotAStore { path: path.into(), found: "a file, and a directory is asked for".into() })
    }
}

/// A directory of the operating system.
#[derive(Clone, Debug)]
pub(crate) struct StdDirectory(PathBuf);

#[derive(Debug)]
pub(crate) struct StdFile(fs::File);

impl Directory for StdDirectory {
    type File = StdFile;

    fn list(&self) -> Result<Vec<Listed>, IoError> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(io_error)? {
            let entry = entry.map_err(io_error)?;
            // The store has no name that is not Unicode.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_file = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => entry.path().is_file(),
                Ok(kind) => kind.is_file(),
                // The entry was removed meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(io_error(error)),
            };
            listed.push(Listed { name, is_file });
        }
        Ok(listed)
    }

    fn create(&self, name: &str) -> Result<StdFile, IoError> {
        let path = self.0.join(name);
        fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map(StdFile)
            .map_err(io_error)
    }

    fn open(&self, name: &str) -> Result<StdFile, IoError> {
        fs::File::open(self.0.join(name)).map(StdFile).map_err(io_error)
    }

    fn open_for_writing(&self, name: &str) -> Result<StdFile, IoError> {
        fs::OpenOptions::new().write(true).open(self.0.join(name)).map(StdFile).map_err(io_error)
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        fs::remove_file(self.0.join(name)).map_err(io_error)
    }

    fn random(&self) -> Result<[u8; 16], IoError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| IoError::new(IoKind::Other, format!("the system has none: {error}")))?;
        Ok(bytes)
    }

    fn pause(&self, attempts: u32) {
        // The standard library's only source of random numbers: each hasher has keys of its own.
        let random = RandomState::new().build_hasher().finish();
        let most_micros = MIN_PAUSE_MICROS << attempts.min(MAX_PAUSE_DOUBLINGS);
        std::thread::sleep(Duration::from_micros(random % most_micros));
    }

    fn sync(&self) -> Result<(), IoError> {
        // Elsewhere a directory cannot be opened as a file, and the system takes care of names.
        #[cfg(unix)]
        fs::File::open(&self.0).and_then(|directory| directory.sync_all()).map_err(io_error)?;
        Ok(())
    }
}

impl File for StdFile {
    fn status(&self) -> Result<Status, IoError> {
        let metadata = self.0.metadata().map_err(io_error)?;
        Ok(Status { size_bytes: metadata.len(), names: names_of(&metadata) })
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match read_at(&self.0, &mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let mut written = 0;
        while written < bytes.len() {
            match write_at(&self.0, &bytes[written..], offset + written as u64) {
                Ok(0) => return Err(io_error(ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(error)),
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), IoError> {
        self.0.sync_data().map_err(io_error)
    }
}

#[cfg(unix)]
fn names_of(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

/// Elsewhere the standard library does not tell.
#[cfg(not(unix))]
fn names_of(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(unix)]
use std::os::unix::fs::FileExt;

#[cfg(unix)]
fn read_at(file: &fs::File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(bytes, offset)
}

#[cfg(unix)]
fn write_at(file: &fs::File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}

#[cfg(windows)]
use std::os::windows::fs::FileExt;

#[cfg(windows)]
fn read_at(file: &fs::File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &fs::File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}

fn io_error(error: io::Error) -> IoError {
    let kind = match error.kind() {
        ErrorKind::NotFound => IoKind::NotFound,
        ErrorKind::AlreadyExists => IoKind::Exists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => IoKind::NoSpace,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => IoKind::Denied,
        _ => IoKind::Other,
    };
    IoError::new(kind, error.to_string())
}
