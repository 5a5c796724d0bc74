//! Which records of a store never change again, for caches in front of it.
//!
//! The records of a frozen layer are neither changed nor added to. They go only when nobody reads them
//! any more. Its header has a stamp, which no other layer has: not one that gets the same name later,
//! and not the layer of the same name in a copy of the store that went another way. So a record of a
//! layer whose header says that it is frozen may be kept for ever, under the stamp.
//!
//! `FORMAT.md` has the records and the argument. The host's cache of frozen layers
//! (`host/stores/layer-cache`) is built on this.

use crate::stored::key::{range_of, tag};
use crate::stored::layer_name::{LayerName, garbage_prefix};
use crate::stored::record::is_sealed;
use crate::stored::record::layer::{LayerHeader, LayerState};
use crate::stored::record::superblock::{Layers, Superblock};

/// Tells a frozen layer from all others.
pub type Stamp = [u8; 16];

/// The kind of the record under a key. A layer is what the keys of its records begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'k> {
    /// The superblock of a volume, which names its top layer.
    Superblock,
    /// The header of this layer.
    Header(&'k [u8]),
    /// A record in this layer: of an inode, an entry, an extent or garbage.
    InLayer(&'k [u8]),
    /// Any other, or none of this format.
    Other,
}

/// Returns the kind of the record under `key`.
pub fn record(key: &[u8]) -> Record<'_> {
    let Some((layer, rest)) = split(key) else { return Record::Other };
    let is_volume = layer.get(1).is_some_and(|byte| *byte != 0);
    match rest {
        [tag::SUPERBLOCK] if is_volume => Record::Superblock,
        [tag::LAYER] => Record::Header(layer),
        [tag::INODE | tag::DENTRY | tag::EXTENT | tag::REAP | tag::ORPHAN, ..] => Record::InLayer(layer),
        _ => Record::Other,
    }
}

/// Returns the layer that all keys from `start` to before `end` are records of, if it is only one.
pub fn layer_of_range<'k>(start: &'k [u8], end: &[u8]) -> Option<&'k [u8]> {
    let (layer, rest) = split(start)?;
    let is_inside = end.starts_with(layer) || end == range_of(layer).1;
    (rest.first() >= Some(&tag::INODE) && is_inside).then_some(layer)
}

/// Returns the key of a layer's header.
pub fn header_key(layer: &[u8]) -> Vec<u8> {
    [layer, &[tag::LAYER]].concat()
}

/// Returns the stamp of a layer, if this is the header of a frozen one. Layers that a version froze
/// that knew no stamps have none.
pub fn stamp(key: &[u8], header: &[u8]) -> Option<Stamp> {
    let header = LayerHeader::decode(key, header).ok()?;
    header.stamp.filter(|_| header.state == LayerState::Frozen)
}

/// Returns the layers that a top layer stands on, if this is the header of one.
pub fn below_top(key: &[u8], header: &[u8]) -> Option<Vec<Vec<u8>>> {
    let header = LayerHeader::decode(key, header).ok()?;
    (header.state == LayerState::Top).then(|| header.below.iter().map(LayerName::prefix).collect())
}

/// The top layer of a volume in layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Top {
    /// What the keys of its records begin with.
    pub layer: Vec<u8>,
    /// It may have records. If not, it has none.
    pub is_written: bool,
}

/// Returns the top layer that a superblock names; `None` for a volume without layers.
pub fn top(key: &[u8], superblock: &[u8]) -> Option<Top> {
    let superblock = Superblock::decode(key, superblock).ok()?;
    let Layers { top: number @ 1.., written, .. } = superblock.layers? else { return None };
    // A journal holds changes of the top layer that may be put there without another superblock.
    let is_written = written || superblock.has_journal();
    Some(Top { layer: LayerName::numbered(number).prefix(), is_written })
}

/// Returns whether the checksum of a value holds, under its key.
pub fn is_sound(key: &[u8], value: &[u8]) -> bool {
    is_sealed(key, value)
}

/// Splits a key behind the name that it begins with.
fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*key.first()?);
    // The empty name is that of no volume, and the name of one zero byte has the list of garbage.
    if length == 0 || key.get(..2) == Some(&garbage_prefix()[..2]) {
        return None;
    }
    key.split_at_checked(1 + length)
}
