//! Imports trees of the host.

use super::importer::{Importer, Sink, Times};
use crate::{Files, FilesError, Loss, Progress, Report};
use kvfs::Timestamp;
use rustix::fs::{Mode, OFlags};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::fs::{File, FileType, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = kvfs::limits::MAX_WRITE_BYTES;

impl Files {
    /// Imports what is in a directory of the host into the directory `to`, which is made with those on
    /// the way to it. Times, symbolic and hard links and holes are kept. What a volume cannot hold is
    /// left out and named in the report; so are names that are not UTF-8, which
    /// [`volume_name`](crate::volume_name) escapes. No link of the host is followed.
    ///
    /// Entries that are there already are replaced, and directories are merged. Files and links with the
    /// same size and time are left as they are, so running an import again goes on where it was cut.
    ///
    /// # Durability
    /// That of the volume's mode: `lazy` is the fastest. Call [`Files::sync`] behind it. After an error
    /// or a cut, what was imported before stays.
    ///
    /// # Errors
    /// [`FilesError::Host`] for what cannot be read, [`FilesError::Volume`], [`FilesError::Stopped`].
    pub fn import_tree(
        &mut self,
        from: &Path,
        to: &str,
        progress: &mut Progress<'_>,
    ) -> Result<Report, FilesError> {
        let mut progress = |report: &Report| progress(report);
        Importer::new(self, to, &mut progress)?.run(|importer| Tree::new(importer, from)?.read())
    }
}

struct Tree<'i, 'a> {
    importer: &'i mut Importer<'a>,
    frames: Vec<Frame>,
    /// The path in the volume, relative to where the import goes.
    path: String,
    /// The path of the host, and that of the tree's root.
    place: PathBuf,
    root: &'i Path,
    /// The first names of files with several, by device and inode, and how many more are to come.
    linked: HashMap<(u64, u64), (String, u64)>,
    /// The owner of the tree's root.
    owner: u32,
    chunk: Vec<u8>,
}

/// A directory that is being imported.
struct Frame {
    names: std::vec::IntoIter<(OsString, FileType)>,
    path_length: usize,
    times: Times,
}

impl<'i, 'a> Tree<'i, 'a> {
    fn new(importer: &'i mut Importer<'a>, from: &'i Path) -> Result<Self, FilesError> {
        let found = std::fs::metadata(from).map_err(FilesError::host("read", from))?;
        let mut tree = Self {
            importer,
            frames: Vec::new(),
            path: String::new(),
            place: from.to_owned(),
            root: from,
            linked: HashMap::new(),
            owner: found.uid(),
            chunk: Vec::new(),
        };
        tree.enter(&found)?;
        Ok(tree)
    }

    fn read(mut self) -> Result<(), FilesError> {
        while let Some(frame) = self.frames.last_mut() {
            self.path.truncate(frame.path_length);
            let Some((name, kind)) = frame.names.next() else {
                let times = frame.times;
                self.frames.pop();
                self.importer.set_times(&self.path, times)?;
                self.place.pop();
                continue;
            };
            self.place.push(&name);
            let path_length = self.path.len();
            if !self.take_path(kind) {
                self.place.pop();
                continue;
            }
            let entered = self.entry()?;
            if !entered {
                self.path.truncate(path_length);
                self.place.pop();
            }
        }
        Ok(())
    }

    /// Takes the path of an entry. Returns false, and counts it as left out, if a volume cannot hold it.
    fn take_path(&mut self, kind: FileType) -> bool {
        let raw = self.place.strip_prefix(self.root).unwrap_or(&self.place).as_os_str().as_bytes();
        let loss = match kind {
            kind if kind.is_fifo() => Some(Loss::Pipes),
            kind if kind.is_socket() => Some(Loss::Sockets),
            kind if kind.is_block_device() || kind.is_char_device() => Some(Loss::Devices),
            _ => None,
        };
        if let Some(loss) = loss {
            self.importer.lose(loss, raw);
            return false;
        }
        match self.importer.path(raw) {
            Some(path) => {
                self.path = path;
                true
            }
            None => false,
        }
    }

    /// Imports an entry. Returns whether it is a directory, which was entered.
    fn entry(&mut self) -> Result<bool, FilesError> {
        let found = match std::fs::symlink_metadata(&self.place) {
            Ok(found) => found,
            // Removed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(FilesError::host("read", &self.place)(error)),
        };
        self.count_losses(&found);
        if found.is_dir() {
            self.importer.directory(&self.path)?;
            self.enter(&found)?;
            return Ok(true);
        }
        if found.nlink() > 1 && self.link(&found)? {
            return Ok(false);
        }
        if found.is_symlink() {
            let target = std::fs::read_link(&self.place).map_err(FilesError::host("read", &self.place))?;
            self.importer.symlink(&self.path, target.as_os_str().as_bytes(), times(&found))?;
        } else {
            self.file(&found)?;
        }
        Ok(false)
    }

    /// Makes a further name of a file that was imported. Returns false for a first one.
    fn link(&mut self, found: &Metadata) -> Result<bool, FilesError> {
        match self.linked.entry((found.dev(), found.ino())) {
            Entry::Vacant(entry) => {
                entry.insert((self.path.clone(), found.nlink() - 1));
                Ok(false)
            }
            Entry::Occupied(mut entry) => {
                let (first, left) = entry.get_mut();
                let linked = self.importer.link(&self.path, first)?;
                *left = left.saturating_sub(1);
                if *left == 0 {
                    entry.remove();
                }
                Ok(linked)
            }
        }
    }

    fn file(&mut self, found: &Metadata) -> Result<(), FilesError> {
        let Self { importer, place, chunk, path, .. } = self;
        // It may have become a link or a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        importer.file(path, found.len(), times(found), &mut |sink| {
            let file = rustix::fs::open(&**place, flags, Mode::empty());
            let mut file = File::from(file.map_err(|error| FilesError::host("read", place)(error.into()))?);
            match has_holes(found) {
                true => fill_parts(&mut file, found.len(), place, chunk, sink),
                false => fill(&mut file, 0..u64::MAX, place, chunk, sink),
            }
        })
    }

    fn enter(&mut self, found: &Metadata) -> Result<(), FilesError> {
        let read = || FilesError::host("read", &self.place);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.place).map_err(read())? {
            let entry = entry.map_err(read())?;
            names.push((entry.file_name(), entry.file_type().map_err(read())?));
        }
        names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (names, path_length) = (names.into_iter(), self.path.len());
        self.frames.push(Frame { names, path_length, times: times(found) });
        Ok(())
    }

    /// Counts what of an entry is not held.
    fn count_losses(&mut self, found: &Metadata) {
        let path = self.path.as_bytes();
        if found.uid() != self.owner {
            self.importer.lose(Loss::Owners, path);
        }
        if !found.is_symlink() {
            self.importer.report.lose_mode(found.mode(), found.is_dir(), || self.path.clone());
        }
        if has_attributes(&self.place) {
            self.importer.lose(Loss::Attributes, path);
        }
    }
}

