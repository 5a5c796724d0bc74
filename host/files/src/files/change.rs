//! Makes and changes names, and times.

use super::open::Files;
use super::path::inner;
use crate::FilesError;
use kvfs::{Error, Follow, Kind, SetTime};

impl Files {
    /// Makes a directory, and those on the way to it that are missing.
    ///
    /// # Errors
    /// [`FilesError::Volume`], with [`Error::NotDirectory`] if something else is in the way.
    pub fn make_directories(&mut self, path: &str) -> Result<(), FilesError> {
        let whole = inner(path).trim_end_matches('/');
        let ends = whole.match_indices('/').map(|(end, _)| end).chain([whole.len()]);
        for part in ends.map(|end| whole.get(..end).unwrap_or_default()) {
            match self.volume.create_directory_at(&self.root, part) {
                Ok(()) => {}
                // Also for `.` and `..`, which name directories that are there.
                Err(Error::Exist) => match self.stat(part, Follow::Yes)?.kind {
                    Kind::Directory => {}
                    _ => return Err(self.error("make the directory", part, Error::NotDirectory)),
                },
                Err(source) => return Err(self.error("make the directory", part, source)),
            }
        }
        Ok(())
    }

    /// Makes a symbolic link to `target`, which need not exist.
    ///
    /// # Errors
    /// [`FilesError::Volume`], with [`Error::NotPermitted`] for an absolute target, as for guests.
    pub fn symlink(&mut self, target: &str, path: &str) -> Result<(), FilesError> {
        let made = self.volume.symlink_at(target, &self.root, inner(path));
        made.map_err(|source| self.error("make the link", path, source))
    }

    /// Gives a file or symbolic link one more name.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn link(&mut self, old: &str, new: &str) -> Result<(), FilesError> {
        let (root, old_inner) = (&self.root, inner(old));
        let made = self.volume.link_at(root, old_inner, Follow::No, root, inner(new));
        made.map_err(|source| self.error("make the link", new, source))
    }

    /// Renames an entry, replacing an entry at the new path: atomically, and with everything written
    /// before.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), FilesError> {
        let (root, old_inner) = (&self.root, inner(old));
        let renamed = self.volume.rename_at(root, old_inner, root, inner(new));
        renamed.map_err(|source| self.error("rename", old, source))
    }

    /// Sets the times of what a path leads to, or with [`Follow::No`] of the link at its end.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn set_times(
        &mut self,
        path: &str,
        follow: Follow,
        accessed: SetTime,
        modified: SetTime,
    ) -> Result<(), FilesError> {
        let set = self.volume.set_times_at(&self.root, inner(path), follow, accessed, modified);
        set.map_err(|source| self.error("set the times of", path, source))
    }
}
