//! The lease: the right to write, who has it and how it is taken.

use crate::directory::{Directory, File, IoKind};
use crate::names::{MAX_EPOCH, Name, lease_name, parse_name};
use kvfs_contract::StoreError;

/// An opener's epoch, and the file that says whether it is still the newest.
///
/// The file is looked at through the descriptor that created it. A program that was held up may
/// create another file of the same name, which then means nothing.
#[derive(Debug)]
pub(crate) struct Lease<F> {
    pub(crate) epoch: u64,
    file: F,
    /// Whether the system tells that a file has no name any more.
    names_are_told: bool,
}

impl<F: File> Lease<F> {
    /// Claims an epoch. Returns `None` if it is taken, or if a greater one is already claimed.
    ///
    /// Every opener that claims a greater epoch after this returns finds this lease in the
    /// directory.
    pub(crate) fn claim<D: Directory<File = F>>(
        directory: &D,
        epoch: u64,
    ) -> Result<Option<Self>, StoreError> {
        let name = lease_name(epoch);
        let file = match directory.create(&name) {
            Ok(file) => file,
            Err(error) if error.kind == IoKind::Exists => return Ok(None),
            Err(error) => return Err(error.at(&name)),
        };
        // The name may be free because a newer opener removed it.
        if names(directory)?.iter().any(|name| name.epoch() > epoch) {
            remove(directory, &name)?;
            return Ok(None);
        }
        // The lease has its name now, unless a newer opener wrote into it and removed it.
        let status = file.status().map_err(|error| error.at(&name))?;
        Ok(Some(Self { epoch, file, names_are_told: status.names > 0 }))
    }

    /// Opens the lease of a writer, to see whether it is held; `None` if it is not there.
    pub(crate) fn of<D: Directory<File = F>>(directory: &D, epoch: u64) -> Result<Option<Self>, StoreError> {
        let name = lease_name(epoch);
        let file = match directory.open(&name) {
            Ok(file) => file,
            Err(error) if error.kind == IoKind::NotFound => return Ok(None),
            Err(error) => return Err(error.at(&name)),
        };
        let status = file.status().map_err(|error| error.at(&name))?;
        Ok(Some(Self { epoch, file, names_are_told: status.names > 0 }))
    }

    /// Gives the lease up for a newer one of the same writer. Those who read behind the writer see
    /// it before anything is in the newer segment.
    pub(crate) fn give_up<D: Directory<File = F>>(&self, directory: &D) -> Result<(), StoreError> {
        let name = lease_name(self.epoch);
        let written = self.file.write(0, b"x");
        let removed = remove(directory, &name);
        // On a full disk only the removal works; where no system tells names, only the byte counts.
        match written {
            Err(error) if removed.is_err() || !self.names_are_told => Err(error.at(&name)),
            _ => Ok(()),
        }
    }

    /// Returns whether the lease is held: nobody with a greater epoch has got as far as reading.
    ///
    /// A lease without a name is not held, because an opener that does not find it cannot write
    /// into it.
    pub(crate) fn is_held(&self) -> Result<bool, StoreError> {
        let status = self.file.status().map_err(|error| error.at(&lease_name(self.epoch)))?;
        Ok(status.size_bytes == 0 && (status.names > 0 || !self.names_are_told))
    }

    /// Takes the right to write from every older opener.
    pub(crate) fn revoke_older<D: Directory<File = F>>(&self, directory: &D) -> Result<(), StoreError> {
        for name in names(directory)? {
            let Name::Lease(epoch) = name else { continue };
            if epoch < self.epoch {
                revoke(directory, epoch)?;
            }
        }
        Ok(())
    }
}

/// Takes the right to write from an epoch: writes into its lease, and only then removes it.
fn revoke<D: Directory>(directory: &D, epoch: u64) -> Result<(), StoreError> {
    let name = lease_name(epoch);
    match directory.open_for_writing(&name) {
        Err(error) if error.kind == IoKind::NotFound => return Ok(()),
        other => other.and_then(|file| file.write(0, b"x")).map_err(|error| error.at(&name))?,
    }
    remove(directory, &name)
}

/// Lists the store's files.
pub(crate) fn names<D: Directory>(directory: &D) -> Result<Vec<Name>, StoreError> {
    let listed = directory.list().map_err(|error| error.at("the directory"))?;
    Ok(listed.iter().filter(|entry| entry.is_file).filter_map(|entry| parse_name(&entry.name)).collect())
}

/// Returns the next epoch that no entry of the directory has in its name, whether a file or not.
pub(crate) fn next_epoch<D: Directory>(directory: &D) -> Result<u64, StoreError> {
    let listed = directory.list().map_err(|error| error.at("the directory"))?;
    let numbered = listed.iter().filter_map(|entry| Some((parse_name(&entry.name)?.epoch(), &entry.name)));
    match numbered.max() {
        None => Ok(1),
        Some((newest, _)) if newest < MAX_EPOCH => Ok(newest + 1),
        Some((_, name)) => Err(StoreError::Unavailable(format!(
            "{name} has the last number that there is, and no store gets so far by itself; move it away"
        ))),
    }
}

/// Removes a name that may already be gone.
pub(crate) fn remove<D: Directory>(directory: &D, name: &str) -> Result<(), StoreError> {
    match directory.remove(name) {
        Err(error) if error.kind != IoKind::NotFound => Err(error.at(name)),
        _ => Ok(()),
    }
}
