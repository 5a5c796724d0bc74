//! Lets new layers stand on what a volume holds now.

use super::change::Change;
use super::merge_layers::shorten;
use super::stored::{StoredVolume, lean_on, put_header};
use crate::backing::chain::read_header;
use crate::error::Result;
use crate::limits::MAX_LAYERS;
use crate::store::KvStore;
use crate::stored::layer_name::LayerName;
use crate::stored::record::layer::LayerHeader;
use crate::types::{InodeNo, Timestamp};

/// The place for a new layer: what is to be below it, and the number of the first inode that can only be
/// in it.
pub(super) struct Place {
    pub(super) below: Vec<LayerName>,
    pub(super) first_inode: u64,
}

/// Changes a volume so that one more layer can stand on all that it holds. If there is anything in its
/// top layer, that one is frozen and the volume gets a new one. Otherwise the layer stands where the top
/// does, and the volume is not changed, but the change fails if it is written to meanwhile.
///
/// `None` if the volume `name` stood on [`MAX_LAYERS`] and has merged some of them: read it again.
pub(super) fn stand_on(
    store: &mut dyn KvStore,
    change: &mut Change,
    name: &str,
    volume: &StoredVolume,
    now: Timestamp,
    attempt: u32,
) -> Result<Option<Place>> {
    let first_inode = volume.superblock.next_inode;
    let StoredVolume { superblock, chain, .. } = volume;
    if !superblock.is_top_written() {
        if let Some(parent) = chain.below.first() {
            lean_on(store, change, parent)?;
        }
        volume.put_superblock(change, superblock);
        return Ok(Some(Place { below: chain.below.clone(), first_inode }));
    }
    if chain.below.len() >= MAX_LAYERS {
        shorten(store, name, now)?;
        return Ok(None);
    }
    let (header, value) = top_header(store, &chain.top)?;
    let frozen = header.frozen(2, volume.stamp(now, attempt, &chain.top));
    put_header(change, &chain.top, value, &frozen);
    let below: Vec<LayerName> =
        std::iter::once(chain.top.clone()).chain(chain.below.iter().cloned()).collect();
    put_new_top(change, volume, now, attempt, Place { below: below.clone(), first_inode });
    Ok(Some(Place { below, first_inode }))
}

/// Gives a volume a new top layer.
pub(super) fn put_new_top(
    change: &mut Change,
    volume: &StoredVolume,
    now: Timestamp,
    attempt: u32,
    place: Place,
) {
    let top = volume.new_layer(now, attempt, "");
    put_header(change, &top, None, &LayerHeader::top(place.first_inode, place.below));
    let mut superblock = volume.superblock.clone();
    superblock.set_layers(Some(volume.layers_with(&top, false)));
    volume.put_superblock(change, &superblock);
}

/// Reads the header of a top layer. The one under the volume's name has none until it is frozen.
pub(super) fn top_header(store: &mut dyn KvStore, top: &LayerName) -> Result<(LayerHeader, Option<Vec<u8>>)> {
    match top {
        LayerName::Named(_) => Ok((LayerHeader::top(InodeNo::ROOT.0 + 1, Vec::new()), None)),
        LayerName::Number(_) => read_header(store, top).map(|(header, value)| (header, Some(value))),
    }
}
