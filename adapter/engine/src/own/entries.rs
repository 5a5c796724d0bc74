//! Lists and removes snapshots and forks.

use super::error::OwnError;
use super::name::full_name;
use super::volume::{volume_at, writable_at};
use crate::mounts::Mounts;
use crate::volumes::{owned, remove_own};

/// A snapshot or fork that a guest made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnVolume {
    /// The name that the guest gave it.
    pub name: String,
    /// It takes changes: it is a fork, or a snapshot that a host has thawed.
    pub writable: bool,
    /// The bytes that it holds, as quotas count them.
    pub used_bytes: u64,
}

/// Lists the own volumes of the volume at a path, shorter names first.
///
/// # Errors
/// [`OwnError::NoMount`], [`OwnError::NoVolume`], [`crate::Error::Fenced`], and the store's.
///
/// # Cost
/// At most two `scan`s for each length of a name that any volume of the store has, and three `get`s.
pub fn entries(mounts: &mut Mounts, path: &str) -> Result<Vec<OwnVolume>, OwnError> {
    let volume = volume_at(mounts, path)?;
    let name = volume.name().to_owned();
    let found = owned(&mut *volume.backing.store, &name, volume.backing.committed.epoch)?;
    let shown = found.volumes.into_iter();
    Ok(shown
        .map(|info| OwnVolume { name: info.name, writable: !info.read_only, used_bytes: info.used.bytes })
        .collect())
}

/// Removes a volume of the own of the volume at a path, and frees what only it used.
///
/// # Durability
/// Durable when it returns. What is not freed yet after a kill, the next removal or restore frees.
///
/// # Errors
/// [`crate::Error::NoEntry`] for a name that it has not, and as those of [`super::snapshot`].
///
/// # Cost
/// That of [`remove`](crate::volumes::remove) and [`collect_garbage`](crate::volumes::collect_garbage)
/// until nothing is left.
pub fn remove(mounts: &mut Mounts, path: &str, name: &str) -> Result<(), OwnError> {
    let volume = writable_at(mounts, path)?;
    let full = full_name(volume, name)?;
    volume.free_garbage()?;
    let (writer, own) = (volume.writer(name), volume.name().to_owned());
    // Whatever comes of it, it is counted anew.
    volume.owned = None;
    remove_own(writer, &mut *volume.backing.store, &own, &full)?;
    // It is removed. What cannot be freed now, the next call frees.
    let _ = volume.free_garbage();
    Ok(())
}
