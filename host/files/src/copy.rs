//! Copies trees inside of a volume, and to another one.

use crate::files::{Failed, WRITE, inner, join, write_all};
use crate::report::tell;
use crate::{Files, FilesError, Progress, Report, Step};
use kvfs::limits::MAX_READ_BYTES;
use kvfs::{At, Follow, InodeNo, Kind, SetTime, Stat};
use std::collections::HashMap;

impl Files {
    /// Copies a file, a symbolic link, or a directory with all that is in it to the path `to` of this
    /// volume. Times, links and holes are kept. Files and links at the new paths are replaced, each when
    /// all of the new one is there; directories are merged.
    ///
    /// # Errors
    /// [`FilesError::IntoItself`], [`FilesError::Volume`], [`FilesError::Stopped`]. What was copied before
    /// stays, but for a part of a file.
    pub fn copy(&mut self, from: &str, to: &str, progress: &mut Progress<'_>) -> Result<Report, FilesError> {
        Copier::new(self, None, progress).copy(from, to, Follow::No)
    }

    /// As [`Files::copy`], to the path `to` of another volume. It must be another one: opening a volume
    /// twice ends its first opener.
    ///
    /// # Errors
    /// As there.
    pub fn copy_to(
        &mut self,
        from: &str,
        other: &mut Files,
        to: &str,
        progress: &mut Progress<'_>,
    ) -> Result<Report, FilesError> {
        Copier::new(self, Some(other), progress).copy(from, to, Follow::No)
    }

    /// Copies a file to a path of this volume, or of `other`, which is another one. As [`Files::copy`], but
    /// a symbolic link at the end of `from` is followed.
    ///
    /// # Errors
    /// As there, and [`kvfs::Error::IsDirectory`] for a directory.
    pub fn copy_file(
        &mut self,
        from: &str,
        other: Option<&mut Files>,
        to: &str,
        progress: &mut Progress<'_>,
    ) -> Result<Report, FilesError> {
        if self.stat(from, Follow::Yes)?.kind == Kind::Directory {
            return Err(self.error("copy the file", from, kvfs::Error::IsDirectory));
        }
        Copier::new(self, other, progress).copy(from, to, Follow::Yes)
    }
}

/// Starts the name of a file that is not whole yet, and whose name is taken.
const PART: &str = ".kvfs-part";

/// The outcome of a copy of one entry.
enum Made {
    /// A file or a link.
    New,
    /// One more name of one.
    Name,
}

struct Copier<'a, 'p> {
    one: &'a mut Files,
    other: Option<&'a mut Files>,
    progress: &'a mut Progress<'p>,
    report: Report,
    /// The first names of files and links with several.
    linked: HashMap<InodeNo, String>,
    chunk: Vec<u8>,
}

impl<'a, 'p> Copier<'a, 'p> {
    fn new(one: &'a mut Files, other: Option<&'a mut Files>, progress: &'a mut Progress<'p>) -> Self {
        let (report, linked, chunk) = (Report::default(), HashMap::new(), Vec::new());
        Self { one, other, progress, report, linked, chunk }
    }

    fn to(&mut self) -> &mut Files {
        match &mut self.other {
            Some(other) => other,
            None => self.one,
        }
    }

