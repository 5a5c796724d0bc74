//! Salvage of a damaged store in a directory: a new store of what can be read takes its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kvfs_contract::ScanBudget;
use kvfs_file_store::{Salvaged, salvage};

use crate::OpenError;
use crate::file_names::{MAX_KEPT, REPAIRED, is_there, kept_names, rename, resume, sync_parent, with_suffix};
use crate::file_store::{FileStore, Inner};
use crate::std_directory::directory;

/// A store that was salvaged.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileSalvage {
    /// Counts of what was taken, and what was not found.
    pub report: Salvaged,
    /// The directory as it was, beside the store.
    pub kept: PathBuf,
}

impl FileStore {
    /// Copies what can be read of a damaged store to a new one beside it, which then takes the name
    /// `path`. The damaged directory stays as `PATH.damaged-N`.
    ///
    /// Programs that have the store open lose it: their next change opens the new one. Volumes should be repaired next
    /// (`kvfs fsck --repair`): the states of their keys may be of different moments.
    ///
    /// # Durability
    /// Durable when it returns. Killed at any moment, it leaves the old store or the new one under
    /// `path`, or nothing there and the new one as `PATH.repaired`, where [`FileStore::open`] finds
    /// it and gives it its name. The next salvage removes other leftovers.
    ///
    /// # Errors
    /// [`OpenError::NoStore`] where there is none; [`OpenError::NothingLeft`] if the new store would be
    /// empty; [`OpenError::Busy`] if another program writes to it meanwhile; [`OpenError::DiskFull`] if there is no room for
    /// a second store; the system's. The store is the old one then, unless the error names
    /// `PATH.repaired`.
    pub fn salvage(path: impl AsRef<Path>) -> Result<FileSalvage, OpenError> {
        let path = path.as_ref();
        resume(path)?;
        if !path.exists() {
            return Err(OpenError::NoStore { path: path.into() });
        }
        Self::check(path)?;
        // The store lies behind the link that names it.
        let path = &path.canonicalize().map_err(|error| OpenError::io(path, error))?;
        remove_leftovers(path)?;
        let unfinished = Unfinished(with_suffix(path, &format!(".repairing-{}", std::process::id())));
        let before = newest_number(path)?;
        let report = fill(path, &unfinished.0)?;

        // From here on the new store is whole, which its name says.
        let repaired = with_suffix(path, REPAIRED);
        rename(&unfinished.0, &repaired)?;
        std::mem::forget(unfinished);
        sync_parent(path)?;
        let kept = keep(path)?;
        // The salvage took the next number. Another program that took one later may have stored
        // something in the old store; none can any more, under its new name.
        if newest_number(&kept)? != before + 1 {
            rename(&kept, path)?;
            sync_parent(path)?;
            fs::remove_dir_all(&repaired).map_err(|error| OpenError::io(&repaired, error))?;
            return Err(OpenError::Busy { path: path.into() });
        }
        sync_parent(path)?;
        resume(path)?;
        Ok(FileSalvage { report, kept })
    }
}

/// Makes the new store.
fn fill(path: &Path, new: &Path) -> Result<Salvaged, OpenError> {
    fs::create_dir(new).map_err(|error| OpenError::io(new, error))?;
    let fail = |error| OpenError::of_store(path, error);
    let mut to = Inner::open(directory(new)?).map_err(fail)?;
    let report = salvage(&directory(path)?, &mut to).map_err(fail)?;
    if to.page(b"", b"", first_only()).map_err(fail)?.is_empty() {
        return Err(OpenError::NothingLeft { path: path.into() });
    }
    to.end().map_err(fail)?;
    let permissions = fs::metadata(path).map_err(|error| OpenError::io(path, error))?.permissions();
    fs::set_permissions(new, permissions).map_err(|error| OpenError::io(new, error))?;
    Ok(report)
}

/// Returns the greatest number of a file of the store; 0 without any.
fn newest_number(path: &Path) -> Result<u64, OpenError> {
    let mut newest = 0;
    for entry in fs::read_dir(path).map_err(|error| OpenError::io(path, error))? {
        let name = entry.map_err(|error| OpenError::io(path, error))?.file_name();
        let own = name.to_str().filter(|name| kvfs_file_store::is_own_name(name));
        let number = own.and_then(|name| u64::from_str_radix(name.split('.').next()?, 16).ok());
        newest = newest.max(number.unwrap_or(0));
    }
    Ok(newest)
}

/// Takes one entry of a page.
fn first_only() -> impl FnMut(usize) -> bool {
    let mut budget = ScanBudget::new(1, 0);
    move |entry_bytes| budget.take(entry_bytes)
}

/// Gives the damaged directory another name.
fn keep(path: &Path) -> Result<PathBuf, OpenError> {
    for kept in kept_names(path) {
        if !is_there(&kept)? {
            rename(path, &kept)?;
            return Ok(kept);
        }
    }
    let text = format!("{MAX_KEPT} damaged directories are kept beside it; remove some");
    Err(OpenError::io(path, io::Error::other(text)))
}

/// Removes what an earlier salvage left. Beside a store, a salvaged one is out of date.
fn remove_leftovers(path: &Path) -> Result<(), OpenError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let mut unfinished = name.to_os_string();
    unfinished.push(".repairing-");
    let mut repaired = name.to_os_string();
    repaired.push(REPAIRED);
    for entry in fs::read_dir(parent).map_err(|error| OpenError::io(parent, error))? {
        let entry = entry.map_err(|error| OpenError::io(parent, error))?;
        let name = entry.file_name();
        if name == repaired || name.as_encoded_bytes().starts_with(unfinished.as_encoded_bytes()) {
            let leftover = entry.path();
            // It was ours only if it is a store.
            FileStore::check(&leftover)?;
            fs::remove_dir_all(&leftover).map_err(|error| OpenError::io(&leftover, error))?;
        }
    }
    Ok(())
}

/// A new store that is removed unless it is finished.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
