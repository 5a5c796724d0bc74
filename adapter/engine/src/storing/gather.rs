//! Gathers what is dirty into a batch.

use crate::backing::batch::Batch;
use crate::cache::Cache;
use crate::cache::dirty::DirtyName;
use crate::sort::sorted;
use crate::store::Limits;
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::{dentry, reap, seal};
use crate::types::{ExtentIndex, InodeNo};
use crate::volume::room::RECORD_OVERHEAD_BYTES;

/// Longest key of an extent.
const MAX_EXTENT_KEY_BYTES: usize = 1 + 255 + 1 + 16;

/// A dirty extent on its way to the store.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Outgoing {
    pub(super) ino: InodeNo,
    pub(super) index: u64,
    pub(super) value_bytes: usize,
}

impl Outgoing {
    /// Adds the extent to a batch.
    pub(super) fn push_to(&self, batch: &mut Batch, keys: &KeySpace) {
        let (ino, index) = (self.ino, self.index);
        batch.put_extent(|key| keys.extent(ino, ExtentIndex(index), key), ino, index, self.value_bytes);
    }
}

/// Adds everything dirty except extents: removals, names, inodes, and announcements of garbage.
pub(super) fn gather_metadata(cache: &Cache, keys: &KeySpace, batch: &mut Batch) {
    for removed in &cache.dirty.removed {
        let ino = removed.ino;
        if removed.inode_stored {
            batch.delete(|key| keys.inode(ino, key));
        }
        if removed.orphan_stored {
            batch.delete(|key| keys.orphan(ino, key));
        }
        for name in &removed.names {
            batch.delete(|key| keys.dentry(ino, name, key));
        }
        for index in &removed.extents {
            batch.delete(|key| keys.extent(ino, ExtentIndex(*index), key));
        }
    }
    for DirtyName { dir, hash, name } in &cache.dirty.dentries {
        let Some(known) = cache.node(*dir).and_then(|node| node.dir.as_ref()) else { continue };
        let Some(slot) = known.slots.get_hashed(*hash, name).filter(|slot| slot.dirty) else { continue };
        match slot.entry {
            Some(entry) => {
                let value = |key: &[u8], value: &mut Vec<u8>| dentry::encode(entry, key, value);
                batch.put(|key| keys.dentry(*dir, name, key), value);
            }
            None if slot.stored => batch.delete(|key| keys.dentry(*dir, name, key)),
            None => {}
        }
    }
    for ino in &cache.dirty.inodes {
        let Some(node) = cache.node(*ino).filter(|node| node.dirty) else { continue };
        for index in &node.doomed {
            batch.delete(|key| keys.extent(*ino, ExtentIndex(*index), key));
        }
        let value = |key: &[u8], value: &mut Vec<u8>| node.inode.encode(key, value);
        batch.put(|key| keys.inode(*ino, key), value);
        if node.inode.nlink == 0 && (node.orphan_dirty || !node.orphan_stored) {
            batch.put(|key| keys.orphan(*ino, key), reap::encode_orphan);
        }
    }
    if cache.dirty.reaps > 0 {
        for (ino, pending) in cache.reaps.iter().filter(|(_, reap)| reap.dirty) {
            let record = reap::Reap { ino: *ino, from: pending.from, to: pending.to };
            let value = |key: &[u8], value: &mut Vec<u8>| reap::encode(record, key, value);
            batch.put(|key| keys.reap(*ino, key), value);
        }
    }
}

/// Seals the dirty extents. Returns those that are bound to their inodes, and the others.
pub(super) fn gather_extents(cache: &mut Cache, keys: &KeySpace) -> (Vec<Outgoing>, Vec<Outgoing>) {
    let (mut bound, mut free) = (Vec::new(), Vec::new());
    if cache.dirty.extents.is_empty() {
        return (bound, free);
    }
    let mut key = Vec::with_capacity(64);
    let extents = std::mem::take(&mut cache.dirty.extents);
    for (ino, index) in &extents {
        let Some(extent) = cache.node_mut(*ino).and_then(|node| node.extents.get_mut(index)) else {
            continue;
        };
        if !extent.dirty {
            continue;
        }
        key.clear();
        keys.extent(*ino, ExtentIndex(*index), &mut key);
        seal(&key, tag::EXTENT, extent.value.to_mut());
        let outgoing = Outgoing { ino: *ino, index: *index, value_bytes: extent.value.len() };
        if extent.with_inode { bound.push(outgoing) } else { free.push(outgoing) }
    }
    cache.dirty.extents = extents;
    // An extent that was cut off and written again is listed twice.
    let once = |list| {
        let mut list = sorted(list);
        list.dedup();
        list
    };
    (once(bound), once(free))
}

/// Returns whether the metadata, the superblock and these extents fit one apply.
pub(super) fn all_fit(limits: &Limits, metadata: &Batch, extents: &[Outgoing]) -> bool {
    let bytes: usize = extents.iter().map(|extent| extent.value_bytes + MAX_EXTENT_KEY_BYTES).sum();
    metadata.len() + extents.len() < limits.max_batch_entries as usize
        && metadata.batch_bytes + bytes + RECORD_OVERHEAD_BYTES as usize <= limits.max_batch_bytes as usize
}
