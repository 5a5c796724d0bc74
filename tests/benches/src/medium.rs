//! Directories on the two media, and files that nothing has in memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::way::Medium;

const PREFIX: &str = "kvfs-bench-";

/// The directories in which a run makes its own. What it makes goes with it.
pub(crate) struct Media {
    tmpfs: PathBuf,
    disk: PathBuf,
}

impl Media {
    /// Takes directories, and makes them.
    ///
    /// # Errors
    /// The system's, with the path and the option that gives another.
    pub(crate) fn new(tmpfs: &Path, disk: &Path) -> Result<Self> {
        for (dir, option) in [(tmpfs, "--tmpfs"), (disk, "--disk")] {
            fs::create_dir_all(dir).with_context(|| {
                format!("cannot make {}: give another directory by {option}", dir.display())
            })?;
        }
        Ok(Self { tmpfs: tmpfs.to_owned(), disk: disk.to_owned() })
    }

    /// Makes an empty directory, which goes when the result is dropped.
    ///
    /// # Errors
    /// The system's, with the path.
    pub(crate) fn dir(&self, medium: Medium) -> Result<TempDir> {
        let parent = match medium {
            Medium::Tmpfs => &self.tmpfs,
            Medium::Disk => &self.disk,
        };
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent);
        made.with_context(|| format!("cannot make a directory in {}", parent.display()))
    }
}

/// Makes the system forget the files of a directory, so that the next reader waits for the disk.
/// Returns whether names and attributes are forgotten too, which takes root.
///
/// # Errors
/// The system's.
pub(crate) fn make_cold(dir: &Path) -> io::Result<bool> {
    let mut below = vec![dir.to_owned()];
    while let Some(dir) = below.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                below.push(entry.path());
            } else {
                forget(&entry.path())?;
            }
        }
    }
    Ok(forget_all())
}

#[cfg(target_os = "linux")]
fn forget(path: &Path) -> io::Result<()> {
    let file = fs::File::open(path)?;
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn forget_all() -> bool {
    fs::write("/proc/sys/vm/drop_caches", "2").is_ok()
}

#[cfg(not(target_os = "linux"))]
fn forget(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

#[cfg(not(target_os = "linux"))]
fn forget_all() -> bool {
    false
}
