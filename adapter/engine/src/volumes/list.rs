//! Lists volumes.

use super::heads::each_head;
use super::stored::StoredVolume;
use crate::attempts::busy;
use crate::error::Result;
use crate::quota::{Quota, Used};
use crate::store::KvStore;
use crate::stored::key::KeySpace;
use crate::stored::layer_name::LayerName;
use crate::stored::record::superblock::Superblock;
use crate::types::ImageId;

/// What is known of a volume without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeInfo {
    /// Its name.
    pub name: String,
    /// Its identity, which it keeps when it is renamed.
    pub uuid: [u8; 16],
    /// How much it holds, by itself and in what it shares with others.
    pub used: Used,
    /// How much it may hold.
    pub quota: Quota,
    /// It takes no writer: it is frozen, or a snapshot.
    pub read_only: bool,
    /// Nothing was written to it since it was forked, or since the last fork of it.
    pub unchanged: bool,
    /// The image that it lies on.
    pub image: Option<ImageId>,
    /// The layers in the store that it stands on, from above, by names that stay the same. Two volumes
    /// with one of them in common share what is in it. Empty in a list: [`info`] tells them.
    pub layers: Vec<String>,
}

impl VolumeInfo {
    pub(super) fn new(name: &str, superblock: &Superblock) -> Self {
        let is_layered = superblock.layers.is_some_and(|layers| layers.top != 0);
        Self {
            name: name.to_owned(),
            uuid: superblock.uuid,
            used: superblock.used(),
            quota: superblock.quota(),
            read_only: superblock.is_read_only(),
            unchanged: is_layered && !superblock.is_top_written(),
            image: superblock.lower.as_ref().map(|lower| lower.image.clone()),
            layers: Vec::new(),
        }
    }
}

/// Calls `each` with every volume of a store, in the order of the lengths of their names and then of
/// their bytes. A volume whose superblock cannot be read comes as an error beside its name.
///
/// # Errors
/// The store's, and those of `each`.
///
/// # Cost
/// About one `scan` for each thousand volumes that have all their records in layers, as forks do, and
/// one for each other volume. Memory does not grow with their number.
pub fn list(
    store: &mut dyn KvStore,
    each: &mut dyn FnMut(&str, Result<VolumeInfo>) -> Result<()>,
) -> Result<()> {
    each_head(store, false, &mut |layer, entry| {
        let LayerName::Named(name) = layer else { return Ok(()) };
        let keys = KeySpace::new(name);
        if entry.key != keys.superblock() {
            return Ok(());
        }
        let superblock = Superblock::decode(&entry.key, &entry.value);
        each(name, superblock.map(|superblock| VolumeInfo::new(name, &superblock)))
    })
}

/// Returns what is known of one volume without opening it.
///
/// # Errors
/// [`Error::NoEntry`] if there is no such volume, [`Error::Damaged`], [`Error::Format`] and the
/// store's.
///
/// # Cost
/// Two `get`s.
pub fn info(store: &mut dyn KvStore, volume: &str) -> Result<VolumeInfo> {
    let name = volume;
    for _ in 0..16 {
        let Some(volume) = StoredVolume::read(store, name)? else { continue };
        let mut info = VolumeInfo::new(name, &volume.superblock);
        let limit = volume.settings.as_ref().and_then(|(record, _)| record.max_file_bytes());
        info.quota.file_bytes = limit;
        let top = matches!(volume.chain.top, LayerName::Number(_)).then_some(&volume.chain.top);
        info.layers = top.into_iter().chain(&volume.chain.below).map(shown).collect();
        return Ok(info);
    }
    Err(busy())
}

/// The name of a layer, for people and tools.
pub(super) fn shown(layer: &LayerName) -> String {
    match layer {
        LayerName::Named(name) => format!("={name}"),
        LayerName::Number(number) => format!("{number:016x}"),
    }
}
