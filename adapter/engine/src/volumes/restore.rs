//! Puts a volume back to what another one holds.

use super::by::Writer;
use super::change::{Change, attempt};
use super::stand::stand_on;
use super::stored::{StoredVolume, drop_top, put_header};
use crate::error::{Error, OtherImage, Result};
use crate::store::{Durability, KvStore};
use crate::stored::record::layer::LayerHeader;
use crate::stored::record::superblock::Layers;
use crate::types::Clock;

/// Gives a volume the files that another one holds now, usually a snapshot of it. Its name, identity,
/// quotas and settings stay.
///
/// What the volume held becomes garbage, unless others stand on it. A program that has the volume open
/// can store nothing any more, and must open it again.
///
/// # Durability
/// Durable when it returns.
///
/// # Errors
/// As those of [`fork`](super::fork()); [`Error::OtherImage`] if the two lie on different images,
/// [`Error::ReadOnly`] if the volume is frozen, [`Error::Invalid`] if both are the same volume.
///
/// # Cost
/// Five `get`s, one `get-limits` and one `apply`, whatever the volumes hold.
pub fn restore(store: &mut dyn KvStore, clock: &mut dyn Clock, volume: &str, from: &str) -> Result<()> {
    restore_by(None, store, clock, volume, from)
}

/// As [`restore`], by a tool or by the writer of the volume, whom it fences too.
///
/// # Errors
/// As there. For a writer, [`Error::Fenced`] if it is none any more, and [`Error::NoEntry`] for a
/// volume that is not its own.
pub(crate) fn restore_by(
    by: Option<Writer<'_>>,
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    volume: &str,
    from: &str,
) -> Result<()> {
    if volume == from {
        return Err(Error::Invalid);
    }
    let now = clock.now();
    attempt(store, Durability::Durable, |store, number| {
        let Some(target) = StoredVolume::read(store, volume)? else { return Ok(None) };
        let Some(source) = StoredVolume::read(store, from)? else { return Ok(None) };
        if let Some(writer) = by {
            writer.check_volume(&target.superblock)?;
            writer.check_own(&target, &source)?;
        }
        target.check_at_rest()?;
        source.check_at_rest()?;
        if target.superblock.is_read_only() {
            return Err(Error::ReadOnly);
        }
        let image = |volume: &StoredVolume| volume.superblock.lower.as_ref().map(|lower| lower.image.clone());
        let (recorded, given) = (image(&source), image(&target));
        if recorded.as_ref().map(|image| image.digest) != given.as_ref().map(|image| image.digest) {
            return Err(Error::OtherImage(Box::new(OtherImage { recorded, given })));
        }
        let mut change = Change::default();
        let Some(place) = stand_on(store, &mut change, from, &source, now, number)? else { return Ok(None) };
        drop_top(store, &mut change, &target)?;
        let top = target.new_layer(now, number, volume);
        put_header(&mut change, &top, None, &LayerHeader::top(place.first_inode, place.below));
        let mut superblock = target.superblock.clone();
        superblock.take_over();
        // Numbers of inodes are never given out twice in a volume.
        superblock.next_inode = superblock.next_inode.max(source.superblock.next_inode);
        superblock.set_used(source.superblock.used());
        superblock.extent_bytes = source.superblock.extent_bytes;
        superblock.inline_bytes = source.superblock.inline_bytes;
        superblock.lower.clone_from(&source.superblock.lower);
        superblock.set_layers(Some(Layers { written: false, ..target.layers_with(&top, false) }));
        target.put_superblock(&mut change, &superblock);
        Ok(Some((change, ())))
    })
}
