//! Forks and snapshots.

use super::by::Writer;
use super::change::{Change, attempt};
use super::stand::stand_on;
use super::stored::{StoredVolume, check_free, put_header, put_new};
use crate::backing::chain::layers_of;
use crate::error::Result;
use crate::opening::checks::check_volume_name;
use crate::opening::take_over::make_uuid;
use crate::store::{Durability, KvStore};
use crate::stored::key::KeySpace;
use crate::stored::record::layer::LayerHeader;
use crate::stored::record::superblock::Layers;
use crate::types::Clock;

/// How a fork may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// As any volume.
    Writable,
    /// As a snapshot: it takes no writer until it is thawed.
    ReadOnly,
}

/// Makes a volume that holds what another one holds now: a fork, or a snapshot.
///
/// No record of a file is read or copied. The fork has the settings and quotas of the other, and the
/// same usage. What its writer has not handed to the store yet is not in the fork, as it would not be
/// after a kill at this moment. The writer is not disturbed: it goes on with its next commit.
///
/// # Durability
/// Durable when it returns, with all that was applied before.
///
/// # Errors
/// [`crate::Error::NoEntry`] if there is no volume `from`, [`crate::Error::Exist`] if there is one `to`,
/// [`crate::Error::Invalid`] for a name that no volume can have, [`crate::Error::StoreLimits`] for a
/// store whose applies are too small, [`crate::StoreError::Unavailable`] while a commit through the
/// journal is under way or while the writer commits faster than a fork is planned, in a store that does not
/// let it wait ([`crate::KvStore::exclusively`]), and the store's. Nothing has changed then.
///
/// # Cost
/// Four `get`s, one `get-limits` and one `apply`, whatever the volume holds; one `get` and one `apply`
/// more each time that a writer commits meanwhile. A volume with
/// [`MAX_LAYERS`](crate::limits::MAX_LAYERS) below it merges some of them first.
pub fn fork(
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    from: &str,
    to: &str,
    taken: Taken,
) -> Result<()> {
    fork_by(None, store, clock, (from, to), taken)
}

/// As [`fork`], by a tool or by the writer of the volume.
///
/// # Errors
/// As there, and [`crate::Error::Fenced`] for a writer who is none any more.
pub(crate) fn fork_by(
    by: Option<Writer<'_>>,
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    (from, to): (&str, &str),
    taken: Taken,
) -> Result<()> {
    check_volume_name(to)?;
    let keys = KeySpace::new(to);
    let now = clock.now();
    attempt(store, Durability::Durable, |store, number| {
        let Some(volume) = StoredVolume::read(store, from)? else { return Ok(None) };
        if let Some(writer) = by {
            writer.check_volume(&volume.superblock)?;
        }
        volume.check_at_rest()?;
        check_free(store, &keys)?;
        let mut change = Change::default();
        let Some(place) = stand_on(store, &mut change, from, &volume, now, number)? else { return Ok(None) };
        let mut superblock = volume.superblock.clone();
        (superblock.epoch, superblock.seq) = (1, 1);
        superblock.uuid = make_uuid(&[&volume.value, to.as_bytes()].concat(), now);
        if let Some(writer) = by {
            writer.mark(volume.superblock.uuid, &mut superblock.uuid);
        }
        let top = volume.new_layer(now, number, to);
        put_header(&mut change, &top, None, &LayerHeader::top(place.first_inode, place.below));
        superblock.set_layers(Some(Layers { read_only: taken == Taken::ReadOnly, ..layers_of(&top, false) }));
        put_new(&mut change, &keys, superblock, volume.settings.as_ref().map(|(record, _)| record));
        Ok(Some((change, ())))
    })
}
