//! Lists directories.

use super::open::Files;
use super::path::inner;
use crate::FilesError;
use kvfs::{Access, Error, Follow, InodeNo, Kind, OpenFlags, Stat};
use std::ops::ControlFlow;

pub(crate) const DIRECTORY: (OpenFlags, Access) = (
    OpenFlags { create: false, directory: true, exclusive: false, truncate: false },
    Access { read: true, write: false, mutate_directory: true, sync: false },
);

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The kind of what it names.
    pub kind: Kind,
    /// The inode it names.
    pub ino: InodeNo,
}

impl Files {
    /// Calls `each` with the entries of a directory, in no order, until it breaks. Memory does not grow
    /// with their number.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    ///
    /// # Cost
    /// That of [`kvfs::Volume::read_directory`].
    pub fn each_entry(
        &mut self,
        path: &str,
        each: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), FilesError> {
        self.each(path, &mut |_, _, entry| Ok(each(entry)))
    }

    /// Returns the entries of a directory, sorted by name.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn list(&mut self, path: &str) -> Result<Vec<Entry>, FilesError> {
        let mut entries = Vec::new();
        self.each_entry(path, &mut |entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        })?;
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Returns the entries of a directory with their metadata, sorted by name. One that is removed
    /// meanwhile is left out.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn list_stats(&mut self, path: &str) -> Result<Vec<(Entry, Stat)>, FilesError> {
        let mut entries = Vec::new();
        self.each(path, &mut |volume, directory, entry| {
            match volume.stat_at(directory, &entry.name, Follow::No) {
                Ok(stat) => entries.push((entry, stat)),
                Err(Error::NoEntry) => {}
                Err(error) => return Err((entry.name, error)),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        entries.sort_unstable_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn each(&mut self, path: &str, each: &mut Each<'_>) -> Result<(), FilesError> {
        let directory = self.volume.open_at(&self.root, inner(path), Follow::Yes, DIRECTORY.0, DIRECTORY.1);
        let directory = directory.map_err(|source| self.error("list", path, source))?;
        let listed = self.each_of(path, &directory, each);
        let closed = self.volume.close(directory);
        listed.and(closed.map_err(|source| self.error("list", path, source)))
    }

    fn each_of(
        &mut self,
        path: &str,
        directory: &kvfs::Descriptor,
        each: &mut Each<'_>,
    ) -> Result<(), FilesError> {
        let stream = self.volume.read_directory(directory);
        let mut stream = stream.map_err(|source| self.error("list", path, source))?;
        let listed = loop {
            match self.volume.next_entry(&mut stream) {
                Ok(None) => break Ok(()),
                Ok(Some(entry)) => {
                    let entry = Entry { name: entry.name.to_string(), kind: entry.kind, ino: entry.ino };
                    match each(&mut self.volume, directory, entry) {
                        Ok(ControlFlow::Continue(())) => {}
                        Ok(ControlFlow::Break(())) => break Ok(()),
                        Err((name, source)) => {
                            let mut path = path.to_owned();
                            super::path::join(&mut path, &name);
                            break Err(self.error("look at", &path, source));
                        }
                    }
                }
                Err(source) => break Err(self.error("list", path, source)),
            }
        };
        let closed = self.volume.close_directory(stream);
        listed.and(closed.map_err(|source| self.error("list", path, source)))
    }
}

/// Is called with an entry; an error comes with the entry's name.
type Each<'e> =
    dyn FnMut(&mut kvfs::Volume, &kvfs::Descriptor, Entry) -> Result<ControlFlow<()>, (String, Error)> + 'e;
