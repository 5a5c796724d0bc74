//! Names beside a store, where repairs and salvages put things.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::OpenError;

/// Most damaged stores that are kept beside the repaired one.
pub(crate) const MAX_KEPT: u32 = 1000;

/// Behind the name of a store: a salvaged one that is whole and waits for its name.
pub(crate) const REPAIRED: &str = ".repaired";

/// Gives a salvaged store its name, if the salvage was cut off before it could.
pub(crate) fn resume(path: &Path) -> Result<(), OpenError> {
    let repaired = with_suffix(path, REPAIRED);
    if is_there(path)? || !is_there(&repaired)? {
        return Ok(());
    }
    rename(&repaired, path)?;
    sync_parent(path)
}

/// Returns where the store lies whose name this is, without changing anything: under the name, or
/// where a salvage left it that was cut off.
pub(crate) fn whereabouts(path: &Path) -> PathBuf {
    let repaired = with_suffix(path, REPAIRED);
    if !path.exists() && repaired.exists() { repaired } else { path.into() }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Returns the names under which a damaged store may be kept, the first ones first.
pub(crate) fn kept_names(path: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=MAX_KEPT).map(move |number| with_suffix(path, &format!(".damaged-{number}")))
}

pub(crate) fn is_there(path: &Path) -> Result<bool, OpenError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(OpenError::io(path, error)),
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), OpenError> {
    fs::rename(from, to).map_err(|error| OpenError::io(from, error))
}

pub(crate) fn sync_parent(path: &Path) -> Result<(), OpenError> {
    // Elsewhere a directory cannot be opened as a file, and the system takes care of names.
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let synced = fs::File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(|error| OpenError::io(parent, error))?;
    }
    let _ = path;
    Ok(())
}
