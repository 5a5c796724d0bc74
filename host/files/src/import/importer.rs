//! Puts entries in place, wherever they come from.

use crate::files::{DIRECTORY, Failed, WRITE, inner, join, write_all};
use crate::host_names::{volume_name, volume_path};
use crate::report::{shown, tell};
use crate::{Files, FilesError, Loss, MAX_NAMED_ESCAPED, Progress, Report};
use kvfs::limits::{MAX_NAME_BYTES, MAX_PATH_BYTES};
use kvfs::{At, Descriptor, Error, Follow, Kind, SetTime, Stat, Timestamp, Volume};
use std::collections::HashSet;

/// Bytes of one file after which progress is told again.
const TOLD_BYTES: u64 = 8 << 20;

/// Puts entries below a directory of a volume. Paths are relative to it.
pub(super) struct Importer<'a> {
    pub(super) files: &'a mut Files,
    base: Descriptor,
    base_path: String,
    pub(super) report: Report,
    /// The paths whose last names were escaped and told, as they were.
    escaped: HashSet<Vec<u8>>,
    progress: &'a mut Progress<'a>,
}

/// The times of an entry.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) accessed: Timestamp,
    pub(super) modified: Timestamp,
}

impl<'a> Importer<'a> {
    /// Imports into the directory `to`, which is made if it is not there.
    pub(super) fn new(
        files: &'a mut Files,
        to: &str,
        progress: &'a mut Progress<'a>,
    ) -> Result<Self, FilesError> {
        files.make_directories(to)?;
        let base = files.volume.open_at(&files.root, inner(to), Follow::Yes, DIRECTORY.0, DIRECTORY.1);
        let base = base.map_err(|source| files.error("open", to, source))?;
        let (report, escaped) = (Report::default(), HashSet::new());
        Ok(Self { files, base, base_path: to.to_owned(), report, escaped, progress })
    }

    /// Does the work, and ends.
    pub(super) fn run(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<(), FilesError>,
    ) -> Result<Report, FilesError> {
        let done = work(&mut self);
        let Self { files, base, base_path, report, .. } = self;
        let closed = files.volume.close(base).map_err(|source| files.error("close", &base_path, source));
        done.and(closed).map(|()| report)
    }

    /// Returns the path in the volume if it can hold it, and counts it as left out if not. Names that are
    /// not UTF-8 are escaped, and told.
    pub(super) fn path(&mut self, path: &[u8]) -> Option<String> {
        let is_storable = |path: &str| {
            path.len() <= MAX_PATH_BYTES
                && !path.contains('\0')
                && path.split('/').all(|name| name.len() <= MAX_NAME_BYTES)
        };
        let held = volume_path(path);
        if !is_storable(&held) {
            self.lose(Loss::Names, path);
            return None;
        }
        if held.as_bytes() != path {
            self.tell_escaped(path);
        }
        Some(held.into_owned())
    }

    /// Tells the names of a path that are escaped, each once.
    fn tell_escaped(&mut self, path: &[u8]) {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        for end in ends.chain([path.len()]) {
            let part = path.get(..end).unwrap_or_default();
            let name = part.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            // With too many to keep, only the last name is counted: those before it mostly have entries.
            let is_new = match self.escaped.len() < MAX_NAMED_ESCAPED {
                true => !self.escaped.contains(part),
                false => end == path.len() && !self.escaped.contains(part),
            };
            if volume_name(name).as_bytes() == name || !is_new {
                continue;
            }
            if self.escaped.len() < MAX_NAMED_ESCAPED {
                self.escaped.insert(part.to_owned());
            }
            self.report.lose(Loss::Escaped, || format!("{} -> {}", shown(part), volume_path(part)));
        }
    }

    pub(super) fn lose(&mut self, loss: Loss, path: &[u8]) {
        self.report.lose(loss, || shown(path));
    }

    /// Tells the progress.
    pub(super) fn tell(&mut self) -> Result<(), FilesError> {
        tell(self.progress, &self.report)
    }

    /// Makes a directory, which may be there.
    pub(super) fn directory(&mut self, path: &str) -> Result<(), FilesError> {
        match self.found(path)?.map(|stat| stat.kind) {
            Some(Kind::Directory) => {}
            found => {
                if found.is_some() {
                    self.unlink(path)?;
                }
                self.make("make the directory", path, |volume, base| volume.create_directory_at(base, path))?;
            }
        }
        self.report.directories += 1;
        self.tell()
    }

    /// Writes a file, unless it is there with this size and time. `fill` gives its bytes.
    pub(super) fn file(
        &mut self,
        path: &str,
        size_bytes: u64,
        times: Times,
        fill: &mut dyn FnMut(&mut Sink<'_, 'a>) -> Result<(), FilesError>,
    ) -> Result<(), FilesError> {
        if let Some(stat) = self.found(path)? {
            let same = stat.size == size_bytes && stat.mtime == times.modified;
            if stat.kind == Kind::File && same {
                self.report.unchanged += 1;
                return self.tell();
            }
            // Its other names, and what a link leads to, stay as they are.
            if stat.kind != Kind::File || stat.nlink > 1 {
                self.unlink(path)?;
            }
        }
        let (flags, access) = WRITE;
        let file =
            self.make("make", path, |volume, base| volume.open_at(base, path, Follow::No, flags, access))?;
        let mut sink = Sink { importer: self, file: &file, path, end: 0, untold_bytes: 0 };
        let filled = fill(&mut sink).map_err(Failed::Files);
        let end = sink.end;
        let volume = &mut self.files.volume;
        let filled = filled.and_then(|()| {
            if end < size_bytes {
                volume.set_size(&file, size_bytes)?;
            }
            // Last, so that a file with its time is whole.
            Ok(volume.set_times(&file, SetTime::At(times.accessed), SetTime::At(times.modified))?)
        });
        let closed = volume.close(file).map_err(Failed::Volume);
        filled.and(closed).map_err(|failed| match failed {
            Failed::Volume(source) => self.error("write", path, source),
            Failed::Files(error) => error,
        })?;
        self.report.files += 1;
        self.tell()
    }

