//! Repairs of a store in one file, made on a copy beside it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::copying::{Amount, copy_all};
use crate::file_names::{kept_names, sync_parent, with_suffix};
use crate::marked::{Beside, Marked};
use crate::redb_store::is_locked;
use crate::room::free_bytes;
use crate::{AnyStore, Damage, OpenError, OpenOptions, RedbSalvage, RedbStore, StoreError};

/// A copy of all that can be read of a store in one file, to be repaired and put in its place.
///
/// The store itself stays as it is, and nobody else can open it for writing, until
/// [`RepairCopy::finish`] puts the copy in its place by one rename. Killed at any moment before, the
/// store is the old one; after, the new one. What a killed repair leaves beside the store, the next
/// one removes.
#[derive(Debug)]
pub struct RepairCopy {
    /// The file of the store, behind any symbolic link.
    path: PathBuf,
    copy_path: PathBuf,
    beside: Beside,
    original: Marked<RedbSalvage>,
    copy: RedbStore,
    store: AnyStore,
    amount: Amount,
}

impl OpenOptions<'_> {
    /// Copies what can be read of the store that `url` names to a new one beside it, to repair a
    /// volume there; `None` for a store that is not one file, which is repaired where it lies.
    ///
    /// `progress` is told what has been copied so far.
    ///
    /// # Errors
    /// As [`OpenOptions::open`] for reading only; [`OpenError::NoRoom`] if the disk may not have
    /// room for a second file of the size; [`OpenError::Busy`] if another repair is running;
    /// [`OpenError::NothingLeft`] if the copy would be empty.
    pub fn repair_copy(
        &self,
        url: &str,
        progress: &mut dyn FnMut(Amount),
    ) -> Result<Option<RepairCopy>, OpenError> {
        let Some(path) = Self::file_of(url)? else { return Ok(None) };
        let named = Path::new(path);
        let beside = self.beside(named);
        let original = RedbSalvage::open_marked(beside.clone())?;
        let path = named.canonicalize().map_err(|error| OpenError::io(named, error))?;
        let copy_path = with_suffix(&path, ".repair");
        remove_leftovers(&path, &copy_path)?;
        check_room(&path)?;
        let copy = RedbStore::open(&copy_path)?;
        let unfinished = Unfinished(&copy_path);
        let fail = |error: StoreError| OpenError::of_store(&copy_path, error);
        let amount = copy_all(&original, &copy, progress).map_err(fail)?;
        if amount.entries == 0 {
            drop(copy);
            return Err(OpenError::NothingLeft { path });
        }
        copy.flush().map_err(fail)?;
        // Its mark is not beside it yet: nothing of it has been acknowledged to anybody.
        let store = self.open_over(url, AnyStore::RepairedRedb(copy.clone()))?;
        std::mem::forget(unfinished);
        Ok(Some(RepairCopy { path, copy_path, beside, original, copy, store, amount }))
    }
}

impl RepairCopy {
    /// Returns the copy, with the options that it was made with.
    pub fn store(&self) -> &AnyStore {
        &self.store
    }

    /// Returns how much was copied.
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// Returns what of the store could not be read.
    pub fn damage(&self) -> Damage {
        self.original.inner().damage()
    }

