//! The files of a volume by path.

use kvfs::limits::MAX_READ_BYTES;
use kvfs::{Access, Descriptor, Error, Follow, Kind, OpenFlags, Stat, Volume};
use std::ops::ControlFlow;

/// The files of an open volume. Paths start with a slash, and never lead out of the volume.
pub(crate) struct Files {
    volume: Volume,
    root: Descriptor,
}

/// An entry of a directory.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} in volume `{volume}`: {source}; check the path, or the volume with `kvfs fsck`")]
pub(crate) struct ReadError {
    volume: String,
    path: String,
    pub(crate) source: Error,
}

const READ: Access = Access { read: true, write: false, mutate_directory: false, sync: false };

impl Files {
    pub(super) fn new(mut volume: Volume) -> kvfs::Result<Self> {
        let root = volume.root()?;
        Ok(Self { volume, root })
    }

    /// Returns what is at a path; a symbolic link there is not followed.
    pub(crate) fn stat(&mut self, path: &str) -> Result<Stat, ReadError> {
        self.volume.stat_at(&self.root, inner(path), Follow::No).map_err(|source| self.error(path, source))
    }

    /// Returns the target of a symbolic link.
    pub(crate) fn read_link(&mut self, path: &str) -> Result<String, ReadError> {
        self.volume.readlink_at(&self.root, inner(path)).map_err(|source| self.error(path, source))
    }

    /// Reads a file of up to `max_bytes`: a stored size is not to be trusted with memory.
    pub(crate) fn read(&mut self, path: &str, max_bytes: u64) -> Result<Vec<u8>, ReadError> {
        let limit = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let bytes = self.read_at(path, 0, limit.saturating_add(1))?;
        if bytes.len() > limit {
            return Err(self.error(path, Error::FileTooLarge));
        }
        Ok(bytes)
    }

    /// Reads up to `length` bytes of a file from `offset` on: fewer only at its end.
    pub(crate) fn read_at(&mut self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        let read = self.open(path, OpenFlags::default()).and_then(|file| {
            let mut bytes = Vec::new();
            let read = loop {
                let length = (length - bytes.len()).min(MAX_READ_BYTES);
                let at = offset.saturating_add(bytes.len() as u64);
                match self.volume.read(&file, at, length, &mut bytes) {
                    Ok(0) => break Ok(bytes),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            };
            self.volume.close(file).and(read)
        });
        read.map_err(|source| self.error(path, source))
    }

    /// Calls `each` with the entries of a directory, in no order, until it breaks.
    pub(crate) fn each_entry(
        &mut self,
        path: &str,
        each: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let listed = self.open(path, flags).and_then(|directory| {
            let listed = self.volume.read_directory(&directory).and_then(|mut stream| {
                let listed = loop {
                    match self.volume.next_entry(&mut stream) {
                        Ok(None) => break Ok(()),
                        Ok(Some(entry)) => {
                            if each(Entry { name: entry.name.to_string(), kind: entry.kind }).is_break() {
                                break Ok(());
                            }
                        }
                        Err(error) => break Err(error),
                    }
                };
                self.volume.close_directory(stream).and(listed)
            });
            self.volume.close(directory).and(listed)
        });
        listed.map_err(|source| self.error(path, source))
    }

    fn open(&mut self, path: &str, flags: OpenFlags) -> kvfs::Result<Descriptor> {
        self.volume.open_at(&self.root, inner(path), Follow::No, flags, READ)
    }

    fn error(&self, path: &str, source: Error) -> ReadError {
        ReadError { volume: self.volume.name().to_owned(), path: path.to_owned(), source }
    }
}

/// The path as the engine takes it: from the root on.
fn inner(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        path => path,
    }
}
