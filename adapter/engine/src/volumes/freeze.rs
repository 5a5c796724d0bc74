//! Volumes that take no writer.

use super::change::{Change, attempt};
use super::stored::StoredVolume;
use crate::error::Result;
use crate::store::{Durability, KvStore};

/// Lets a volume take no writer any more. Whoever opens it can only read.
///
/// This takes the volume from a program that has it open: what that has not stored is lost, as by a
/// kill. A volume that is frozen already stays as it is.
///
/// # Durability
/// Durable when it returns.
///
/// # Errors
/// As those of [`fork`](super::fork()).
///
/// # Cost
/// Two `get`s, one `get-limits` and one `apply`.
pub fn freeze(store: &mut dyn KvStore, volume: &str) -> Result<()> {
    set_read_only(store, volume, true)
}

/// Lets a frozen volume, or a snapshot, take writers again.
///
/// Durability, errors and cost are those of [`freeze`].
///
/// # Errors
/// As there.
pub fn thaw(store: &mut dyn KvStore, volume: &str) -> Result<()> {
    set_read_only(store, volume, false)
}

fn set_read_only(store: &mut dyn KvStore, volume: &str, read_only: bool) -> Result<()> {
    attempt(store, Durability::Durable, |store, _| {
        let Some(volume) = StoredVolume::read(store, volume)? else { return Ok(None) };
        volume.check_at_rest()?;
        let mut change = Change::default();
        let mut superblock = volume.superblock.clone();
        if superblock.is_read_only() != read_only {
            superblock.take_over();
            let mut layers = volume.layers_with(&volume.chain.top, volume.superblock.is_top_written());
            layers.read_only = read_only;
            // Without layers and frozen no more, it is of the format that older versions know.
            superblock.set_layers((read_only || layers.top != 0).then_some(layers));
        }
        volume.put_superblock(&mut change, &superblock);
        Ok(Some((change, ())))
    })
}
