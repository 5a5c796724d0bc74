//! Merges layers of a volume into one, so that it stands on fewer.

use super::building::Building;
use super::change::{Change, attempt};
use super::stored::{StoredVolume, lean_on, let_go, put_header};
use crate::attempts::busy;
use crate::backing::chain::read_header;
use crate::backing::overlay::Layers;
use crate::error::Result;
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::store::{Durability, Entry, KvStore, Limits};
use crate::stored::key::{KeySpace, tag};
use crate::stored::layer_name::LayerName;
use crate::stored::record::is_tombstone;
use crate::stored::record::journal::Changes;
use crate::stored::record::layer::{LayerHeader, LayerState};
use crate::types::{Clock, Timestamp};
use std::ops::ControlFlow;

/// How often a copy is begun anew, because somebody forked the volume or took the copy for garbage.
const MAX_COPIES: u32 = 8;

/// Fewest layers that are merged to make a volume stand on fewer: a fork in so many pays for it.
const MIN_MERGED_LAYERS: usize = 8;

/// Lets a volume stand on no other layers of the store than its own: what it shares with others is
/// copied. Afterwards nothing that others do makes it read more than one layer below its top.
///
/// A writer is not disturbed. What nobody uses any more becomes garbage.
///
/// # Durability
/// Durable when it returns. After a kill the volume is as before; what was copied is garbage.
///
/// # Errors
/// As those of [`fork`](super::fork()), and [`crate::Error::Damaged`] for a record that cannot be read.
///
/// # Cost
/// Reads everything below the top layer, and writes it once, in applies of up to 1,024 records. Nothing
/// for a volume that stands on one layer or none.
pub fn flatten(store: &mut dyn KvStore, clock: &mut dyn Clock, volume: &str) -> Result<()> {
    let now = clock.now();
    merge(store, volume, now, |_, chain| Ok(chain.len()))
}

/// Merges the upper layers of a volume that stands on too many: the highest ones, until there are enough
/// of them that were merged about as often. Each record is so copied a few times at most, however many
/// forks there are.
pub(super) fn shorten(store: &mut dyn KvStore, volume: &str, now: Timestamp) -> Result<()> {
    merge(store, volume, now, |store, chain| {
        let mut levels = Vec::with_capacity(chain.len());
        for layer in chain {
            let header = read_header(store, layer)?.0;
            // The lowest one is what all began with, and usually by far the largest.
            levels.push(if header.below.is_empty() { u8::MAX } else { header.level });
        }
        let as_low = |level: u8| levels.iter().take_while(|other| **other <= level).count();
        let enough = levels.iter().map(|level| as_low(*level)).find(|count| *count >= MIN_MERGED_LAYERS);
        Ok(enough.unwrap_or(chain.len()))
    })
}

/// Chooses how many of the layers below a top are merged, from above.
type HowMany = fn(&mut dyn KvStore, &[LayerName]) -> Result<usize>;

/// Merges as many of the layers below a volume's top as `how_many` says.
fn merge(store: &mut dyn KvStore, name: &str, now: Timestamp, how_many: HowMany) -> Result<()> {
    for number in 0..MAX_COPIES {
        let Some(volume) = StoredVolume::read(store, name)? else { continue };
        volume.check_at_rest()?;
        let count = how_many(store, &volume.chain.below)?;
        if count < 2 {
            return Ok(());
        }
        let (run, rest) = volume.chain.below.split_at_checked(count).unwrap_or((&volume.chain.below, &[]));
        let copy = volume.new_layer(now, number, name);
        match copy_layers(store, &volume, run, rest, &copy)? {
            ControlFlow::Break(()) => continue,
            ControlFlow::Continue(building) => {
                if put_in_place(store, name, now, run, rest, &building)? {
                    return Ok(());
                }
            }
        }
    }
    Err(busy())
}

