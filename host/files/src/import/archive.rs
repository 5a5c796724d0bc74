//! Imports tars.

use super::importer::{Importer, Times};
use crate::host_names::volume_path;
use crate::{Files, FilesError, Loss, Progress, Report};
use kvfs_archive::{Fault, Kind, Member, Members, Stream, left_out};
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

/// The first bytes of zstd.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Bytes that are read at once.
const CHUNK_BYTES: usize = kvfs::limits::MAX_WRITE_BYTES;

/// Most bytes of the list of a directory in an incremental archive.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// Directories whose times wait for what is in them. With more, the times of those so far are set, and
/// what comes later changes them.
const MAX_WAITING_TIMES: usize = 256 << 10;

impl Files {
    /// Imports a tar into the directory `to`, which is made with those on the way to it: plain, or
    /// compressed with gzip or zstd, which its first bytes tell. Times, symbolic and hard links and holes
    /// are kept. What a volume cannot hold is left out and named in the report; so are names that are not
    /// UTF-8, which [`volume_name`](crate::volume_name) escapes. Links on the way of a path are followed as
    /// far as they stay below `to`.
    ///
    /// A tar of nothing, which is only blocks of zeros, is one; a file without bytes is not.
    ///
    /// Entries that are there already are replaced, and directories are merged. Files and links with the
    /// same size and time are left as they are, so running an import again goes on where it was cut.
    ///
    /// # Durability
    /// As that of [`Files::import_tree`].
    ///
    /// # Errors
    /// [`FilesError::Archive`] for what is no tar, is cut off or damaged, is one part of several, or has
    /// paths with `..`. [`FilesError::Host`] for an error of `from`, [`FilesError::Volume`],
    /// [`FilesError::Stopped`].
    pub fn import_tar(
        &mut self,
        from: impl Read + 'static,
        to: &str,
        progress: &mut Progress<'_>,
    ) -> Result<Report, FilesError> {
        let stream = open(from).map_err(|error| failed(Fault::Stream(error), ""))?;
        let mut progress = |report: &Report| progress(report);
        Importer::new(self, to, &mut progress)?.run(|importer| {
            let mut archive =
                Archive { importer, owner: None, times: Vec::new(), last: String::new(), chunk: Vec::new() };
            archive.read(Members::new(stream))
        })
    }
}

fn open(mut from: impl Read + 'static) -> std::io::Result<Stream> {
    let mut start = Vec::new();
    (&mut from).take(ZSTD.len() as u64).read_to_end(&mut start)?;
    let is_zstd = start == ZSTD;
    let whole = Cursor::new(start).chain(from);
    if is_zstd {
        return Stream::new(zstd::stream::read::Decoder::new(whole)?, u64::MAX);
    }
    Stream::new(whole, u64::MAX)
}

struct Archive<'i, 'a> {
    importer: &'i mut Importer<'a>,
    /// The owner of the first entry.
    owner: Option<i64>,
    /// The times of directories, which are set when all that is in them is there.
    times: Vec<(String, Times)>,
    /// The path of the last entry.
    last: String,
    chunk: Vec<u8>,
}

impl Archive<'_, '_> {
    fn read(&mut self, mut members: Members) -> Result<(), FilesError> {
        let read = self.members(&mut members);
        // Those of directories that were made before an error, too.
        let set = self.set_times();
        read.and(set)?;
        let has_header = members.has_header();
        if !has_header && !members.has_end() {
            return Err(bad("is empty: a tar of nothing has blocks of zeros; check what made it"));
        }
        if !members.has_end() {
            let last = self.last.escape_debug();
            return Err(bad(format!("ends after `{last}`, without the blocks that end a tar")));
        }
        members.finish().map_err(|fault| match fault {
            Fault::Stream(error) if !has_header && error.kind() == ErrorKind::Unsupported => {
                bad("is no tar: other bytes follow the zeros at its start")
            }
            fault => failed(fault, &self.last),
        })
    }

    fn members(&mut self, members: &mut Members) -> Result<(), FilesError> {
        loop {
            match members.next() {
                Ok(None) => return Ok(()),
                Ok(Some(member)) => self.member(member, members)?,
                Err(_) if !members.has_header() => return Err(bad("is no tar, plain or of gzip or zstd")),
                Err(fault) => return Err(failed(fault, &self.last)),
            }
        }
    }

