//! Opens and closes the files of a volume.

use super::path::inner;
use crate::FilesError;
use kvfs::{Access, Descriptor, Error, Follow, OpenFlags, Quota, Stat, Used, Volume};

/// The files of an open volume, by path.
///
/// Paths are `/`-separated and start at the root, with or without a leading slash. They never leave
/// the volume: `..` above the root and a symbolic link that leads out are
/// [`Error::NotPermitted`](kvfs::Error::NotPermitted). Names are UTF-8, as in WASI.
///
/// One thread uses it; [`SharedFiles`](crate::SharedFiles) is for several, and for asynchronous tasks.
///
/// # Durability
/// That of the volume's [`Mode`](kvfs::Mode), as for guests. [`Files::sync`] and [`Files::close`] make
/// everything durable; dropping has the effect of a kill.
pub struct Files {
    pub(crate) volume: Volume,
    pub(crate) root: Descriptor,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("volume", &self.volume.name()).finish_non_exhaustive()
    }
}

impl Files {
    /// Takes an open volume.
    ///
    /// # Errors
    /// [`FilesError::Volume`] if its root cannot be read.
    pub fn new(mut volume: Volume) -> Result<Self, FilesError> {
        match volume.root() {
            Ok(root) => Ok(Self { volume, root }),
            Err(source) => {
                let name = volume.name().to_owned();
                Err(FilesError::Volume { doing: "open", volume: name, path: "/".to_owned(), source })
            }
        }
    }

    /// The volume, for what [`Files`] has no function for.
    pub fn volume(&mut self) -> &mut Volume {
        &mut self.volume
    }

    /// The name of the volume.
    pub fn name(&self) -> &str {
        self.volume.name()
    }

    /// Returns what the volume holds, and what it may hold.
    pub fn used(&self) -> (Used, Quota) {
        (self.volume.used(), self.volume.quota())
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// [`FilesError::Volume`]: everything stays dirty then, and another call tries again.
    pub fn sync(&mut self) -> Result<(), FilesError> {
        self.volume.sync_all().map_err(|source| self.error("store", "/", source))
    }

    /// Makes everything durable and ends.
    ///
    /// # Errors
    /// As [`Files::sync`]. Changes that are not stored are lost then.
    pub fn close(mut self) -> Result<(), FilesError> {
        self.sync()
    }

    /// Returns the metadata of what a path leads to, or with [`Follow::No`] of the link at its end.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn stat(&mut self, path: &str, follow: Follow) -> Result<Stat, FilesError> {
        let stat = self.volume.stat_at(&self.root, inner(path), follow);
        stat.map_err(|source| self.error("look at", path, source))
    }

    /// As [`Files::stat`]; `None` if there is nothing.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn find(&mut self, path: &str, follow: Follow) -> Result<Option<Stat>, FilesError> {
        match self.volume.stat_at(&self.root, inner(path), follow) {
            Ok(stat) => Ok(Some(stat)),
            Err(Error::NoEntry) => Ok(None),
            Err(source) => Err(self.error("look at", path, source)),
        }
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    /// [`FilesError::Volume`], with [`Error::Invalid`] for anything else.
    pub fn read_link(&mut self, path: &str) -> Result<String, FilesError> {
        let target = self.volume.readlink_at(&self.root, inner(path));
        target.map_err(|source| self.error("read the link", path, source))
    }

    pub(crate) fn error(&self, doing: &'static str, path: &str, source: Error) -> FilesError {
        FilesError::Volume { doing, volume: self.volume.name().to_owned(), path: path.to_owned(), source }
    }

    /// Opens a file, works with it and closes it.
    pub(crate) fn with_file<T>(
        &mut self,
        (doing, path): (&'static str, &str),
        follow: Follow,
        (flags, access): (OpenFlags, Access),
        work: impl FnOnce(&mut Volume, &Descriptor) -> Result<T, Failed>,
    ) -> Result<T, FilesError> {
        let file = self.volume.open_at(&self.root, inner(path), follow, flags, access);
        let file = file.map_err(|source| self.error(doing, path, source))?;
        let done = work(&mut self.volume, &file);
        let closed = self.volume.close(file);
        let value = done.map_err(|failed| match failed {
            Failed::Volume(source) => self.error(doing, path, source),
            Failed::Files(error) => error,
        })?;
        closed.map_err(|source| self.error(doing, path, source))?;
        Ok(value)
    }
}

/// Why work with an open file failed.
pub(crate) enum Failed {
    /// The file itself did.
    Volume(Error),
    /// Something else did.
    Files(FilesError),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Volume(error)
    }
}

impl From<FilesError> for Failed {
    fn from(error: FilesError) -> Self {
        Self::Files(error)
    }
}
