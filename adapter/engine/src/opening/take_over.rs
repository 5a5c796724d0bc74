//! Takes a volume over, to become its only writer, or makes it.

use super::checks::{Heads, check_new, check_same_name, decode_usable};
use crate::attempts::{beside_others, busy};
use crate::backing::chain::{Chain, layers_of, new_layer, read_beside_others};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::store::{Durability, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::layer::LayerHeader;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::{Layers, Superblock};
use crate::types::{Clock, InodeNo, Kind, Timestamp};
use crate::volume::room::{check_fit, fitting_sizes};
use xxhash_rust::xxh64::xxh64;

/// A key and its value.
type Record = (Vec<u8>, Vec<u8>);

/// A volume that was taken over.
pub(super) struct Taken {
    pub(super) superblock: Superblock,
    /// Its value in the store.
    pub(super) value: Vec<u8>,
    pub(super) settings: SettingsRecord,
    pub(super) chain: Chain,
}

/// Becomes the only writer: raises the epoch of the volume, or makes one. A volume that takes no
/// writer is left as it is.
pub(super) fn take_over(
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    keys: &KeySpace,
    options: &Options,
    limits: &Limits,
    mut image: Option<&mut Image>,
) -> Result<Taken> {
    let taken = beside_others(store, &mut |store, attempts| {
        try_to_take_over(store, clock, keys, options, limits, image.as_deref_mut(), attempts)
    })?;
    taken.ok_or_else(busy)
}

/// Takes a volume over in so many attempts; `None` if others were always faster.
fn try_to_take_over(
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    keys: &KeySpace,
    options: &Options,
    limits: &Limits,
    mut image: Option<&mut Image>,
    attempts: u32,
) -> Result<Option<Taken>> {
    let key = keys.superblock().to_vec();
    // A busy writer commits between any two calls: what it leaves as it is, is not read again.
    let mut known: Option<(Option<Layers>, Chain)> = None;
    for attempt in 0..attempts {
        let heads = Heads::read(store, keys)?;
        let found = &heads.superblock;
        let mut layers = None;
        let (mut superblock, chain, records) = match found {
            Some(value) => {
                let mut superblock = decode_usable(&key, value, image.as_deref().map(Image::id))?;
                // An opener that cannot use the volume must not take it from its writer.
                check_fit(&superblock, limits)?;
                let chain = match known.take() {
                    Some((layers, chain)) if layers == superblock.layers => chain,
                    _ => match read_beside_others(store, &superblock, keys)? {
                        Some(chain) => chain,
                        None => continue,
                    },
                };
                if superblock.is_read_only() {
                    let settings = heads.settings(keys, &superblock)?;
                    return Ok(Some(Taken { superblock, value: value.clone(), settings, chain }));
                }
                layers = Some(superblock.layers);
                superblock.take_over();
                (superblock, chain, Vec::new())
            }
            None => {
                let is_free = check_new(store, keys)?;
                let now = clock.now();
                let uuid = make_uuid(options.volume.as_bytes(), now);
                let mut superblock = if let Some(image) = &mut image {
                    check_same_name(image, &options.volume)?;
                    image.superblock()?.above(image.id().clone(), uuid)
                } else {
                    let (extent_bytes, inline_bytes) = fitting_sizes(options, limits);
                    Superblock::new(uuid, extent_bytes, inline_bytes)
                };
                let (chain, mut records) = first_layer(&mut superblock, keys, is_free);
                check_fit(&superblock, limits)?;
                if image.is_none() {
                    let root = Inode::new(Kind::Directory, InodeNo::ROOT, now, Content::None);
                    let (mut key, mut value) = (Vec::new(), Vec::new());
                    let mut keys = keys.clone();
                    chain.set_in(&mut keys);
                    keys.inode(InodeNo::ROOT, &mut key);
                    root.encode(&key, &mut value);
                    records.push((key, value));
                }
                (superblock, chain, records)
            }
        };
        let settings = match heads.settings(keys, &superblock) {
            Ok(settings) => settings,
            // A store may answer with halves of before and after a change.
            Err(Error::Damaged(_)) if attempt == 0 => continue,
            Err(error) => return Err(error),
        };
        if let Some(quota) = options.quota {
            superblock.set_quota(quota);
        }
        let value = superblock.encode(&key);
        let mut mutations = vec![Mutation::Put { key: &key, value: &value }];
        mutations.extend(records.iter().map(|(key, value)| Mutation::Put { key, value }));
        let mut guards = vec![Guard { key: &key, expected: found.as_deref() }];
        // Of a new volume, nothing may be there.
        guards.extend(records.iter().map(|(key, _)| Guard { key, expected: None }));
        match store.apply(&guards, &mutations, Durability::Buffered) {
            Ok(()) => return Ok(Some(Taken { superblock, value, settings, chain })),
            // The writer or another opener was faster, or this one succeeded without knowing it: look again.
            Err(StoreError::Conflict | StoreError::UnknownOutcome) => {
                known = layers.map(|layers| (layers, chain));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Returns the layer of a new volume, with the records that make it. It is the one under the volume's
/// name if that is free: others may live on records that are there.
fn first_layer(superblock: &mut Superblock, keys: &KeySpace, is_free: bool) -> (Chain, Vec<Record>) {
    if is_free {
        return (Chain { top: keys.own_layer(), below: Vec::new(), first_inode: 0 }, Vec::new());
    }
    let header = LayerHeader::top(superblock.next_inode, Vec::new());
    let layer = new_layer(&[&superblock.uuid]);
    superblock.set_layers(Some(layers_of(&layer, superblock.lower.is_none())));
    let key = layer.header();
    let value = header.encode(&key);
    (Chain { top: layer, below: Vec::new(), first_inode: header.first_inode }, vec![(key, value)])
}

/// Makes a volume's uuid of its name, or what else tells it from others, and the time: the engine has
/// no randomness.
pub(crate) fn make_uuid(name: &[u8], now: Timestamp) -> [u8; 16] {
    let text = [name, &now.seconds.to_be_bytes(), &now.nanoseconds.to_be_bytes()].concat();
    let mut uuid = [0; 16];
    for (half, seed) in uuid.chunks_exact_mut(8).zip([1, 2]) {
        half.copy_from_slice(&xxh64(&text, seed).to_be_bytes());
    }
    uuid
}