    /// Puts the copy in the place of the store. With `keep`, the store as it was stays beside it;
    /// returns its path.
    ///
    /// # Durability
    /// Durable when it returns.
    ///
    /// # Errors
    /// [`OpenError::CannotKeep`] if the store cannot stay beside the copy, as on a file system without
    /// hard links; the copy's and the system's. The store is then the old one, unless the error says
    /// otherwise.
    pub fn finish(self, keep: bool) -> Result<Option<PathBuf>, OpenError> {
        let Self { path, copy_path, beside, original, copy, store, .. } = self;
        let unfinished = Unfinished(&copy_path);
        let io = |at: &Path| {
            let at = at.to_path_buf();
            move |error| OpenError::io(&at, error)
        };
        let fail = |error: StoreError| OpenError::of_store(&copy_path, error);
        // Newer than all that was acknowledged, so that the old mark is right for the new store.
        let own = beside.succeed(original.mark(), &copy).map_err(fail)?;
        copy.close().map_err(fail)?;
        drop((copy, store));
        let old = fs::metadata(&path).map_err(io(&path))?;
        fs::set_permissions(&copy_path, old.permissions()).map_err(io(&copy_path))?;
        File::open(&copy_path).and_then(|file| file.sync_all()).map_err(io(&copy_path))?;
        let kept = if keep { Some(keep_as(&path, |from, to| fs::hard_link(from, to))?) } else { None };
        // Where an open file cannot be replaced, it must be closed first.
        #[cfg(not(unix))]
        drop(original);
        fs::rename(&copy_path, &path).map_err(io(&path))?;
        std::mem::forget(unfinished);
        sync_parent(&path)?;
        #[cfg(unix)]
        drop(original);
        if let Some(own) = own {
            // A mark that stays behind is right as well.
            let _ = beside.replace(&own);
        }
        Ok(kept)
    }

    /// Removes the copy. The store is as it was.
    pub fn discard(self) {
        let Self { copy_path, copy, store, .. } = self;
        drop((copy, store));
        drop(Unfinished(&copy_path));
    }
}

/// A copy that is removed unless it is done.
struct Unfinished<'p>(&'p Path);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}

/// Removes what a killed repair has left.
fn remove_leftovers(path: &Path, copy_path: &Path) -> Result<(), OpenError> {
    let io = |error| OpenError::io(copy_path, error);
    match is_locked(copy_path) {
        Ok(true) => return Err(OpenError::Busy { path: copy_path.into() }),
        Ok(false) => fs::remove_file(copy_path).map_err(io)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    // A new store has a name of its own until it is whole.
    let (Some(directory), Some(name)) = (path.parent(), copy_path.file_name()) else { return Ok(()) };
    let mut unfinished = OsString::from(".");
    unfinished.push(name);
    unfinished.push(".new-");
    for entry in fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let is_ours = entry.file_name().as_encoded_bytes().starts_with(unfinished.as_encoded_bytes());
        if is_ours && matches!(is_locked(&entry.path()), Ok(false)) {
            fs::remove_file(entry.path()).map_err(io)?;
        }
    }
    Ok(())
}

fn check_room(path: &Path) -> Result<(), OpenError> {
    let needed_bytes = fs::metadata(path).map_err(|error| OpenError::io(path, error))?.len();
    let free_bytes = free_bytes(path);
    if free_bytes < needed_bytes {
        return Err(OpenError::NoRoom { path: path.into(), needed_bytes, free_bytes });
    }
    Ok(())
}

/// Gives the file a second name by `link`, under which it stays.
fn keep_as(path: &Path, link: impl Fn(&Path, &Path) -> io::Result<()>) -> Result<PathBuf, OpenError> {
    for kept in kept_names(path) {
        match link(path, &kept) {
            Ok(()) => return Ok(kept),
            // A repair that was killed after this has left it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && is_same_file(path, &kept) => {
                return Ok(kept);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Err(OpenError::io(&kept, error)),
            // Systems have several errors for a file system without hard links.
            Err(source) => return Err(OpenError::CannotKeep { path: path.into(), source }),
        }
    }
    Err(OpenError::io(path, io::Error::other("too many damaged files are kept beside it; remove some")))
}

#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Elsewhere the standard library does not tell.
#[cfg(not(unix))]
fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_hard_links_is_named_and_the_way_out_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.redb");
        fs::write(&path, b"damaged").unwrap();
        for kind in [ErrorKind::PermissionDenied, ErrorKind::Unsupported, ErrorKind::Other] {
            let error = keep_as(&path, |_, _| Err(kind.into())).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("no hard links") && text.contains("--discard-damaged"), "{text}");
        }
        let full = keep_as(&path, |_, _| Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert!(matches!(full, OpenError::DiskFull { .. }), "{full}");
        let kept = keep_as(&path, |from, to| fs::hard_link(from, to)).unwrap();
        assert_eq!(kept, directory.path().join("state.redb.damaged-1"));
    }
}
