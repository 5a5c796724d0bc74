//! Finds the volumes that another one has made as its own: `main@before` is one of `main`.

use super::by::{Writer, is_own};
use super::heads::each_head_between;
use super::list::VolumeInfo;
use super::stored::StoredVolume;
use crate::attempts::busy;
use crate::error::{Error, Result};
use crate::limits::{MAX_OWN_NAME_BYTES, MAX_VOLUME_NAME_BYTES, READDIR_PAGE_BYTES};
use crate::store::KvStore;
use crate::stored::key::{KeySpace, range_of};
use crate::stored::layer_name::LayerName;
use crate::stored::record::layer::LayerHeader;
use crate::stored::record::superblock::Superblock;
use std::collections::BTreeSet;

/// Stands between the name of a volume and that of a volume of its own.
pub(crate) const SEPARATOR: char = '@';

/// The volumes of a volume's own, and what they stand on.
#[derive(Default)]
pub(crate) struct Owned {
    /// Each by the name that its owner gave it.
    pub(crate) volumes: Vec<VolumeInfo>,
    /// How many layers they stand on together.
    pub(crate) layers: u32,
}

/// Finds the volumes of a volume's own, shorter names first. One whose superblock cannot be read is
/// none: nobody can tell whose it is.
///
/// # Errors
/// [`Error::Fenced`] for a writer who is none any more, and the store's.
///
/// # Cost
/// A `get` or two for the owner. At most two `scan`s for each length of a name that any volume of the
/// store has, one more for each thousand volumes, and one `get` for each batch of them.
pub(crate) fn owned(store: &mut dyn KvStore, owner: &str, epoch: u64) -> Result<Owned> {
    let writer = Writer { epoch, name: "" };
    let superblock = read_owner(store, owner, writer)?;
    let prefix = [owner, "@"].concat();
    let longest = MAX_VOLUME_NAME_BYTES.min(prefix.len() + MAX_OWN_NAME_BYTES);
    let bytes = READDIR_PAGE_BYTES.min(store.limits()?.max_batch_bytes);
    let mut found = Owned::default();
    let mut tops = Vec::new();
    let mut length = prefix.len() + 1;
    while length <= longest {
        let first = u8::try_from(length).unwrap_or(u8::MAX);
        let start = [[first].as_slice(), prefix.as_bytes()].concat();
        let next = store.scan(&start, &[], 1, bytes)?;
        let Some(next) = next.first() else { break };
        if !next.key.starts_with(&start) {
            // No volume has a name of the lengths between.
            length = next.key.first().map_or(length, |found| usize::from(*found)).max(length + 1);
            continue;
        }
        let (_, end) = range_of(&start);
        each_head_between(store, start, &end, &mut |layer, entry| {
            let LayerName::Named(full) = layer else { return Ok(()) };
            let keys = KeySpace::new(full);
            let (Some(name), true) = (full.strip_prefix(&prefix), entry.key == keys.superblock()) else {
                return Ok(());
            };
            if let Ok(other) = Superblock::decode(&entry.key, &entry.value)
                && is_own(&superblock, name, &other)
            {
                tops.extend(other.layers.map(|layers| LayerName::numbered(layers.top)));
                found.volumes.push(VolumeInfo::new(name, &other));
            }
            Ok(())
        })?;
        length += 1;
    }
    found.layers = count_layers(store, &tops)?;
    Ok(found)
}

fn read_owner(store: &mut dyn KvStore, owner: &str, writer: Writer<'_>) -> Result<Superblock> {
    let keys = KeySpace::new(owner);
    let value = store.get(&[keys.superblock()])?.into_iter().next().flatten().ok_or(Error::Fenced)?;
    let superblock = Superblock::decode(keys.superblock(), &value)?;
    writer.check_volume(&superblock).map(|()| superblock)
}

/// Counts the layers below these tops, and the tops. Headers that are gone or damaged count as one.
fn count_layers(store: &mut dyn KvStore, tops: &[LayerName]) -> Result<u32> {
    let most = (store.limits()?.max_batch_entries as usize).max(1);
    let mut layers: BTreeSet<LayerName> = BTreeSet::new();
    for some in tops.chunks(most) {
        let keys: Vec<Vec<u8>> = some.iter().map(LayerName::header).collect();
        let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        for (key, value) in keys.iter().zip(store.get(&asked)?) {
            if let Some(header) = value.and_then(|value| LayerHeader::decode(key, &value).ok()) {
                layers.extend(header.below);
            }
        }
    }
    Ok(u32::try_from(layers.len() + tops.len()).unwrap_or(u32::MAX))
}

/// Fails unless `volume` is one of `owner`'s own, and the writer is the owner's.
pub(crate) fn check_owned(
    store: &mut dyn KvStore,
    writer: Writer<'_>,
    owner: &str,
    volume: &str,
) -> Result<()> {
    for _ in 0..16 {
        let Some(owner) = StoredVolume::read(store, owner)? else { continue };
        let Some(volume) = StoredVolume::read(store, volume)? else { continue };
        writer.check_volume(&owner.superblock)?;
        return writer.check_own(&owner, &volume);
    }
    Err(busy())
}