fn times(found: &Metadata) -> Times {
    let time = |seconds, nanoseconds: i64| Timestamp {
        seconds,
        nanoseconds: u32::try_from(nanoseconds).unwrap_or_default(),
    };
    Times {
        accessed: time(found.atime(), found.atime_nsec()),
        modified: time(found.mtime(), found.mtime_nsec()),
    }
}

/// Writes a range of a file, as far as it goes.
fn fill(
    file: &mut File,
    range: std::ops::Range<u64>,
    place: &Path,
    chunk: &mut Vec<u8>,
    sink: &mut Sink<'_, '_>,
) -> Result<(), FilesError> {
    let mut at = range.start;
    while at < range.end {
        chunk.clear();
        let room = (range.end - at).min(CHUNK_BYTES as u64);
        let read = (&mut *file).take(room).read_to_end(chunk).map_err(FilesError::host("read", place))?;
        if read > 0 {
            sink.write(at, chunk)?;
        }
        if (read as u64) < room {
            break;
        }
        at += read as u64;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn has_holes(found: &Metadata) -> bool {
    found.blocks().saturating_mul(512) < found.len()
}

#[cfg(not(target_os = "linux"))]
fn has_holes(_: &Metadata) -> bool {
    false
}

/// Writes the parts of a file that are no holes.
#[cfg(target_os = "linux")]
fn fill_parts(
    file: &mut File,
    size_bytes: u64,
    place: &Path,
    chunk: &mut Vec<u8>,
    sink: &mut Sink<'_, '_>,
) -> Result<(), FilesError> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    let mut at = 0;
    while at < size_bytes {
        let start = match seek(&*file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole.
            Err(Errno::NXIO) => return Ok(()),
            // A file system that knows no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) if at == 0 => {
                return fill(file, 0..u64::MAX, place, chunk, sink);
            }
            Err(error) => return Err(FilesError::host("read", place)(error.into())),
        };
        let end = seek(&*file, SeekFrom::Hole(start));
        let end = end.map_err(|error| FilesError::host("read", place)(error.into()))?;
        seek(&*file, SeekFrom::Start(start))
            .map_err(|error| FilesError::host("read", place)(error.into()))?;
        fill(file, start..end, place, chunk, sink)?;
        at = end.max(start + 1);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn fill_parts(
    file: &mut File,
    _: u64,
    place: &Path,
    chunk: &mut Vec<u8>,
    sink: &mut Sink<'_, '_>,
) -> Result<(), FilesError> {
    fill(file, 0..u64::MAX, place, chunk, sink)
}

/// Returns whether a file has extended attributes other than labels, which the system gives every file.
#[cfg(target_os = "linux")]
fn has_attributes(place: &Path) -> bool {
    let mut list = [0_u8; 1024];
    match rustix::fs::llistxattr(place, &mut list) {
        Ok(length) => {
            let names = list.get(..length).unwrap_or_default().split(|byte| *byte == 0);
            names.into_iter().any(|name| !name.is_empty() && name != b"security.selinux")
        }
        // More than fit.
        Err(error) => error == rustix::io::Errno::RANGE,
    }
}

#[cfg(not(target_os = "linux"))]
fn has_attributes(_: &Path) -> bool {
    false
}
