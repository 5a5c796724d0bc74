//! Gives volumes other names.

use super::change::{Change, attempt};
use super::stand::{Place, top_header};
use super::stored::{StoredVolume, check_free, put_header, put_new};
use crate::error::Result;
use crate::opening::checks::check_volume_name;
use crate::store::{Durability, KvStore};
use crate::stored::key::KeySpace;
use crate::stored::layer_name::LayerName;
use crate::stored::record::layer::LayerHeader;
use crate::types::Clock;

/// Gives a volume another name.
///
/// A program that has it open can store nothing any more. Records that lie under the old name stay
/// there, as a layer of the volume.
///
/// # Durability
/// Durable when it returns.
///
/// # Errors
/// As those of [`fork`](super::fork()).
///
/// # Cost
/// Three `get`s, one `get-limits` and one `apply`, whatever the volume holds.
pub fn rename(store: &mut dyn KvStore, clock: &mut dyn Clock, from: &str, to: &str) -> Result<()> {
    check_volume_name(to)?;
    let keys = KeySpace::new(to);
    let now = clock.now();
    attempt(store, Durability::Durable, |store, number| {
        let Some(volume) = StoredVolume::read(store, from)? else { return Ok(None) };
        volume.check_at_rest()?;
        let is_free = check_free(store, &keys)?;
        let mut change = Change::default();
        volume.remove_own(&mut change);
        let mut superblock = volume.superblock.clone();
        superblock.take_over();
        let top = &volume.chain.top;
        if matches!(top, LayerName::Named(_)) {
            let place = match superblock.is_top_written() {
                true => {
                    let (header, value) = top_header(store, top)?;
                    let frozen = header.frozen(1, volume.stamp(now, number, top));
                    put_header(&mut change, top, value, &frozen);
                    Place { below: vec![top.clone()], first_inode: superblock.next_inode }
                }
                false => Place { below: Vec::new(), first_inode: superblock.next_inode },
            };
            let layers = match place.below.is_empty() && is_free {
                true => volume.layers_with(&keys.own_layer(), false),
                false => {
                    let new = volume.new_layer(now, number, to);
                    put_header(&mut change, &new, None, &LayerHeader::top(place.first_inode, place.below));
                    volume.layers_with(&new, false)
                }
            };
            superblock.set_layers((layers.top != 0 || layers.read_only).then_some(layers));
        }
        put_new(&mut change, &keys, superblock, volume.settings.as_ref().map(|(record, _)| record));
        Ok(Some((change, ())))
    })
}
