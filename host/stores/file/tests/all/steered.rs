//! A directory whose calls a test steers: it acts before or after some of them, or makes them fail.

use crate::disk::{SimDirectory, SimFile};
use kvfs_file_store::{Directory, File, IoError, Listed, Status};
use std::cell::RefCell;
use std::rc::Rc;

/// A moment at which a test may act.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment<'a> {
    /// A file was created.
    Created(&'a str),
    /// Bytes are about to be written to a file.
    Writes(&'a str, &'a [u8]),
    /// So many bytes were read from a file.
    Read(usize),
    /// Bytes were written to a file.
    Wrote(&'a str, &'a [u8]),
}

impl Moment<'_> {
    /// Returns the flags of the record that is about to be written, or was.
    pub(crate) fn flags(&self) -> u32 {
        let (Self::Writes(_, bytes) | Self::Wrote(_, bytes)) = self else { return 0 };
        let flags = bytes.get(4..8).and_then(|flags| flags.first_chunk());
        flags.map_or(0, |flags| u32::from_le_bytes(*flags))
    }

    /// Returns whether this is about a record that puts a key whose name is `key`.
    pub(crate) fn puts(&self, key: &[u8]) -> bool {
        let (Self::Writes(name, bytes) | Self::Wrote(name, bytes)) = self else { return false };
        name.ends_with(".kvfs") && self.flags() == 0 && bytes.get(70..).is_some_and(|it| it.starts_with(key))
    }
}

/// Acts at a moment. An error becomes that of the call; what it did before stays done.
type Steer = Box<dyn FnMut(Moment<'_>) -> Result<(), IoError>>;

/// A directory with a steer, which is out of force while it acts.
#[derive(Clone)]
pub(crate) struct Steered {
    inner: SimDirectory,
    steer: Rc<RefCell<Option<Steer>>>,
}

impl Steered {
    pub(crate) fn new(inner: &SimDirectory) -> Self {
        Self { inner: inner.clone(), steer: Rc::default() }
    }

    /// Sets the steer.
    pub(crate) fn at(&self, steer: impl FnMut(Moment<'_>) -> Result<(), IoError> + 'static) {
        *self.steer.borrow_mut() = Some(Box::new(steer));
    }

    fn act(&self, moment: Moment<'_>) -> Result<(), IoError> {
        let Some(mut steer) = self.steer.borrow_mut().take() else { return Ok(()) };
        let result = steer(moment);
        self.steer.borrow_mut().get_or_insert(steer);
        result
    }
}

impl Directory for Steered {
    type File = SteeredFile;

    fn list(&self) -> Result<Vec<Listed>, IoError> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<SteeredFile, IoError> {
        let inner = self.inner.create(name)?;
        self.act(Moment::Created(name))?;
        Ok(SteeredFile { inner, name: name.into(), directory: self.clone() })
    }

    fn open(&self, name: &str) -> Result<SteeredFile, IoError> {
        Ok(SteeredFile { inner: self.inner.open(name)?, name: name.into(), directory: self.clone() })
    }

    fn open_for_writing(&self, name: &str) -> Result<SteeredFile, IoError> {
        self.open(name)
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        self.inner.remove(name)
    }

    fn random(&self) -> Result<[u8; 16], IoError> {
        self.inner.random()
    }

    fn sync(&self) -> Result<(), IoError> {
        self.inner.sync()
    }
}

pub(crate) struct SteeredFile {
    inner: SimFile,
    name: String,
    directory: Steered,
}

impl File for SteeredFile {
    fn status(&self) -> Result<Status, IoError> {
        self.inner.status()
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        let bytes = self.inner.read(offset, length)?;
        self.directory.act(Moment::Read(bytes.len()))?;
        Ok(bytes)
    }

    fn cut(&self, size_bytes: u64) -> Result<(), IoError> {
        self.inner.cut(size_bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.directory.act(Moment::Writes(&self.name, bytes))?;
        self.inner.write(offset, bytes)?;
        self.directory.act(Moment::Wrote(&self.name, bytes))
    }

    fn sync(&self) -> Result<(), IoError> {
        self.inner.sync()
    }
}
