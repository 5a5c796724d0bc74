//! A store in the files of a directory: the one that the provider component `file` keeps, opened
//! natively.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use bytes::Bytes;
use kvfs_contract::{KvStore, ScanBudget, gather};
use kvfs_file_store::{FileReader, Options, with_remedy};

use crate::alone::{Alone, Behind};
use crate::contract::poisoned;
use crate::ends::{self, Ends};
use crate::file_names::{resume, whereabouts};
use crate::gate::Gate;
use crate::std_directory::{StdDirectory, directory};
use crate::{Durability, Entry, Guard, Limits, Mutation, OpenError, StoreError, SyncStore};

const LIMITS: Limits = Limits::standard(true);

/// The right to a store in a directory: for one opener alone, or for all that open it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreAccess {
    /// Openers take turns. The system has each buffered apply when it returns, so that the next
    /// opener sees it.
    #[default]
    Together,
    /// The opener has the store until another one opens it, which ends this one: its next change,
    /// and every later call, is [`StoreError::Unavailable`]. Meanwhile buffered applies are
    /// gathered in memory. A store at a distance is had so unless told otherwise, and is lost only to an
    /// opener of the same volume.
    Alone,
}

/// Options for opening a [`FileStore`].
///
/// ```
/// # fn main() -> Result<(), kvfs_host::OpenError> {
/// use kvfs_host::{FileOptions, StoreAccess};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("state");
/// let store = FileOptions::new().access(StoreAccess::Alone).open(path)?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FileOptions {
    access: StoreAccess,
    accept_loss: bool,
}

impl FileOptions {
    /// Opens together with others, and no store that has lost anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens alone, or together with others.
    pub fn access(self, access: StoreAccess) -> Self {
        Self { access, ..self }
    }

    /// Opens a store even if it has lost what was durable, as far as its marks tell. It counts as
    /// it is from then on.
    pub fn accept_loss(self, accept_loss: bool) -> Self {
        Self { accept_loss, ..self }
    }

    /// Opens the store in a directory, or makes one: see [`FileStore::open`].
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<FileStore, OpenError> {
        FileStore::open_with(path.as_ref(), self)
    }
}

/// A store in a directory of its own. A clone is another handle on the same store.
///
/// A composition with the provider `file` keeps the same directory under `wasmtime run --dir`, so
/// tools of the host read and write its data. There are no locks: openers, in this process or
/// others, take turns, and each call sees the applies of all others before it.
///
/// # Durability
///
/// Opened together with others, as it is unless told ([`StoreAccess::Together`]): the operating system
/// has a buffered apply when it returns, so the end of the process loses nothing.
///
/// Opened alone ([`StoreAccess::Alone`]): a buffered apply is in this process's memory, as in a
/// [`RedbStore`](crate::RedbStore). If the process is killed, the machine stops or another program
/// opens the store, what was buffered since the last commit is lost: a suffix after the last
/// durable apply. Commits happen at a durable apply, at [`FileStore::close`], when
/// [`MAX_BUFFERED_BYTES`](crate::MAX_BUFFERED_BYTES) are waiting or the oldest change has waited for
/// [`MAX_BUFFERED_AGE`](crate::MAX_BUFFERED_AGE) (checked at each apply), when the disk has little
/// room, and when the last handle is dropped. Each commit is one record, so that no apply is there
/// in part. If the last one fails without [`FileStore::close`], one line on standard error says so.
///
/// A process that ends by returning from `main` or by [`std::process::exit`] makes everything
/// durable, and the next opening short.
///
/// # Cost
///
/// At most about 100 MiB of memory, however many keys there are. Together, an apply is one write;
/// alone, a buffered one touches memory only, and looks whether another opener has come. A durable
/// one is also an `fsync` and a write of 64 bytes. An apply after another opener's reads what that
/// one appended, or opens the store anew if it did more than that. Together, each call that reads
/// looks at the status of a file, and behind another opener of two, and reads what that one appended.
#[derive(Clone, Debug)]
pub struct FileStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    inner: Mutex<Opened>,
    gate: Gate,
    _registered: ends::Registered,
}

