//! Puts a mounted volume back to what a snapshot of it holds.

use super::error::OwnError;
use super::name::full_name;
use super::volume::{mount_of, writable_at};
use crate::error::Error;
use crate::mounts::Mounts;
use crate::store::Durability;
use crate::volumes::restore_by;

/// Gives the volume at a path the files of one of its own. What it held is gone, what waits in memory
/// included. Nothing but its root directory may be open, at any of its mounts; descriptors of the root
/// stay open. Other mounts that lie in the volume lie on the directories of their paths again.
///
/// # Durability
/// Durable when it returns.
///
/// # Errors
/// [`OwnError::Open`], [`OwnError::HasRules`], [`OwnError::Name`]; [`Error::NoEntry`] for a name that
/// the volume has not, [`Error::ReadOnly`], [`Error::Fenced`], and the store's. Nothing has changed
/// then, unless the store does not know itself: what is found next tells.
///
/// # Cost
/// A commit, that of [`restore`](crate::volumes::restore) and of opening the volume, and
/// [`collect_garbage`](crate::volumes::collect_garbage) until nothing is left.
pub fn restore(mounts: &mut Mounts, path: &str, name: &str) -> Result<(), OwnError> {
    let (mount, number) = mount_of(mounts, path)?;
    let has_policy = mounts.has_policy(number);
    let volume = writable_at(mounts, path)?;
    if has_policy {
        return Err(OwnError::HasRules);
    }
    let full = full_name(volume, name)?;
    if !volume.has_root_open_alone() {
        return Err(OwnError::Open);
    }
    // It goes, but doubts and a journal must be settled. A full store is no obstacle.
    match volume.commit(Durability::Durable) {
        Err(error) if !error.is_store_full() => return Err(error.into()),
        _ => volume.free_garbage()?,
    }
    let (writer, own) = (volume.writer(name), volume.name().to_owned());
    let restored = restore_by(Some(writer), &mut *volume.backing.store, &mut *volume.clock, &own, &full);
    let is_whole = volume.cache.dirty.is_empty();
    match restored {
        Ok(()) => mounts.forget(number),
        Err(error) => {
            // It may have been restored. What is stored is all there is, so it can be opened anew.
            if matches!(error, Error::Store(_)) && is_whole {
                mounts.forget(number);
            }
            return Err(error.into());
        }
    }
    // It is restored. If it cannot be opened now, its next use tries again; so it is with garbage.
    if let Ok(volume) = mounts.volume(mount) {
        let _ = volume.free_garbage();
    }
    Ok(())
}
