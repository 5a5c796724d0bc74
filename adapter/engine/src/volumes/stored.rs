//! What is stored of a volume as a whole.

use super::change::Change;
use crate::backing::chain::{Chain, new_layer, read_beside_others, read_header};
use crate::error::{Error, Result};
use crate::opening::checks::check_volume_name;
use crate::store::{KvStore, StoreError};
use crate::stored::key::KeySpace;
use crate::stored::layer_name::LayerName;
use crate::stored::record::layer::{LayerHeader, LayerStamp, LayerState, damaged};
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::{Layers, Superblock};
use crate::types::Timestamp;
use xxhash_rust::xxh64::xxh64;

/// A volume as it is stored.
#[derive(Clone)]
pub(super) struct StoredVolume {
    pub(super) keys: KeySpace,
    pub(super) superblock: Superblock,
    /// The superblock's value.
    pub(super) value: Vec<u8>,
    /// The settings and their value, if there are any.
    pub(super) settings: Option<(SettingsRecord, Vec<u8>)>,
    pub(super) chain: Chain,
}

impl StoredVolume {
    /// Reads a volume of a store. `None` if others change it at the same time: read again.
    ///
    /// # Errors
    /// [`Error::NoEntry`] if there is none of this name, [`Error::Invalid`] for a name that no volume
    /// can have, [`Error::Damaged`], [`Error::Format`] and the store's.
    pub(super) fn read(store: &mut dyn KvStore, volume: &str) -> Result<Option<Self>> {
        check_volume_name(volume)?;
        let keys = KeySpace::new(volume);
        let mut values = store.get(&[keys.superblock(), &keys.settings()])?.into_iter();
        let (value, settings) = (values.next().flatten(), values.next().flatten());
        let value = value.ok_or(Error::NoEntry)?;
        let superblock = Superblock::decode(keys.superblock(), &value)?;
        if superblock.frozen {
            return Err(Error::Format("it is an image, not a volume"));
        }
        if !superblock.counts_names() {
            return Err(Error::Format("it is of an old format; open it once for writing, as a guest does"));
        }
        let Some(chain) = read_beside_others(store, &superblock, &keys)? else { return Ok(None) };
        let record = SettingsRecord::of_volume(&keys.settings(), settings.as_deref(), superblock.settings)?;
        record.check_known(true)?;
        let settings = settings.map(|value| (record, value));
        Ok(Some(Self { keys, superblock, value, settings, chain }))
    }

    /// Fails if a commit is under way that takes more than one apply: the records are in two places.
    pub(super) fn check_at_rest(&self) -> Result<()> {
        match self.superblock.has_journal() {
            true => Err(Error::Store(StoreError::Unavailable(
                "a large commit is under way in the volume, or was cut off; try again, or open the volume once"
                    .to_owned(),
            ))),
            false => Ok(()),
        }
    }

    /// Replaces the superblock.
    pub(super) fn put_superblock(&self, change: &mut Change, superblock: &Superblock) {
        let key = self.keys.superblock();
        change.replace(key.to_vec(), Some(self.value.clone()), Some(superblock.encode(key)));
    }

    /// Removes the volume's own records, but not those in layers.
    pub(super) fn remove_own(&self, change: &mut Change) {
        change.replace(self.keys.superblock().to_vec(), Some(self.value.clone()), None);
        if let Some((_, value)) = &self.settings {
            change.replace(self.keys.settings(), Some(value.clone()), None);
        }
    }

    /// The superblock's entry for another top layer, which replaces that of now.
    pub(super) fn layers_with(&self, top: &LayerName, written: bool) -> Layers {
        let before = self.superblock.layers;
        Layers {
            change: before.map_or(0, |layers| layers.change).wrapping_add(1),
            top: if let LayerName::Number(number) = top { *number } else { 0 },
            written,
            read_only: before.is_some_and(|layers| layers.read_only),
        }
    }

    /// Makes the stamp of a layer that is frozen now, of what no two moments have in common: the time,
    /// and the superblock of a volume that the change is guarded on.
    pub(super) fn stamp(&self, now: Timestamp, attempt: u32, layer: &LayerName) -> LayerStamp {
        let (seconds, nanoseconds) = (now.seconds.to_be_bytes(), now.nanoseconds.to_be_bytes());
        let attempt = attempt.to_be_bytes();
        let seeds: [&[u8]; 5] = [&seconds, &nanoseconds, &attempt, &self.value, &layer.prefix()];
        let mut stamp = [0; 16];
        for (part, seed) in stamp.chunks_exact_mut(8).zip(1..) {
            let hash = seeds.iter().fold(seed, |hash, seed| xxh64(seed, hash));
            part.copy_from_slice(&hash.to_be_bytes());
        }
        stamp
    }