    fn member(&mut self, member: Member, members: &mut Members) -> Result<(), FilesError> {
        let shown = || String::from_utf8_lossy(&member.path).escape_debug().to_string();
        let parts = relative(&member.path);
        if parts.contains(&&b".."[..]) {
            return Err(bad(format!("has `{}`, a path with `..`, which unpacking refuses too", shown())));
        }
        let path = parts.join(&b'/');
        let loss = match member.kind {
            Kind::Fifo => Some(Loss::Pipes),
            Kind::Device => Some(Loss::Devices),
            _ => None,
        };
        if let Some(loss) = loss {
            self.importer.lose(loss, &path);
            return Ok(());
        }
        let Some(path) = self.importer.path(&path) else { return Ok(()) };
        self.last.clone_from(&path);
        let times = Times { accessed: member.modified, modified: member.modified };
        self.check_whole(&path, member.left_out.as_ref())?;
        match member.kind {
            Kind::Directory | Kind::DumpedDirectory => {
                if member.kind == Kind::DumpedDirectory {
                    if member.stored_bytes > MAX_LIST_BYTES {
                        return Err(bad(format!("has a list of `{}` that is too long", shown())));
                    }
                    let list = members.stored().map_err(|fault| failed(fault, &path))?;
                    self.check_whole(&path, left_out(&list).as_ref())?;
                }
                self.count_losses(&path, &member);
                if !path.is_empty() {
                    self.importer.directory(&path)?;
                }
                self.times.push((path, times));
                if self.times.len() > MAX_WAITING_TIMES { self.set_times() } else { Ok(()) }
            }
            _ if path.is_empty() => Err(bad("has a root that is no directory")),
            Kind::File => {
                self.count_losses(&path, &member);
                self.file(&path, member, times, members)
            }
            Kind::Symlink => self.importer.symlink(&path, &member.target, times),
            Kind::Link => self.link(&path, &member.target),
            Kind::Continuation => Err(bad("is one part of several; put them together first")),
            Kind::Other(byte) => {
                let byte = byte.escape_ascii();
                Err(bad(format!("has `{}` of an unknown kind (`{byte}`)", shown())))
            }
            // They were left out above.
            Kind::Fifo | Kind::Device => Ok(()),
        }
    }

    fn file(
        &mut self,
        path: &str,
        member: Member,
        times: Times,
        members: &mut Members,
    ) -> Result<(), FilesError> {
        let wrong = |reason: String| bad(format!("has `{}`: {reason}", path.escape_debug()));
        let is_sparse = member.sparse.is_there;
        let size_bytes = match is_sparse {
            true => member.sparse.size_bytes().map_err(wrong)?,
            false => member.stored_bytes,
        };
        let (chunk, mut sparse) = (&mut self.chunk, Some(member.sparse));
        chunk.resize(CHUNK_BYTES, 0);
        self.importer.file(path, size_bytes, times, &mut |sink| {
            let fault = |fault| failed(fault, path);
            let pieces = match sparse.take() {
                Some(sparse) if is_sparse => members.map(sparse).map_err(fault)?.pieces,
                _ => vec![(0, size_bytes)],
            };
            for (mut offset, mut left) in pieces {
                while left > 0 {
                    let room = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
                    let into = chunk.get_mut(..room).unwrap_or_default();
                    let read = members.read(into).map_err(fault)?;
                    if read == 0 {
                        return Err(fault(Fault::Ended));
                    }
                    sink.write(offset, into.get(..read).unwrap_or_default())?;
                    (offset, left) = (offset + read as u64, left - read as u64);
                }
            }
            Ok(())
        })
    }

    fn link(&mut self, path: &str, target: &[u8]) -> Result<(), FilesError> {
        // Unpacking drops everything up to the last `..` of the target.
        let parts = relative(target);
        let inside = parts.rsplit(|part| *part == b"..").next().unwrap_or_default();
        let first = inside.join(&b'/');
        let first = volume_path(&first);
        if first == path {
            return Ok(());
        }
        if !self.importer.link(path, &first)? {
            self.importer.lose(Loss::Links, path.as_bytes());
        }
        Ok(())
    }

    fn set_times(&mut self) -> Result<(), FilesError> {
        for (path, times) in std::mem::take(&mut self.times).into_iter().rev() {
            match self.importer.set_times(&path, times) {
                // A later entry may have replaced it.
                Err(error) if error.in_volume() == Some(&kvfs::Error::NoEntry) => {}
                set => set?,
            }
        }
        Ok(())
    }

    /// Fails for an incremental archive without the files that had not changed.
    fn check_whole(&self, path: &str, left_out: Option<&String>) -> Result<(), FilesError> {
        let Some(file) = left_out else { return Ok(()) };
        let whole = [path, file].join("/");
        let whole = whole.trim_start_matches('/').escape_debug();
        Err(bad(format!("is incremental and leaves `{whole}` out; import the ones before it first")))
    }

    fn count_losses(&mut self, path: &str, member: &Member) {
        if let Some(owner) = member.owner
            && *self.owner.get_or_insert(owner) != owner
        {
            self.importer.lose(Loss::Owners, path.as_bytes());
        }
        if let Some(mode) = member.mode {
            let is_directory = member.kind != Kind::File;
            self.importer.report.lose_mode(mode, is_directory, || path.to_owned());
        }
        if member.has_attributes {
            self.importer.lose(Loss::Attributes, path.as_bytes());
        }
    }
}

/// Splits a path of an archive into its names, without `.` and superfluous slashes.
fn relative(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect()
}

fn bad(reason: impl Into<String>) -> FilesError {
    FilesError::Archive { reason: reason.into() }
}

fn failed(fault: Fault, last: &str) -> FilesError {
    let last = last.escape_debug();
    match fault {
        Fault::Stream(error) if error.raw_os_error().is_some() => {
            FilesError::host("read", Path::new("the archive"))(error)
        }
        Fault::Stream(error) if error.kind() == ErrorKind::UnexpectedEof => {
            bad(format!("is cut off after `{last}`"))
        }
        Fault::Stream(error) => bad(format!("cannot be read behind `{last}`: {error}")),
        Fault::Ended => bad(format!("is cut off in or after `{last}`")),
        Fault::Damaged(reason) | Fault::Refused(reason) => {
            bad(format!("cannot be read behind `{last}`: {}", reason.escape_debug()))
        }
    }
}
