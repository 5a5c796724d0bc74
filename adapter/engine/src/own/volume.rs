//! The volume that a call is about.

use super::error::{OwnError, OwnResult};
use crate::error::Error;
use crate::mounts::Mounts;
use crate::types::MountNo;
use crate::volume::Volume;
use crate::volumes::{Writer, collect_garbage};

/// Records that one step of freeing deletes at most, about.
const FREED_RECORDS: u64 = 4096;

/// Finds the mount at a path, with the number of its volume.
pub(super) fn mount_of(mounts: &Mounts, path: &str) -> OwnResult<(MountNo, usize)> {
    let mount = mounts.at(path).ok_or(OwnError::NoMount)?;
    let number = mounts.volume_number(mount).ok_or(OwnError::NoVolume)?;
    Ok((mount, number))
}

/// Returns the volume that is mounted at a path.
pub(super) fn volume_at<'m>(mounts: &'m mut Mounts, path: &str) -> OwnResult<&'m mut Volume> {
    let (mount, _) = mount_of(mounts, path)?;
    let volume = mounts.volume(mount)?;
    match volume.backing.is_image() {
        true => Err(OwnError::NoVolume),
        false => Ok(volume),
    }
}

/// As [`volume_at`], for a change.
pub(super) fn writable_at<'m>(mounts: &'m mut Mounts, path: &str) -> OwnResult<&'m mut Volume> {
    let volume = volume_at(mounts, path)?;
    volume.backing.check_alive()?;
    match volume.read_only {
        true => Err(Error::ReadOnly.into()),
        false => Ok(volume),
    }
}

impl Volume {
    /// This opener, for a volume of its own.
    pub(super) fn writer<'n>(&self, name: &'n str) -> Writer<'n> {
        Writer { epoch: self.backing.committed.epoch, name }
    }

    /// Frees all garbage of the store. Who makes garbage frees it, so that a guest does not fill the
    /// store with what no quota counts.
    pub(super) fn free_garbage(&mut self) -> OwnResult<()> {
        while !collect_garbage(&mut *self.backing.store, FREED_RECORDS)?.done {}
        Ok(())
    }
}
