//! Removes files and trees.

use super::open::Files;
use super::path::inner;
use crate::FilesError;
use kvfs::{Error, Follow, Kind};

impl Files {
    /// Removes a file, a symbolic link or an empty directory.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn remove(&mut self, path: &str) -> Result<(), FilesError> {
        let removed = match self.stat(path, Follow::No)?.kind {
            Kind::Directory => self.volume.remove_directory_at(&self.root, inner(path)),
            Kind::File | Kind::Symlink => self.volume.unlink_file_at(&self.root, inner(path)),
        };
        removed.map_err(|source| self.error("remove", path, source))
    }

    /// Removes a file or a symbolic link.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn remove_file(&mut self, path: &str) -> Result<(), FilesError> {
        let removed = self.volume.unlink_file_at(&self.root, inner(path));
        removed.map_err(|source| self.error("remove", path, source))
    }

    /// Removes a file, or a directory with all that is in it, and returns how many entries those were.
    /// A cut leaves some of them; running it again removes the rest. The root itself stays.
    ///
    /// # Errors
    /// [`FilesError::Volume`]. What was removed before stays removed.
    pub fn remove_all(&mut self, path: &str) -> Result<u64, FilesError> {
        // A walk would follow a link with a slash behind it, which itself could not be removed at the end.
        let name = path.trim_end_matches('/');
        if name.len() < path.len() {
            self.stat(path, Follow::Yes)?;
        }
        if name.len() < path.len() && self.stat(name, Follow::No)?.kind != Kind::Directory {
            return Err(self.error("remove", path, Error::NotDirectory));
        }
        let mut walk = self.walk(name, Follow::No);
        let mut removed = 0;
        let done = loop {
            let step = match walk.next(self) {
                Ok(Some(step)) => step,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let is_directory = step.stat.kind == Kind::Directory;
            if is_directory && !step.leaves {
                continue;
            }
            let is_root = step.stat.ino == kvfs::InodeNo::ROOT;
            let (at, name) = match walk.directory() {
                Some(directory) => (directory, walk.name()),
                None if is_root => break Ok(()),
                None => (&self.root, inner(walk.path())),
            };
            let gone = match is_directory {
                true => self.volume.remove_directory_at(at, name),
                false => self.volume.unlink_file_at(at, name),
            };
            match gone {
                Ok(()) => removed += 1,
                Err(source) => break Err(self.error("remove", walk.path(), source)),
            }
        };
        let closed = walk.close(self);
        done.and(closed).map(|()| removed)
    }
}
