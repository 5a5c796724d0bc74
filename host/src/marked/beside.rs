//! The mark beside a store: where it lies, and whether the store is what it says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::mark::{MARK_FORM, MARK_KEY, Mark};
use super::mark_file::{MarkFile, read_mark};
use super::rollback::Rollback;
use crate::{Durability, Mutation, OpenError, StoreError, SyncStore};

/// Returns the path of the mark of a store in the file at `path`: the same with `.mark` behind it.
/// Symbolic links are followed, so that one store has one mark.
pub fn mark_path(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    let mut name: OsString = path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).into_os_string();
    name.push(".mark");
    name.into()
}

/// The answer to a store that is less than its mark says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnRollback {
    /// It is not opened.
    #[default]
    Refuse,
    /// It is opened, and counts as it is from then on.
    Accept,
}

/// A store and the file of its mark.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    /// The store, for messages.
    pub(crate) store: PathBuf,
    pub(crate) mark: PathBuf,
    pub(crate) on_rollback: OnRollback,
}

impl Beside {
    /// Names the store in the file at `path`.
    pub(crate) fn of_file(path: &Path, on_rollback: OnRollback) -> Self {
        Self { store: path.into(), mark: mark_path(path), on_rollback }
    }

    /// Returns the store's own mark, of the value under its key.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] for a value that is none, unless that is accepted;
    /// [`OpenError::NewerFormat`] for one of a later form.
    pub(crate) fn own(&self, value: Option<&[u8]>) -> Result<Option<Mark>, OpenError> {
        if let Some(found) = value.and_then(Mark::later_form) {
            return Err(OpenError::NewerFormat { path: self.store.clone(), found, known: MARK_FORM });
        }
        let own = value.map(Mark::decode);
        match (own, self.on_rollback) {
            (Some(None), OnRollback::Refuse) => Err(OpenError::Damaged {
                path: self.store.clone(),
                detail: "its count of durable applies".into(),
            }),
            (own, _) => Ok(own.flatten()),
        }
    }

    /// Reads the mark; `None` if there is no whole one.
    ///
    /// # Errors
    /// The system's, as [`OpenError`].
    pub(crate) fn read(&self) -> Result<Option<Mark>, OpenError> {
        read_mark(&self.mark).map_err(|error| OpenError::io(&self.mark, error))
    }

    /// Checks a store's own mark against the one beside it, which it returns.
    ///
    /// # Errors
    /// [`OpenError::RolledBack`], unless it is accepted.
    pub(crate) fn check(&self, store: Option<Mark>) -> Result<Option<Mark>, OpenError> {
        let mark = self.read()?;
        match Rollback::find(store, mark) {
            Some(rollback) => self.judge(rollback).map(|()| mark),
            None => Ok(mark),
        }
    }

    /// Checks that no store was lost where there is none.
    ///
    /// # Errors
    /// [`OpenError::RolledBack`], unless it is accepted.
    pub(crate) fn check_missing(&self) -> Result<(), OpenError> {
        match self.read()? {
            Some(mark) => self.judge(Rollback::NoStore { mark }),
            None => Ok(()),
        }
    }

    fn judge(&self, rollback: Rollback) -> Result<(), OpenError> {
        match self.on_rollback {
            OnRollback::Accept => Ok(()),
            OnRollback::Refuse => Err(OpenError::RolledBack {
                path: self.store.clone(),
                mark: self.mark.clone(),
                rollback: Box::new(rollback),
            }),
        }
    }

    /// Puts into `copy`, which is to take the place of the store, a mark that is newer than the
    /// store's own and than the one beside it. Returns it; `None` if there has been none.
    pub(crate) fn succeed(
        &self,
        own: Option<Mark>,
        copy: &impl SyncStore,
    ) -> Result<Option<Mark>, StoreError> {
        let mark = read_mark(&self.mark).ok().flatten();
        let Some(base) = own.or(mark) else { return Ok(None) };
        let applies = mark.map_or(0, |mark| mark.applies).max(base.applies);
        let next = Mark { applies, ..base }.next();
        copy.apply(&[], &[Mutation::Put { key: MARK_KEY, value: &next.encode() }], Durability::Durable)?;
        Ok(Some(next))
    }

    /// Writes the mark beside the store, and forgets the one before.
    pub(crate) fn replace(&self, mark: &Mark) -> std::io::Result<()> {
        self.file(None).replace(mark)
    }

    pub(super) fn file(&self, found: Option<Mark>) -> MarkFile {
        MarkFile::new(self.mark.clone(), found)
    }
}
