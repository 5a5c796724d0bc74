//! Exports to directories of the host.

use super::place::Place;
use crate::files::{Failed, READ};
use crate::host_names::{host_name, host_path};
use crate::report::tell;
use crate::{Files, FilesError, Loss, Progress, Report, Step, Walk};
use kvfs::limits::MAX_READ_BYTES;
use kvfs::{Error, Follow, InodeNo, Kind, Stat, Timestamp};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

impl Files {
    /// Exports what is in a directory into a directory of the host, which is made with those on the way
    /// to it; a single file is put into it. Times, symbolic and hard links and holes are kept. The
    /// process's mask gives the modes. Names are those of [`host_name`](crate::host_name), where the file
    /// system takes them; else they stay as they are, and the report names them.
    ///
    /// Nothing outside the directory is touched: no link in it is followed. Files and links that are there
    /// already are replaced, directories are merged, and those with the same size and time are left as
    /// they are, so running an export again goes on where it was cut.
    ///
    /// # Durability
    /// None: the system writes the files to the disk when it likes.
    ///
    /// # Errors
    /// [`FilesError::Host`], also for a file where a directory is to be and the other way round,
    /// [`FilesError::Volume`], [`FilesError::Stopped`]. What was exported before stays.
    pub fn export_tree(
        &mut self,
        path: &str,
        to: &Path,
        progress: &mut Progress<'_>,
    ) -> Result<Report, FilesError> {
        Tree::new(Place::new(to)?).export(self, path, progress)
    }
}

struct Tree {
    place: Place,
    /// The first names of files and links with several, relative to the root, in the host.
    linked: HashMap<InodeNo, Vec<u8>>,
    report: Report,
    chunk: Vec<u8>,
}

impl Tree {
    fn new(place: Place) -> Self {
        Self { place, linked: HashMap::new(), report: Report::default(), chunk: Vec::new() }
    }

