//! Looks for a volume without opening it.

use super::checks::{Heads, check_new, check_same_name, check_volume_name, decode_usable};
use crate::error::Result;
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::volume::room::{check_fit, check_limits};

/// Returns whether a store holds a volume of this name that [`Volume::open`](crate::Volume::open)
/// can open. Changes nothing.
///
/// If it returns false, opening would make a volume.
///
/// # Errors
/// As [`Volume::open`](crate::Volume::open).
///
/// # Cost
/// Two store calls, `get-limits` and `get`, and one more `get` if there is none.
pub fn probe(store: &mut dyn KvStore, volume: &str) -> Result<bool> {
    look_at(store, volume, None)
}

/// As [`probe`], for a volume to be opened with an image.
///
/// # Errors
/// As [`Volume::open_overlay`](crate::Volume::open_overlay).
pub fn probe_overlay(store: &mut dyn KvStore, volume: &str, image: &Image) -> Result<bool> {
    look_at(store, volume, Some(image))
}

fn look_at(store: &mut dyn KvStore, volume: &str, image: Option<&Image>) -> Result<bool> {
    check_volume_name(volume)?;
    let limits = store.limits()?;
    check_limits(&limits)?;
    let keys = KeySpace::new(volume);
    let heads = Heads::read(store, &keys)?;
    let Some(value) = &heads.superblock else {
        image.map_or(Ok(()), |image| check_same_name(image, volume))?;
        return check_new(store, &keys).map(|_| false);
    };
    let superblock = decode_usable(keys.superblock(), value, image.map(Image::id))?;
    check_fit(&superblock, &limits)?;
    heads.settings(&keys, &superblock).map(|_| true)
}
