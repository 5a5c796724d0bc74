//! Exports to tars.

use super::header::Head;
use crate::files::{PartsReader, READ};
use crate::host_names::host_path;
use crate::report::tell;
use crate::{Files, FilesError, Progress, Report, Step, Walk};
use flate2::write::GzEncoder;
use kvfs::{Follow, InodeNo, Kind};
use std::collections::HashMap;
use std::io::{BufWriter, Cursor, Read, Write};
use std::path::Path;
use tar::{Builder, EntryType};

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// How a tar is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By gzip, as `.tar.gz`.
    Gzip,
    /// By zstd, as `.tar.zst`.
    Zstd,
}

impl Files {
    /// Exports a directory with all that is in it, or one file, as a tar in POSIX's format. Times,
    /// symbolic and hard links and holes are kept; tar unpacks it. Its modes are `rwxr-xr-x` and
    /// `rw-r--r--`, and its owner is root. Names are those of [`host_name`](crate::host_name).
    ///
    /// # Errors
    /// [`FilesError::Volume`], [`FilesError::Host`] for an error of `out`, [`FilesError::Stopped`]. The
    /// archive is cut off then, and no tar takes it for a whole one.
    pub fn export_tar(
        &mut self,
        path: &str,
        out: &mut dyn Write,
        compression: Compression,
        progress: &mut Progress<'_>,
    ) -> Result<Report, FilesError> {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
        let report = match compression {
            Compression::None => self.tar(path, &mut out, progress)?,
            Compression::Gzip => {
                let mut coder = GzEncoder::new(&mut out, flate2::Compression::default());
                let report = self.tar(path, &mut coder, progress)?;
                coder.finish().map_err(unwritable())?;
                report
            }
            Compression::Zstd => {
                let coder = zstd::stream::write::Encoder::new(&mut out, zstd::DEFAULT_COMPRESSION_LEVEL);
                let mut coder = coder.map_err(unwritable())?;
                let _ = coder.include_checksum(true);
                let report = self.tar(path, &mut coder, progress)?;
                coder.finish().map_err(unwritable())?;
                report
            }
        };
        out.flush().map_err(unwritable())?;
        Ok(report)
    }

    fn tar(
        &mut self,
        path: &str,
        out: &mut dyn Write,
        progress: &mut Progress<'_>,
    ) -> Result<Report, FilesError> {
        let builder = Builder::new(Whole { out, is_cut: false });
        let mut archive = Archive { builder, linked: HashMap::new(), report: Report::default() };
        let mut walk = self.walk(path, Follow::Yes);
        let start = walk.path().trim_end_matches('/').len();
        let done = loop {
            match walk.next(self) {
                Ok(Some(step)) if step.leaves => {}
                Ok(Some(step)) => {
                    let written = archive.entry(self, &walk, start, step);
                    if let Err(error) = written.and_then(|()| tell(progress, &archive.report)) {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let closed = walk.close(self);
        if let Err(error) = done.and(closed) {
            archive.builder.get_mut().is_cut = true;
            return Err(error);
        }
        archive.builder.finish().map_err(unwritable())?;
        Ok(archive.report)
    }
}

/// Where an archive is written to. The end of one that is not whole is not: the builder would write it
/// when it is dropped.
struct Whole<'o> {
    out: &'o mut dyn Write,
    is_cut: bool,
}

impl Write for Whole<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.is_cut { Err(std::io::Error::other("cut off")) } else { self.out.write(bytes) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

struct Archive<'o> {
    builder: Builder<Whole<'o>>,
    /// The first names of files and links with several.
    linked: HashMap<InodeNo, Vec<u8>>,
    report: Report,
}

impl Archive<'_> {
    fn entry(&mut self, files: &mut Files, walk: &Walk, start: usize, step: Step) -> Result<(), FilesError> {
        let stat = step.stat;
        let path = walk.path();
        let name = match step.depth {
            0 if stat.kind == Kind::Directory => ".",
            0 => path.rsplit('/').next().unwrap_or_default(),
            _ => path.get(start..).unwrap_or_default().trim_start_matches('/'),
        };
        let mut name = host_path(name).into_owned();
        if stat.kind != Kind::Directory && stat.nlink > 1 {
            if let Some(first) = self.linked.get(&stat.ino) {
                let mut head = Head::new(EntryType::Link, &name, stat.mtime);
                head.target(first);
                self.report.hard_links += 1;
                return head.write(&mut self.builder, std::io::empty()).map_err(unwritable());
            }
            self.linked.insert(stat.ino, name.clone());
        }
        match stat.kind {
            Kind::Directory => {
                name.push(b'/');
                self.report.directories += 1;
                let head = Head::new(EntryType::Directory, &name, stat.mtime);
                head.write(&mut self.builder, std::io::empty()).map_err(unwritable())
            }
            Kind::Symlink => {
                let target = files.read_link(path)?;
                self.report.symlinks += 1;
                let mut head = Head::new(EntryType::Symlink, &name, stat.mtime);
                head.target(&host_path(&target));
                head.write(&mut self.builder, std::io::empty()).map_err(unwritable())
            }
            Kind::File => self.file(files, path, &name),
        }
    }

    fn file(&mut self, files: &mut Files, path: &str, name: &[u8]) -> Result<(), FilesError> {
        self.report.files += 1;
        let Self { builder, report, .. } = self;
        files.with_file(("read", path), Follow::Yes, READ, |volume, file| {
            let stat = volume.stat(file)?;
            let parts = volume.data_ranges(file)?;
            let data: u64 = parts.iter().map(|part| part.end - part.start).sum();
            report.bytes += data;
            let mut head = Head::new(EntryType::Regular, name, stat.mtime);
            let map = if data < stat.size { head.parts(name, stat.size, &parts) } else { Vec::new() };
            if map.is_empty() {
                head.size(stat.size);
            }
            let mut reader = PartsReader::new(volume, file, parts);
            let from = Cursor::new(map).chain(&mut reader);
            let written = head.write(builder, std::io::BufReader::with_capacity(BUFFER_BYTES, from));
            match (reader.failed(), written) {
                (Some(error), _) => Err(error.into()),
                (None, Err(error)) => Err(unwritable()(error).into()),
                (None, Ok(())) => Ok(()),
            }
        })
    }
}

fn unwritable() -> impl FnOnce(std::io::Error) -> FilesError {
    FilesError::host("write", Path::new("the archive"))
}