/// Copies what layers hold together into a new one, of which nobody knows yet but as garbage. Breaks if
/// somebody took it for that.
fn copy_layers(
    store: &mut dyn KvStore,
    volume: &StoredVolume,
    run: &[LayerName],
    rest: &[LayerName],
    copy: &LayerName,
) -> Result<ControlFlow<(), Building>> {
    let limits = store.limits()?;
    let mut level = 0;
    let mut first_inode = 2;
    for layer in run {
        let header = read_header(store, layer)?.0;
        level = level.max(header.level);
        first_inode = header.first_inode;
    }
    let header = LayerHeader {
        state: LayerState::Building,
        users: 0,
        first_inode: first_inode.max(2),
        level: level.saturating_add(1),
        below: Vec::new(),
        stamp: None,
    };
    let Some(building) = Building::begin(store, copy.clone(), header)? else {
        return Ok(ControlFlow::Break(()));
    };
    // The records are read as if the copy lay above the run, so that they come as it is to have them.
    let mut from = volume.keys.clone();
    from.set_layers(copy, run);
    let mut to = volume.keys.clone();
    to.set_layers(copy, rest);
    let (start, end) = from.tags_range(tag::GARBAGE, u8::MAX - 1);
    let changes = Changes::new();
    let mut cursor = None;
    loop {
        let layers = Layers::of_store(store, &from, &changes, limits.max_batch_entries as usize);
        let mut layers = Layers { first_layer: 1, ..layers };
        // Nobody changes these layers, so the scan goes on where it was.
        let cursor = cursor.get_or_insert_with(|| {
            let max_entries = READDIR_PAGE_ENTRIES.min(limits.max_batch_entries);
            layers.cursor(&start, &end, max_entries, READDIR_PAGE_BYTES.min(limits.max_batch_bytes / 2))
        });
        let page = layers.page(cursor, true)?.entries;
        if page.is_empty() {
            return Ok(ControlFlow::Continue(building));
        }
        let records = without_idle_tombstones(store, volume, &to, &limits, page)?;
        if !building.put(store, &limits, &records)? {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// Leaves tombstones out of a page that hide nothing below the copy. `keys` are those of the copy and of what
/// is below it.
fn without_idle_tombstones(
    store: &mut dyn KvStore,
    volume: &StoredVolume,
    keys: &KeySpace,
    limits: &Limits,
    mut page: Vec<Entry>,
) -> Result<Vec<Entry>> {
    // It is not known here what an image has.
    if volume.superblock.lower.is_some() {
        return Ok(page);
    }
    let is_hiding = |entry: &Entry| is_tombstone(&entry.key, &entry.value);
    let hidden: Vec<&[u8]> =
        page.iter().filter(|entry| is_hiding(entry)).map(|entry| entry.key.as_slice()).collect();
    if hidden.is_empty() {
        return Ok(page);
    }
    let changes = Changes::new();
    let layers = Layers::of_store(store, keys, &changes, limits.max_batch_entries as usize);
    let below = Layers { first_layer: 1, ..layers };
    let mut found = below.get(&hidden)?.into_iter();
    page.retain(|entry| !is_hiding(entry) || found.next().flatten().is_some());
    Ok(page)
}

/// Lets a volume stand on the copy of some layers instead of on these. Returns whether it does: not if it
/// stands on others by now, or if the copy was taken for garbage.
fn put_in_place(
    store: &mut dyn KvStore,
    name: &str,
    now: Timestamp,
    run: &[LayerName],
    rest: &[LayerName],
    building: &Building,
) -> Result<bool> {
    attempt(store, Durability::Durable, |store, number| {
        let Some(volume) = StoredVolume::read(store, name)? else { return Ok(None) };
        volume.check_at_rest()?;
        let mut change = Change::default();
        let stands_so = volume.chain.below.strip_prefix(run) == Some(rest);
        if !stands_so || !building.is_there(store)? {
            return Ok(Some((change, false)));
        }
        let stamp = volume.stamp(now, number, &building.layer);
        building.complete(&mut change, rest.to_vec(), Some(stamp));
        if let Some(first) = run.first() {
            let_go(store, &mut change, first)?;
        }
        if let Some(parent) = rest.first() {
            lean_on(store, &mut change, parent)?;
        }
        let (mut top, value) = read_header(store, &volume.chain.top)?;
        top.below = std::iter::once(building.layer.clone()).chain(rest.iter().cloned()).collect();
        put_header(&mut change, &volume.chain.top, Some(value), &top);
        let mut superblock = volume.superblock.clone();
        superblock.set_layers(Some(volume.layers_with(&volume.chain.top, superblock.is_top_written())));
        volume.put_superblock(&mut change, &superblock);
        Ok(Some((change, true)))
    })
}