    fn export(
        mut self,
        files: &mut Files,
        path: &str,
        progress: &mut Progress<'_>,
    ) -> Result<Report, FilesError> {
        let mut walk = files.walk(path, Follow::Yes);
        let start = walk.path().trim_end_matches('/').len();
        let done = loop {
            match walk.next(files) {
                Ok(Some(step)) => {
                    let written = self.entry(files, &walk, start, step);
                    if let Err(error) = written.and_then(|()| tell(progress, &self.report)) {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let closed = walk.close(files);
        done.and(closed).map(|()| self.report)
    }

    /// Returns the path in the host of one in the volume, relative to the root, or of the target of a link.
    fn host<'n>(&self, path: &'n str) -> Cow<'n, [u8]> {
        if self.place.takes_bytes() { host_path(path) } else { Cow::Borrowed(path.as_bytes()) }
    }

    fn entry(&mut self, files: &mut Files, walk: &Walk, start: usize, step: Step) -> Result<(), FilesError> {
        let (stat, path) = (step.stat, walk.path());
        let name = path.rsplit('/').next().unwrap_or_default();
        let relative = path.get(start..).unwrap_or_default().trim_start_matches('/');
        if !self.place.takes_bytes() && !step.leaves && *host_name(name) != *name.as_bytes() {
            self.report.lose(Loss::KeptEscaped, || relative.to_owned());
        }
        let name = self.host(name);
        let name = OsStr::from_bytes(&name);
        if stat.kind == Kind::Directory {
            if step.leaves {
                // Its entries have changed it since.
                let set = rustix::fs::futimens(self.place.directory()?, &times(&stat));
                set.map_err(|error| self.place.error("set the times of", "", error))?;
                if step.depth > 0 {
                    self.place.leave();
                }
                return Ok(());
            }
            self.report.directories += 1;
            return if step.depth > 0 { self.place.enter(name) } else { Ok(()) };
        }
        if stat.nlink > 1 {
            let relative = if step.depth == 0 { Cow::Borrowed(name.as_bytes()) } else { self.host(relative) };
            if let Some(first) = self.linked.get(&stat.ino).cloned() {
                return self.link(name, &first);
            }
            self.linked.insert(stat.ino, relative.into_owned());
        }
        match stat.kind {
            Kind::File => self.file(files, path, name, &stat),
            _ => self.symlink(&files.read_link(path)?, name, &stat),
        }
    }

    fn file(&mut self, files: &mut Files, path: &str, name: &OsStr, stat: &Stat) -> Result<(), FilesError> {
        if let Some((kind, found)) = self.place.find(name)? {
            if kind == FileType::RegularFile
                && u64::try_from(found.st_size) == Ok(stat.size)
                && is_at(&found, stat.mtime)
            {
                self.report.unchanged += 1;
                return Ok(());
            }
            // Its other names, and what a link leads to, stay as they are.
            self.place.clear(name)?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let out = rustix::fs::openat(self.place.directory()?, name, flags, Mode::from_raw_mode(0o666));
        let out = File::from(out.map_err(|error| self.place.error("make", name, error))?);
        let Self { place, report, chunk, .. } = self;
        let failed = |error: std::io::Error| {
            let error = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Failed::Files(place.error("write", name, error))
        };
        files.with_file(("read", path), Follow::No, READ, |volume, file| {
            let mut end = 0;
            for part in volume.data_ranges(file)? {
                let mut at = part.start;
                while at < part.end {
                    chunk.clear();
                    let room = (part.end - at).min(MAX_READ_BYTES as u64) as usize;
                    let read = volume.read(file, at, room, chunk)?;
                    if read == 0 {
                        // Others have made it shorter.
                        return Err(Error::Overflow.into());
                    }
                    out.write_all_at(chunk, at).map_err(failed)?;
                    at += read as u64;
                    report.bytes += read as u64;
                }
                end = part.end;
            }
            if end < stat.size {
                out.set_len(stat.size).map_err(failed)?;
            }
            // Last, so that a file with its time is whole.
            rustix::fs::futimens(&out, &times(stat)).map_err(|error| failed(error.into()))
        })?;
        self.report.files += 1;
        Ok(())
    }

    fn symlink(&mut self, target: &str, name: &OsStr, stat: &Stat) -> Result<(), FilesError> {
        let target = &*self.host(target);
        if let Some((kind, _)) = self.place.find(name)? {
            if kind == FileType::Symlink {
                let found = rustix::fs::readlinkat(self.place.directory()?, name, Vec::new());
                if found.is_ok_and(|found| found.as_bytes() == target) {
                    self.report.unchanged += 1;
                    return Ok(());
                }
            }
            self.place.clear(name)?;
        }
        let made = rustix::fs::symlinkat(target, self.place.directory()?, name);
        made.map_err(|error| self.place.error("make the link", name, error))?;
        let set =
            rustix::fs::utimensat(self.place.directory()?, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW);
        set.map_err(|error| self.place.error("set the times of", name, error))?;
        self.report.symlinks += 1;
        Ok(())
    }

    fn link(&mut self, name: &OsStr, first: &[u8]) -> Result<(), FilesError> {
        let linked = rustix::fs::statat(self.place.root(), first, AtFlags::SYMLINK_NOFOLLOW);
        let linked = linked.map_err(|error| self.place.error("make the link", name, error))?;
        if let Some((_, found)) = self.place.find(name)? {
            if (found.st_dev, found.st_ino) == (linked.st_dev, linked.st_ino) {
                self.report.unchanged += 1;
                return Ok(());
            }
            self.place.clear(name)?;
        }
        let (root, directory) = self.place.both()?;
        let made = rustix::fs::linkat(root, first, directory, name, AtFlags::empty());
        made.map_err(|error| self.place.error("make the link", name, error))?;
        self.report.hard_links += 1;
        Ok(())
    }
}

fn times(stat: &Stat) -> Timestamps {
    let time = |time: Timestamp| Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    Timestamps { last_access: time(stat.atime), last_modification: time(stat.mtime) }
}

/// Returns whether a file of the host was modified at this time.
#[allow(clippy::useless_conversion, reason = "the numbers have other types on other systems")]
fn is_at(found: &rustix::fs::Stat, time: Timestamp) -> bool {
    i64::try_from(found.st_mtime) == Ok(time.seconds)
        && u64::try_from(found.st_mtime_nsec) == Ok(time.nanoseconds.into())
}

#[cfg(test)]
mod tests {
    use super::{Place, Tree};
    use crate::{Files, Loss};
    use kvfs::{Clock, MemoryStore, Options, Timestamp, Volume};
    use std::ops::ControlFlow;

    struct Noon;

    impl Clock for Noon {
        fn now(&mut self) -> Timestamp {
            Timestamp::default()
        }
    }

    #[test]
    fn where_only_text_is_taken_names_stay_escaped_and_are_told() {
        let (store, dir) = (Box::new(MemoryStore::default()), tempfile::tempdir().unwrap());
        let volume = Volume::open(store, Box::new(Noon), Options::default()).unwrap();
        let mut files = Files::new(volume).unwrap();
        files.make_directories("d‛FF").unwrap();
        files.write("d‛FF/f‛FE", b"x").unwrap();
        files.link("d‛FF/f‛FE", "z").unwrap();
        files.symlink("d‛FF/f‛FE", "l").unwrap();
        files.write("it‛s", b"x").unwrap();
        let tree = Tree::new(Place::of_text(dir.path()).unwrap());
        let report = tree.export(&mut files, "/", &mut |_| ControlFlow::Continue(())).unwrap();
        let lost: Vec<_> = report.lost().map(|(loss, lost)| (loss, lost.named.clone())).collect();
        assert_eq!(lost, [(Loss::KeptEscaped, ["d‛FF", "d‛FF/f‛FE"].map(str::to_owned).to_vec())]);
        assert_eq!(std::fs::read(dir.path().join("l")).unwrap(), b"x");
        assert_eq!(std::fs::read(dir.path().join("z")).unwrap(), b"x");
        assert!(dir.path().join("it‛s").exists());
    }
}
