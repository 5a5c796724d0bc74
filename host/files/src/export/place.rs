//! A directory of the host that an export writes below, whatever lies in it already.

use crate::FilesError;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Directories that are held open. Those above them are opened again on the way back.
const MAX_OPEN: usize = 64;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A place in a tree of the host. No symbolic link in the tree is followed, so nothing outside is
/// touched, whatever the names lead to.
pub(super) struct Place {
    root: OwnedFd,
    path: PathBuf,
    /// The directories below the root, down to the place.
    below: Vec<(OsString, Option<OwnedFd>)>,
    /// The file system takes names that are not UTF-8.
    takes_bytes: bool,
}

impl Place {
    /// Takes a directory, which is made with those on the way to it.
    pub(super) fn new(path: &Path) -> Result<Self, FilesError> {
        std::fs::create_dir_all(path).map_err(FilesError::host("make the directory", path))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty());
        let root = root.map_err(|error| FilesError::host("open", path)(error.into()))?;
        // Those that refuse such a name refuse to look for it.
        let odd = rustix::fs::statat(&root, &b"\xff"[..], AtFlags::SYMLINK_NOFOLLOW);
        let takes_bytes = !matches!(odd, Err(Errno::ILSEQ | Errno::INVAL));
        Ok(Self { root, path: path.to_owned(), below: Vec::new(), takes_bytes })
    }

    /// Returns whether the file system takes names that are not UTF-8. It is that of the root.
    pub(super) fn takes_bytes(&self) -> bool {
        self.takes_bytes
    }

    /// Takes it for one that does not.
    #[cfg(test)]
    pub(super) fn of_text(path: &Path) -> Result<Self, FilesError> {
        Ok(Self { takes_bytes: false, ..Self::new(path)? })
    }

    /// Returns the root and this directory.
    pub(super) fn both(&mut self) -> Result<(&OwnedFd, &OwnedFd), FilesError> {
        self.directory()?;
        let here = self.below.last().and_then(|(_, open)| open.as_ref());
        Ok((&self.root, here.unwrap_or(&self.root)))
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Makes the error for `name` in this directory.
    pub(super) fn error(&self, doing: &'static str, name: impl AsRef<Path>, error: Errno) -> FilesError {
        let mut path = self.path.clone();
        path.extend(self.below.iter().map(|(name, _)| name));
        path.push(name);
        FilesError::host(doing, &path)(error.into())
    }

    /// Returns this directory.
    pub(super) fn directory(&mut self) -> Result<&OwnedFd, FilesError> {
        let Some(last) = self.below.len().checked_sub(1) else { return Ok(&self.root) };
        let open = self.below.iter().rposition(|(_, open)| open.is_some()).map_or(0, |at| at + 1);
        for at in open..=last {
            let above = match at.checked_sub(1).and_then(|above| self.below.get(above)) {
                Some((_, Some(above))) => above.as_fd(),
                _ => self.root.as_fd(),
            };
            let name = self.below.get(at).map_or(OsStr::new(""), |(name, _)| name);
            let opened = rustix::fs::openat(above, name, DIRECTORY, Mode::empty());
            let opened = opened.map_err(|error| self.error("open", "", error))?;
            if let Some((_, place)) = self.below.get_mut(at) {
                *place = Some(opened);
            }
        }
        let open = self.below.last().and_then(|(_, open)| open.as_ref());
        Ok(open.unwrap_or(&self.root))
    }

    /// Goes into a directory, which is made if it is not there.
    pub(super) fn enter(&mut self, name: &OsStr) -> Result<(), FilesError> {
        let directory = self.directory()?;
        match rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.error("make the directory", name, error)),
        }
        let opened = rustix::fs::openat(self.directory()?, name, DIRECTORY, Mode::empty());
        let opened = opened.map_err(|error| {
            // A link or a file is in its place.
            let error = if error == Errno::LOOP { Errno::NOTDIR } else { error };
            self.error("make the directory", name, error)
        })?;
        self.below.push((name.to_owned(), Some(opened)));
        if let Some((_, far)) =
            self.below.len().checked_sub(1 + MAX_OPEN).and_then(|at| self.below.get_mut(at))
        {
            *far = None;
        }
        Ok(())
    }

    /// Goes back to the directory above.
    pub(super) fn leave(&mut self) {
        self.below.pop();
    }

    /// Returns what is at a name.
    pub(super) fn find(&mut self, name: &OsStr) -> Result<Option<(FileType, Stat)>, FilesError> {
        match rustix::fs::statat(self.directory()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some((FileType::from_raw_mode(stat.st_mode), stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.error("look at", name, error)),
        }
    }

    /// Removes what is at a name, unless it is a directory.
    pub(super) fn clear(&mut self, name: &OsStr) -> Result<(), FilesError> {
        match rustix::fs::unlinkat(self.directory()?, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.error("replace", name, error)),
        }
    }
}