    fn copy(mut self, from: &str, to: &str, follow: Follow) -> Result<Report, FilesError> {
        let start = self.one.stat(from, follow)?;
        if self.other.is_none() && start.kind == Kind::Directory {
            self.check_outside(start.ino, from, to)?;
        }
        let mut walk = self.one.walk(from, follow);
        let start = walk.path().trim_end_matches('/').len();
        let mut target = String::new();
        let done = loop {
            let step = match walk.next(self.one) {
                Ok(Some(step)) => step,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            target.clear();
            target.push_str(to);
            let below = walk.path().get(start..).unwrap_or_default().trim_start_matches('/');
            if step.depth > 0 {
                join(&mut target, below);
            }
            let copied = self.entry(walk.path(), &target, step);
            if let Err(error) = copied.and_then(|()| tell(self.progress, &self.report)) {
                break Err(error);
            }
        };
        let closed = walk.close(self.one);
        done.and(closed).map(|()| self.report)
    }

    /// Fails if the path `to` is at or below a directory.
    fn check_outside(&mut self, directory: InodeNo, from: &str, to: &str) -> Result<(), FilesError> {
        let to = inner(to).trim_end_matches('/');
        let ends = to.match_indices('/').map(|(end, _)| end).chain([to.len()]);
        for part in ends.map(|end| to.get(..end).unwrap_or_default()).chain(["."]) {
            if self.one.find(part, Follow::Yes)?.is_some_and(|stat| stat.ino == directory) {
                return Err(FilesError::IntoItself { path: from.to_owned() });
            }
        }
        Ok(())
    }

    fn entry(&mut self, from: &str, to: &str, step: Step) -> Result<(), FilesError> {
        let stat = step.stat;
        if stat.kind == Kind::Directory {
            if step.leaves {
                return self.set_times(to, &stat);
            }
            self.report.directories += 1;
            return match self.to().find(to, Follow::Yes)? {
                Some(found) if found.kind == Kind::Directory => Ok(()),
                _ => self.to().make_directory(to),
            };
        }
        let found = self.to().find(to, Follow::No)?;
        if let Some(found) = found {
            if self.other.is_none() && found.ino == stat.ino {
                self.report.unchanged += 1;
                return Ok(());
            }
            if found.kind == Kind::Directory {
                return Err(self.to().error("replace", to, kvfs::Error::IsDirectory));
            }
        }
        // What is at the path stays there until the new one is whole.
        let made = match found {
            Some(_) => self.free_name(to)?,
            None => to.to_owned(),
        };
        let done = self.make(from, &made, &stat);
        let done = done.and_then(|outcome| match found {
            Some(_) => self.to().rename(&made, to).map(|()| outcome),
            None => Ok(outcome),
        });
        let outcome = done.inspect_err(|_| {
            // It may never have been made.
            let _ = self.to().remove_file(&made);
        })?;
        if matches!(outcome, Made::New) && stat.nlink > 1 {
            self.linked.insert(stat.ino, to.to_owned());
        }
        Ok(())
    }

    /// Returns a name beside a path that is not taken.
    fn free_name(&mut self, path: &str) -> Result<String, FilesError> {
        let directory = path.rfind('/').map_or("", |slash| path.get(..=slash).unwrap_or_default());
        let mut number = 0_u32;
        loop {
            let name = format!("{directory}{PART}{number}");
            if number == u32::MAX || self.to().find(&name, Follow::No)?.is_none() {
                return Ok(name);
            }
            number += 1;
        }
    }

    /// Copies a file or a link to a path where nothing is.
    fn make(&mut self, from: &str, to: &str, stat: &Stat) -> Result<Made, FilesError> {
        if let Some(first) = self.linked.get(&stat.ino).cloned() {
            self.report.hard_links += 1;
            return self.to().link(&first, to).map(|()| Made::Name);
        }
        if stat.kind == Kind::Symlink {
            let target = self.one.read_link(from)?;
            self.report.symlinks += 1;
            let to_files = self.to();
            let made = to_files.volume.import_symlink_at(&target, &to_files.root, inner(to));
            made.map_err(|source| to_files.error("make the link", to, source))?;
        } else {
            self.report.files += 1;
            self.file(from, to, stat.size)?;
        }
        self.set_times(to, stat).map(|()| Made::New)
    }

    fn file(&mut self, from: &str, to: &str, size_bytes: u64) -> Result<(), FilesError> {
        self.to().with_file(("write", to), Follow::No, WRITE, |_, _| Ok(()))?;
        let parts = self.one.data_ranges(from)?;
        let flags = kvfs::OpenFlags::default();
        let end = parts.last().map_or(0, |part| part.end);
        for part in parts {
            let mut at = part.start;
            while at < part.end {
                let mut chunk = std::mem::take(&mut self.chunk);
                chunk.clear();
                let room = (part.end - at).min(MAX_READ_BYTES as u64) as usize;
                let read = self.one.read_at(from, at, room, &mut chunk)?;
                if read == 0 {
                    break;
                }
                self.to().with_file(("write", to), Follow::No, (flags, WRITE.1), |volume, file| {
                    write_all(volume, file, At::Offset(at), &chunk).map_err(Failed::Volume)
                })?;
                at += read as u64;
                self.report.bytes += read as u64;
                self.chunk = chunk;
                tell(self.progress, &self.report)?;
            }
        }
        if end < size_bytes {
            self.to().set_size(to, size_bytes)?;
        }
        Ok(())
    }

    fn set_times(&mut self, to: &str, stat: &Stat) -> Result<(), FilesError> {
        self.to().set_times(to, Follow::No, SetTime::At(stat.atime), SetTime::At(stat.mtime))
    }
}
