//! Compares a mounted volume with a snapshot of it.

use super::error::OwnError;
use super::name::full_name;
use super::volume::{mount_of, volume_at};
use crate::limits::MAX_OWN_DIFF_BYTES;
use crate::mounts::Mounts;
use crate::store::Durability;
use crate::volumes::{Difference, check_owned, diff_within};

/// Finds what differs from one of the own of the volume at a path to what the volume holds now, what
/// waits in memory included, in the order of the paths.
///
/// # Errors
/// [`OwnError::HasRules`], [`OwnError::Name`]; [`OwnError::TooDifferent`] if it would take more memory
/// than [`MAX_OWN_DIFF_BYTES`]; [`crate::Error::NoEntry`] for a name that the volume has
/// not, and as those of [`diff`](crate::volumes::diff).
///
/// # Cost
/// A commit, and that of [`diff`](crate::volumes::diff): it grows with what differs, memory too, up to
/// about [`MAX_OWN_DIFF_BYTES`].
pub fn diff(mounts: &mut Mounts, path: &str, since: &str) -> Result<Vec<Difference>, OwnError> {
    let (_, number) = mount_of(mounts, path)?;
    let has_policy = mounts.has_policy(number);
    let volume = volume_at(mounts, path)?;
    if has_policy {
        return Err(OwnError::HasRules);
    }
    let full = full_name(volume, since)?;
    volume.commit(Durability::Buffered)?;
    let (writer, own, image) = (volume.writer(since), volume.name().to_owned(), volume.backing.image());
    let store = &mut *volume.backing.store;
    check_owned(store, writer, &own, &full)?;
    let found = diff_within(store, &full, &own, image.as_ref(), MAX_OWN_DIFF_BYTES)?;
    // A host may have given the name to another volume meanwhile.
    check_owned(store, writer, &own, &full)?;
    found.ok_or(OwnError::TooDifferent)
}
