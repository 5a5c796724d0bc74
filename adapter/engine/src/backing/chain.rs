//! The chain of layers that a volume's records are in, in the store.

use crate::error::{Error, Result};
use crate::store::KvStore;
use crate::stored::key::KeySpace;
use crate::stored::layer_name::LayerName;
use crate::stored::record::layer::{LayerHeader, LayerState, damaged};
use crate::stored::record::superblock::{Layers, Superblock};
use xxhash_rust::xxh64::xxh64;

/// The layers of a volume, from the top one down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) top: LayerName,
    pub(crate) below: Vec<LayerName>,
    /// Inodes from this number on are in the top layer alone, if anywhere.
    pub(crate) first_inode: u64,
}

impl Chain {
    /// Finds the layers that a volume's superblock names.
    ///
    /// # Cost
    /// Nothing for a volume whose records lie under its name, else one `get`.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a top layer that is not there, or is none; the store's.
    pub(crate) fn read(store: &mut dyn KvStore, superblock: &Superblock, keys: &KeySpace) -> Result<Self> {
        let Some(Layers { top: number @ 1.., .. }) = superblock.layers else {
            return Ok(Self { top: keys.own_layer(), below: Vec::new(), first_inode: 0 });
        };
        let top = LayerName::numbered(number);
        let (header, _) = read_header(store, &top)?;
        Self::of_top(top, header)
    }

    /// Returns the chain of a top layer with this header.
    pub(crate) fn of_top(top: LayerName, header: LayerHeader) -> Result<Self> {
        if header.state != LayerState::Top {
            return Err(damaged("a volume's top layer that is no top"));
        }
        if header.below.contains(&top) {
            return Err(damaged("it stands on itself"));
        }
        Ok(Self { top, below: header.below, first_inode: header.first_inode })
    }

    /// Makes keys name the records in these layers.
    pub(crate) fn set_in(&self, keys: &mut KeySpace) {
        keys.set_layers(&self.top, &self.below);
    }
}

/// Names a layer that is new in its store, by what is known of who makes it: the engine has no
/// randomness. A guard on the absence of its header tells if the name is taken after all.
pub(crate) fn new_layer(seeds: &[&[u8]]) -> LayerName {
    LayerName::numbered(seeds.iter().fold(0, |hash, seed| xxh64(seed, hash)))
}

/// The entry of a superblock for a new top layer.
pub(crate) fn layers_of(top: &LayerName, written: bool) -> Layers {
    let number = if let LayerName::Number(number) = top { *number } else { 0 };
    Layers { change: 1, top: number, written, read_only: false }
}

/// Reads the header of a layer that must be there. Returns its value too.
pub(crate) fn read_header(store: &mut dyn KvStore, layer: &LayerName) -> Result<(LayerHeader, Vec<u8>)> {
    let key = layer.header();
    let value = store.get(&[&key])?.into_iter().next().flatten().ok_or(damaged("missing"))?;
    Ok((LayerHeader::decode(&key, &value)?, value))
}

/// Reads the chain of a volume that others may change meanwhile: `superblock` may be one of before.
/// `None` if its layers are gone, so that it must be read again.
pub(crate) fn read_beside_others(
    store: &mut dyn KvStore,
    superblock: &Superblock,
    keys: &KeySpace,
) -> Result<Option<Chain>> {
    match Chain::read(store, superblock, keys) {
        Ok(chain) => Ok(Some(chain)),
        Err(error @ Error::Damaged(_)) => {
            let now = store.get(&[keys.superblock()])?.into_iter().next().flatten();
            match now.as_deref() == Some(&superblock.encode(keys.superblock())) {
                true => Err(error),
                false => Ok(None),
            }
        }
        Err(error) => Err(error),
    }
}