    /// Names a new layer, for the volume `name`. Each `attempt` gives another one.
    pub(super) fn new_layer(&self, now: Timestamp, attempt: u32, name: &str) -> LayerName {
        let seed = xxh64(&self.value, u64::from(attempt)).to_be_bytes();
        new_layer(&[&now.seconds.to_be_bytes(), &now.nanoseconds.to_be_bytes(), &seed, name.as_bytes()])
    }
}

/// Puts a new superblock under a name that is free, and the settings of another volume beside it.
pub(super) fn put_new(
    change: &mut Change,
    keys: &KeySpace,
    mut superblock: Superblock,
    settings: Option<&SettingsRecord>,
) {
    if let Some(settings) = settings {
        superblock.set_settings(settings.generation());
        if let (key, Some(value)) = settings.stored(keys) {
            change.replace(key, None, Some(value));
        }
    }
    let value = superblock.encode(keys.superblock());
    change.replace(keys.superblock().to_vec(), None, Some(value));
}

/// Fails if a volume has this name. Returns whether the layer under the name is free too.
pub(super) fn check_free(store: &mut dyn KvStore, keys: &KeySpace) -> Result<bool> {
    let mut root = Vec::new();
    keys.inode(crate::types::InodeNo::ROOT, &mut root);
    let asked = [keys.superblock(), &keys.own_layer().header(), &root, &keys.settings()];
    let mut values = store.get(&asked)?.into_iter();
    let (superblock, header) = (values.next().flatten(), values.next().flatten());
    let (root, settings) = (values.next().flatten(), values.next().flatten());
    if superblock.is_some() {
        return Err(Error::Exist);
    }
    if root.is_some() && header.is_none() || settings.is_some() {
        return Err(Error::damaged("superblock", 0, "missing, though there are records of a volume"));
    }
    Ok(header.is_none())
}

/// Replaces the header of a layer.
pub(super) fn put_header(
    change: &mut Change,
    layer: &LayerName,
    before: Option<Vec<u8>>,
    header: &LayerHeader,
) {
    let key = layer.header();
    let value = header.encode(&key);
    change.replace(key, before, Some(value));
}

/// Lets one layer fewer stand on `layer`. The last one makes it garbage.
pub(super) fn let_go(store: &mut dyn KvStore, change: &mut Change, layer: &LayerName) -> Result<()> {
    let (mut header, value) = frozen_in(store, change, layer)?;
    header.users = header.users.saturating_sub(1);
    if header.users == 0 {
        header.state = LayerState::Freeing;
        change.replace(layer.garbage(), None, Some(garbage_record(layer)));
    }
    put_header(change, layer, Some(value), &header);
    Ok(())
}

/// Lets one layer more stand on `layer`, which is frozen.
pub(super) fn lean_on(store: &mut dyn KvStore, change: &mut Change, layer: &LayerName) -> Result<()> {
    let (mut header, value) = frozen_in(store, change, layer)?;
    header.users = header.users.saturating_add(1);
    put_header(change, layer, Some(value), &header);
    Ok(())
}

/// Reads the header of a frozen layer as a change has it.
fn frozen_in(store: &mut dyn KvStore, change: &Change, layer: &LayerName) -> Result<(LayerHeader, Vec<u8>)> {
    let (header, value) = match change.after(&layer.header()) {
        Some(Some(value)) => (LayerHeader::decode(&layer.header(), value)?, value.to_vec()),
        Some(None) => return Err(damaged("it stands on itself")),
        None => read_header(store, layer)?,
    };
    match header.state {
        LayerState::Frozen => Ok((header, value)),
        _ => Err(damaged("another layer stands on it, and it is not frozen")),
    }
}

/// The value under [`LayerName::garbage`].
pub(super) fn garbage_record(layer: &LayerName) -> Vec<u8> {
    let mut value = Vec::new();
    let tag = crate::stored::key::tag::GARBAGE;
    crate::stored::record::framed(&layer.garbage(), tag, &mut value, |_| {});
    value
}

/// Makes the top layer of a volume garbage.
pub(super) fn drop_top(store: &mut dyn KvStore, change: &mut Change, volume: &StoredVolume) -> Result<()> {
    let top = &volume.chain.top;
    let is_numbered = matches!(top, LayerName::Number(_));
    let (mut header, value) = match is_numbered {
        true => read_header(store, top).map(|(header, value)| (header, Some(value)))?,
        false => (LayerHeader::top(crate::types::InodeNo::ROOT.0 + 1, Vec::new()), None),
    };
    header.state = LayerState::Freeing;
    header.users = 0;
    put_header(change, top, value, &header);
    change.replace(top.garbage(), None, Some(garbage_record(top)));
    Ok(())
}