#[derive(Debug)]
enum Opened {
    Together(Inner),
    Alone(Alone<Inner>),
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
        FileOptions::new().open(path)
    }

    /// Opens a store even if it has lost what was durable, as far as its marks tell. It counts as
    /// it is from then on.
    ///
    /// # Errors
    /// As [`FileStore::open`], but for such a loss.
    pub fn accept_loss(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        FileOptions::new().accept_loss(true).open(path)
    }

    fn open_with(path: &Path, options: FileOptions) -> Result<Self, OpenError> {
        let FileOptions { access, accept_loss } = options;
        let options = Options { accept_loss, alone: access == StoreAccess::Alone, ..Options::DEFAULT };
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
        let opened = match access {
            StoreAccess::Together => Opened::Together(inner),
            StoreAccess::Alone => Opened::Alone(Alone::new(inner, path.into())),
        };
        let shared = Arc::new_cyclic(|shared| Shared {
            path: path.into(),
            inner: Mutex::new(opened),
            gate: Gate::default(),
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

    fn lock(&self) -> Result<MutexGuard<'_, Opened>, StoreError> {
        self.shared.inner.lock().map_err(|_| poisoned("a store in a directory"))
    }
}

impl Opened {
    fn end(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Together(store) => store.end(),
            Self::Alone(store) => {
                store.flush()?;
                store.behind().end()
            }
        }
    }
}

/// The store in the directory, as the front reaches it.
impl Behind for Inner {
    fn value(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(Inner::value(self, key).map_err(with_remedy)?.map(Bytes::from))
    }

    fn page(&mut self, start: &[u8], end: &[u8], mut budget: ScanBudget) -> Result<Vec<Entry>, StoreError> {
        Inner::page(self, start, end, |entry_bytes| budget.take(entry_bytes)).map(shared).map_err(with_remedy)
    }

    fn change(&mut self, mutations: &[Mutation<'_>], level: Durability) -> Result<(), StoreError> {
        Inner::change(self, &[], mutations, level).map_err(with_remedy)
    }

    fn is_held(&self) -> Result<bool, StoreError> {
        Inner::is_held(self)
    }
}

impl Ends for Shared {
    fn end(&self, until: Instant) -> Result<(), String> {
        let Some(mut inner) = ends::lock_until(&self.inner, until) else {
            return Err(ends::lament(&self.path, "a call is still busy with it"));
        };
        let is_told = matches!(&*inner, Opened::Alone(store) if store.is_failing());
        let stored = inner.end().map_err(|error| ends::lament(&self.path, &error.to_string()));
        std::mem::forget(inner);
        if is_told { Ok(()) } else { stored }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Opened::Alone(store) = inner else { return };
        if !store.has_waiting() {
            return;
        }
        let is_told = store.is_failing();
        if let Err(error) = store.flush()
            && !is_told
        {
            ends::tell(ends::lament(&self.path, &error.to_string()));
        }
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
        match &mut *self.lock()? {
            Opened::Together(store) => {
                Ok(store.get(keys)?.into_iter().map(|value| value.map(Bytes::from)).collect())
            }
            Opened::Alone(store) => store.get(&LIMITS, keys),
        }
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        match &mut *self.lock()? {
            Opened::Together(store) => store.scan(start, end, max_entries, max_bytes).map(shared),
            Opened::Alone(store) => store.scan(start, end, max_entries, max_bytes),
        }
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.shared.gate.pass();
        match &mut *self.lock()? {
            Opened::Together(store) => store.apply(guards, mutations, level),
            Opened::Alone(store) => store.apply(&LIMITS, guards, mutations, level),
        }
    }

    /// Lets the handles of this process wait.
    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        self.shared.gate.behind(work);
        true
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
