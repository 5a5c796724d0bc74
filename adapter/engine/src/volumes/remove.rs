//! Removes volumes.

use super::by::Writer;
use super::change::{Change, attempt};
use super::stored::{StoredVolume, drop_top};
use crate::error::Result;
use crate::store::{Durability, KvStore};

/// Removes a volume, at once or not at all. What only it used becomes garbage, which
/// [`collect_garbage`](super::collect_garbage) frees; what others stand on stays.
///
/// A program that has the volume open can store nothing any more.
///
/// # Durability
/// Durable when it returns.
///
/// # Errors
/// As those of [`fork`](super::fork()).
///
/// # Cost
/// Three `get`s, one `get-limits` and one `apply`, whatever the volume holds.
pub fn remove(store: &mut dyn KvStore, volume: &str) -> Result<()> {
    attempt(store, Durability::Durable, |store, _| {
        let Some(volume) = StoredVolume::read(store, volume)? else { return Ok(None) };
        volume.check_at_rest()?;
        let mut change = Change::default();
        volume.remove_own(&mut change);
        drop_top(store, &mut change, &volume)?;
        Ok(Some((change, ())))
    })
}

/// Removes a volume that is the own of another one, by the writer of that one.
///
/// # Errors
/// As those of [`remove`]; [`crate::Error::Fenced`] for a writer who is none any more, and
/// [`crate::Error::NoEntry`] for a volume that is not its own.
pub(crate) fn remove_own(
    writer: Writer<'_>,
    store: &mut dyn KvStore,
    owner: &str,
    volume: &str,
) -> Result<()> {
    attempt(store, Durability::Durable, |store, _| {
        let Some(owner) = StoredVolume::read(store, owner)? else { return Ok(None) };
        let Some(volume) = StoredVolume::read(store, volume)? else { return Ok(None) };
        writer.check_volume(&owner.superblock)?;
        writer.check_own(&owner, &volume)?;
        volume.check_at_rest()?;
        let mut change = Change::default();
        // Guards it: nobody may take the owner over meanwhile.
        owner.put_superblock(&mut change, &owner.superblock);
        volume.remove_own(&mut change);
        drop_top(store, &mut change, &volume)?;
        Ok(Some((change, ())))
    })
}
