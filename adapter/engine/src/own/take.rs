//! Commits, snapshots and forks.

use super::error::{OwnError, OwnResult};
use super::name::full_name;
use super::volume::{volume_at, writable_at};
use crate::limits::MORE_OWN_LAYERS;
use crate::mounts::Mounts;
use crate::store::Durability;
use crate::volume::Volume;
use crate::volumes::{Taken, fork_by, owned};

/// Makes everything durable that was written to the volume at a path.
///
/// # Errors
/// The store's. What waits stays dirty, and the next commit tries again.
///
/// # Cost
/// That of [`Volume::sync_all`].
pub fn commit(mounts: &mut Mounts, path: &str) -> Result<(), OwnError> {
    Ok(volume_at(mounts, path)?.sync_all()?)
}

/// Keeps what the volume at a path holds now, what waits in memory included, as a volume of its own
/// that takes no writer. A volume has at most `max_volumes` of its own.
///
/// # Durability
/// Durable when it returns, with all that was written before.
///
/// # Errors
/// [`OwnError::Name`], [`OwnError::TooMany`]; [`crate::Error::Exist`] for a name that is taken,
/// [`crate::Error::ReadOnly`], [`crate::Error::Fenced`], and the store's. Nothing has changed then, but
/// what waited may be stored.
///
/// # Cost
/// A commit, that of [`fork`](crate::volumes::fork()), and two `get`s. The first one, and each after a
/// removal or at the bound, also looks for those that there are: at most two `scan`s for each length of
/// a name that any volume of the store has, and two `get`s.
pub fn snapshot(mounts: &mut Mounts, path: &str, name: &str, max_volumes: u32) -> Result<(), OwnError> {
    writable_at(mounts, path)?.take(name, Taken::ReadOnly, max_volumes)
}

/// As [`snapshot`], as a volume that takes changes.
///
/// # Errors
/// As there.
pub fn fork(mounts: &mut Mounts, path: &str, name: &str, max_volumes: u32) -> Result<(), OwnError> {
    writable_at(mounts, path)?.take(name, Taken::Writable, max_volumes)
}

impl Volume {
    fn take(&mut self, name: &str, taken: Taken, max_volumes: u32) -> OwnResult<()> {
        let full = full_name(self, name)?;
        self.check_room(max_volumes)?;
        self.commit(Durability::Durable)?;
        let (writer, own) = (self.writer(name), self.name().to_owned());
        let backing = &mut self.backing;
        let names = (own.as_str(), full.as_str());
        fork_by(Some(writer), &mut *backing.store, &mut *self.clock, names, taken)?;
        // The fork is made. If the new top layer cannot be read now, the next commit takes it over.
        let _ = backing.follow();
        if let Some((volumes, layers)) = &mut self.owned {
            // Its own layer, and one that was frozen or merged for it.
            (*volumes, *layers) = (volumes.saturating_add(1), layers.saturating_add(2));
        }
        Ok(())
    }

    /// Fails if the volume has as many of its own as it may have, by a count that is made anew if the
    /// last one says so: tools remove volumes, too.
    fn check_room(&mut self, max_volumes: u32) -> OwnResult<()> {
        let max_layers = max_volumes.saturating_add(MORE_OWN_LAYERS);
        let has_room = |owned: &Option<(u32, u32)>| {
            owned.is_some_and(|(volumes, layers)| volumes < max_volumes && layers < max_layers)
        };
        if has_room(&self.owned) {
            return Ok(());
        }
        let name = self.name().to_owned();
        let found = owned(&mut *self.backing.store, &name, self.backing.committed.epoch)?;
        let volumes = u32::try_from(found.volumes.len()).unwrap_or(u32::MAX);
        self.owned = Some((volumes, found.layers));
        if has_room(&self.owned) { Ok(()) } else { Err(OwnError::TooMany) }
    }
}