    /// Makes a symbolic link, unless it is there with this target.
    pub(super) fn symlink(&mut self, path: &str, target: &[u8], times: Times) -> Result<(), FilesError> {
        let (raw, target) = (target, &*volume_path(target));
        if let Some(stat) = self.found(path)? {
            if stat.kind == Kind::Symlink
                && self.files.volume.readlink_at(&self.base, path).as_deref() == Ok(target)
            {
                self.tell_escaped_target(path, raw, target);
                self.report.unchanged += 1;
                return self.tell();
            }
            self.unlink(path)?;
        }
        match self.try_make(path, |volume, base| volume.import_symlink_at(target, base, path)) {
            Ok(()) => self.tell_escaped_target(path, raw, target),
            Err(Error::NameTooLong | Error::NoEntry | Error::Invalid) => {
                self.lose(Loss::Targets, path.as_bytes());
                return Ok(());
            }
            Err(source) => return Err(self.error("make the link", path, source)),
        }
        self.set_times(path, times)?;
        self.report.symlinks += 1;
        self.tell()
    }

    fn tell_escaped_target(&mut self, path: &str, raw: &[u8], target: &str) {
        if target.as_bytes() != raw {
            self.report.lose(Loss::EscapedTargets, || format!("{path}: {} -> {target}", shown(raw)));
        }
    }

    /// Gives what was imported at `first` one more name. Returns false if it is not there.
    pub(super) fn link(&mut self, path: &str, first: &str) -> Result<bool, FilesError> {
        let Some(linked) = self.found(first)? else { return Ok(false) };
        if let Some(stat) = self.found(path)? {
            if stat.ino == linked.ino {
                self.report.unchanged += 1;
                return self.tell().map(|()| true);
            }
            self.unlink(path)?;
        }
        self.make("make the link", path, |volume, base| volume.link_at(base, first, Follow::No, base, path))?;
        self.report.hard_links += 1;
        self.tell().map(|()| true)
    }

    /// Sets the times of what is at a path, of a link itself.
    pub(super) fn set_times(&mut self, path: &str, times: Times) -> Result<(), FilesError> {
        let (accessed, modified) = (SetTime::At(times.accessed), SetTime::At(times.modified));
        let set = self.files.volume.set_times_at(&self.base, inner(path), Follow::No, accessed, modified);
        set.map_err(|source| self.error("set the times of", path, source))
    }

    fn found(&mut self, path: &str) -> Result<Option<Stat>, FilesError> {
        match self.files.volume.stat_at(&self.base, inner(path), Follow::No) {
            Ok(stat) => Ok(Some(stat)),
            Err(Error::NoEntry) => Ok(None),
            Err(source) => Err(self.error("look at", path, source)),
        }
    }

    fn unlink(&mut self, path: &str) -> Result<(), FilesError> {
        let gone = self.files.volume.unlink_file_at(&self.base, path);
        gone.map_err(|source| self.error("replace", path, source))
    }

    /// Makes an entry, and the directories on the way if they are missing.
    fn make<T>(
        &mut self,
        doing: &'static str,
        path: &str,
        make: impl FnMut(&mut Volume, &Descriptor) -> Result<T, Error>,
    ) -> Result<T, FilesError> {
        self.try_make(path, make).map_err(|source| self.error(doing, path, source))
    }

    fn try_make<T>(
        &mut self,
        path: &str,
        mut make: impl FnMut(&mut Volume, &Descriptor) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let volume = &mut self.files.volume;
        match (make(volume, &self.base), path.rsplit_once('/')) {
            (Err(Error::NoEntry), Some((directory, _))) => {
                let ends = directory.match_indices('/').map(|(end, _)| end).chain([directory.len()]);
                for part in ends.map(|end| directory.get(..end).unwrap_or_default()) {
                    match volume.create_directory_at(&self.base, part) {
                        Ok(()) | Err(Error::Exist) => {}
                        Err(error) => return Err(error),
                    }
                }
                make(volume, &self.base)
            }
            (made, _) => made,
        }
    }

    fn error(&self, doing: &'static str, path: &str, source: Error) -> FilesError {
        let mut whole = self.base_path.clone();
        join(&mut whole, path);
        self.files.error(doing, &whole, source)
    }
}

/// Takes the bytes of a file.
pub(super) struct Sink<'s, 'a> {
    importer: &'s mut Importer<'a>,
    file: &'s Descriptor,
    path: &'s str,
    /// The end of what was written.
    end: u64,
    untold_bytes: u64,
}

impl Sink<'_, '_> {
    /// Writes bytes at an offset. What is between the pieces are holes.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FilesError> {
        let written = write_all(&mut self.importer.files.volume, self.file, At::Offset(offset), bytes);
        written.map_err(|source| self.importer.error("write", self.path, source))?;
        self.end = self.end.max(offset.saturating_add(bytes.len() as u64));
        self.importer.report.bytes += bytes.len() as u64;
        self.untold_bytes += bytes.len() as u64;
        if self.untold_bytes < TOLD_BYTES {
            return Ok(());
        }
        self.untold_bytes = 0;
        self.importer.tell()
    }
}
