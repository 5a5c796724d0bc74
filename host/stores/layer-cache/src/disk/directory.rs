//! The files of a directory: their names, their sum, and which go when there are too many.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh64::xxh64;

use crate::name::LAYER_BYTES;

const ENDING: &str = ".layer";
const UNFINISHED: &str = ".unfinished-";

/// Age of an unfinished file at which its program is taken for dead.
const MAX_UNFINISHED_AGE: Duration = Duration::from_secs(600);

/// A directory of files. Others may use it too, and remove any file of it at any moment.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    max_bytes: u64,
}

impl Directory {
    /// Makes the directory if it is missing, for its owner alone.
    ///
    /// # Errors
    /// Those of the file system; [`io::ErrorKind::PermissionDenied`] for a directory that others may write
    /// to: what is in it is believed.
    pub(super) fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path)?.permissions().mode();
            if mode & 0o022 != 0 {
                let what = "others than its owner may write to it, and so to what guests read; make it 0700";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
            }
        }
        Ok(Self { path: path.to_owned(), max_bytes })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Most bytes of all files together.
    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// The files of a layer that are there now.
    pub(super) fn files_of(&self, layer: &[u8; LAYER_BYTES]) -> io::Result<Vec<PathBuf>> {
        let start = start_of(layer);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let is_of = |name: &str| name.starts_with(&start) && name.ends_with(ENDING);
            if entry.file_name().to_str().is_some_and(is_of) {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    }

    /// Writes a file of a layer. It is there whole, or not at all.
    pub(super) fn write(&self, layer: &[u8; LAYER_BYTES], bytes: &[u8]) -> io::Result<PathBuf> {
        let unique = unique();
        let unfinished = self.path.join(format!("{UNFINISHED}{unique}"));
        let path = self.path.join(format!("{}{unique}{ENDING}", start_of(layer)));
        let written = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&unfinished)?.write_all(bytes)?;
            fs::rename(&unfinished, &path)
        };
        if let Err(error) = written() {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        self.make_room()?;
        Ok(path)
    }

    /// Removes the files that were used longest ago, until the others are within the bound.
    fn make_room(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let (mut files, mut sum) = (Vec::new(), 0);
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // Another program may have removed it.
            let Ok(about) = entry.metadata() else { continue };
            let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if name.starts_with(UNFINISHED) {
                if now.duration_since(used).is_ok_and(|age| age > MAX_UNFINISHED_AGE) {
                    let _ = fs::remove_file(entry.path());
                }
            } else if name.ends_with(ENDING) {
                sum += about.len();
                files.push((used, about.len(), entry.path()));
            }
        }
        files.sort();
        for (_, bytes, path) in files {
            if sum <= self.max_bytes {
                break;
            }
            let _ = fs::remove_file(path);
            sum -= bytes;
        }
        Ok(())
    }
}

/// Notes that a file was used now. A file of another owner stays as it is.
pub(super) fn touch(file: &File) {
    let _ = file.set_modified(SystemTime::now());
}

/// What the names of a layer's files begin with.
fn start_of(layer: &[u8; LAYER_BYTES]) -> String {
    format!("{:016x}{:016x}-", xxh64(layer, 1), xxh64(layer, 2))
}

/// A part of a name that no other program gives.
fn unique() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}-{:x}", std::process::id(), now.as_nanos(), LAST.fetch_add(1, Ordering::Relaxed))
}
