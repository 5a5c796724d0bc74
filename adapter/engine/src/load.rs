//! Loads records from the store into memory.

use crate::backing::Backing;
use crate::backing::overlay::Layers;
use crate::cache::{Cache, Extent};
use crate::error::{Error, Result};
use crate::limits::{DIR_PRELOAD_BYTES, DIR_PRELOAD_ENTRIES};
use crate::store::Entry;
use crate::stored::key::tag;
use crate::stored::record::dentry::{self, is_storable_name};
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::{FRAME_BYTES, RecordId, Value, unseal};
use crate::types::{Dentry, ExtentIndex, InodeNo, Kind};
use std::borrow::Cow;

/// Most extents read ahead for a sequential reader.
const MAX_READ_AHEAD_EXTENTS: u64 = 8;

/// Makes sure that an inode is in memory, with its inline bytes.
///
/// # Cost
/// Nothing if it is, else one `get`.
#[inline]
pub(crate) fn node(backing: &mut Backing, cache: &mut Cache, ino: InodeNo) -> Result<()> {
    if cache.node(ino).is_some_and(|node| !node.emptied) { Ok(()) } else { read_node(backing, cache, ino) }
}

#[inline(never)]
fn read_node(backing: &mut Backing, cache: &mut Cache, ino: InodeNo) -> Result<()> {
    let mut key = Vec::with_capacity(32);
    backing.keys.inode(ino, &mut key);
    let value = backing.get(&[&key])?.into_iter().next().flatten();
    let value = value.ok_or(Error::damaged("inode", ino.0, "missing"))?;
    let below = matches!(value, Cow::Borrowed(_));
    let mut inode = Inode::decode(&key, ino, backing.committed.inline_bytes, &value)?;
    if ino == InodeNo::ROOT && inode.kind != Kind::Directory {
        return Err(Error::damaged("inode", ino.0, "the root is not a directory"));
    }
    let extent_bytes = backing.extent_bytes();
    if cache.node(ino).is_some() {
        return cache.refill(ino, inode);
    }
    if below {
        inode.extents_below = inode.extents;
        // Policies are numbered by the volume, not by its image.
        inode.clean_of = 0;
    }
    let charged = (!below).then(|| inode.charged_bytes(extent_bytes));
    let node = cache.insert_node(ino, inode, true, extent_bytes);
    (node.below, node.charged) = (below, charged);
    Ok(())
}

/// Looks a name up in a directory.
///
/// # Cost
/// Nothing for a name that was looked up before, found or not. Otherwise one call: for the first
/// name a `scan`, after which a small directory is known completely, for later ones a `get`.
#[inline]
pub(crate) fn dentry(
    backing: &mut Backing,
    cache: &mut Cache,
    dir: InodeNo,
    name: &str,
) -> Result<Option<Dentry>> {
    match known_dentry(cache, dir, name)? {
        Some(known) => Ok(known),
        None => read_dentry(backing, cache, dir, name),
    }
}

#[inline(never)]
fn read_dentry(backing: &mut Backing, cache: &mut Cache, dir: InodeNo, name: &str) -> Result<Option<Dentry>> {
    node(backing, cache, dir)?;
    let large = cache.dir_mut(dir).is_some_and(|known| known.large);
    if !large {
        match preload_dir(backing, cache, dir) {
            // An entry of another name is damaged: look this one up alone.
            Ok(()) | Err(Error::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
        if let Some(known) = known_dentry(cache, dir, name)? {
            return Ok(known);
        }
    }
    let mut key = Vec::with_capacity(32 + name.len());
    backing.keys.dentry(dir, name, &mut key);
    let value = names_of(backing, cache, dir).get(&[&key])?.into_iter().next().flatten();
    let below = matches!(value, Some(Cow::Borrowed(_)));
    let entry = value.map(|value| dentry::decode(&key, dir, &value)).transpose()?;
    cache.learn_dentry(dir, name, entry, below);
    Ok(entry)
}

/// Returns what memory knows of a name: `None` if nothing, `Some(None)` if the name does not exist.
fn known_dentry(cache: &Cache, dir: InodeNo, name: &str) -> Result<Option<Option<Dentry>>> {
    let Some(node) = cache.node(dir) else { return Ok(None) };
    if node.inode.kind != Kind::Directory {
        return Err(Error::NotDirectory);
    }
    let Some(known) = &node.dir else { return Ok(None) };
    match known.slots.get(name) {
        Some(slot) => Ok(Some(slot.entry)),
        None if known.complete => Ok(Some(None)),
        None => Ok(None),
    }
}

fn preload_dir(backing: &mut Backing, cache: &mut Cache, dir: InodeNo) -> Result<()> {
    if let Some(known) = cache.dir_mut(dir) {
        known.large = true;
    }
    let page = names(backing, cache, dir, None, DIR_PRELOAD_ENTRIES, DIR_PRELOAD_BYTES)?;
    // A store may return less than was asked for: only the count tells that this is all. In doubt,
    // the page may be of after an apply that the count knows nothing of.
    let counted = || cache.node(dir).is_some_and(|node| node.stored_size == page.len() as u64);
    let all = backing.is_live() && (page.is_empty() || counted());
    if let Some(known) = cache.dir_mut(dir) {
        known.complete = all;
        known.large = !all;
    }
    Ok(())
}

/// Reads a page of a directory from the store, in byte order of names, and notes it in memory.
/// Dirty names are not in it. An empty page is the end; a short one may not be.
pub(crate) fn names(
    backing: &mut Backing,
    cache: &mut Cache,
    dir: InodeNo,
    after: Option<&str>,
    max_entries: u32,
    max_bytes: u32,
) -> Result<Vec<(String, Dentry)>> {
    let (start, end) = (backing.keys.dentries_from(dir, after), backing.keys.dentries_end(dir));
    let (max_entries, max_bytes) =
        (max_entries.min(backing.page_entries()), max_bytes.min(backing.page_bytes()));
    let found = names_of(backing, cache, dir).scan(&start, &end, max_entries, max_bytes)?;
    let mut entries = Vec::with_capacity(found.entries.len());
    for (place, Entry { key, value }) in found.entries.iter().enumerate() {
        let name = backing
            .keys
            .dentry_name(dir, key)
            .filter(|name| is_storable_name(name))
            .ok_or(Error::damaged("directory entry", dir.0, "malformed key"))?;
        let entry = dentry::decode(key, dir, value)?;
        cache.learn_dentry(dir, name, Some(entry), found.is_below(place));
        entries.push((name.to_owned(), entry));
    }
    Ok(entries)
}

/// Makes sure that extents `[first, last]` of a file are in memory, holes included.
///
/// # Cost
/// One `get` for all that are missing, with a few more ahead for a sequential reader.
///
/// # Errors
/// [`Error::Damaged`] for a value that fails its check, or is missing in a file without holes.
pub(crate) fn extents(
    backing: &mut Backing,
    cache: &mut Cache,
    ino: InodeNo,
    first: u64,
    last: u64,
    ahead: bool,
) -> Result<()> {
    let extent_bytes = backing.extent_bytes();
    let Some(node) = cache.node_mut(ino) else { return Ok(()) };
    if !matches!(node.inode.content, Content::Extents) {
        return Ok(());
    }
    if (first..=last).all(|index| node.extents.contains_key(&index)) {
        node.read_next = last.saturating_add(1);
        return Ok(());
    }
    let mut end = last.saturating_add(1);
    if ahead {
        node.read_window = match node.read_next == first && first > 0 {
            true => (node.read_window * 2).min(MAX_READ_AHEAD_EXTENTS),
            false => 1,
        };
        node.read_next = end;
        end = end.saturating_add(node.read_window - 1).min(node.stored_end.max(end));
    }
    let dense = node.inode.extents >= node.inode.extents_end(extent_bytes);
    let (stored_end, stored_size) = (node.stored_end, node.stored_size);
    let node = cache.node(ino);
    let (mut fetch, mut holes) = (Vec::new(), Vec::new());
    for index in first..end {
        let Some(node) = node else { break };
        if node.extents.contains_key(&index) {
            continue;
        }
        if index >= stored_end || node.doomed.contains(&index) || cache.is_garbage(ino, index) {
            holes.push(index);
        } else {
            fetch.push(index);
        }
    }
    for index in holes {
        cache.insert_extent(ino, index, Extent::hole());
    }
    for batch in fetch.chunks(backing.limits.max_batch_entries.min(64) as usize) {
        let keys: Vec<Vec<u8>> = batch
            .iter()
            .map(|index| {
                let mut key = Vec::with_capacity(40);
                backing.keys.extent(ino, ExtentIndex(*index), &mut key);
                key
            })
            .collect();
        let borrowed: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let values = backing.get(&borrowed)?;
        if values.len() != batch.len() {
            return Err(Error::damaged("store answer", ino.0, "not one value for each key"));
        }
        for ((index, key), value) in batch.iter().zip(&keys).zip(values) {
            let extent = match value {
                Some(value) => check_extent(key, ino, value, *index, extent_bytes, stored_size),
                None if dense => Err(Error::damaged("extent", ino.0, "missing")),
                None => Ok(Extent::hole()),
            };
            match extent {
                Ok(extent) => cache.insert_extent(ino, *index, extent),
                Err(error) if *index <= last => return Err(error),
                // It was read ahead: the reader that asks for it gets the error.
                Err(_) => {}
            }
        }
    }
    Ok(())
}

/// The layers that hold a directory's names.
fn names_of<'b>(backing: &'b mut Backing, cache: &Cache, dir: InodeNo) -> Layers<'b> {
    backing.names(cache.node(dir).is_some_and(|node| node.below))
}

fn check_extent(
    key: &[u8],
    ino: InodeNo,
    mut value: Value,
    index: u64,
    extent_bytes: u64,
    stored_size: u64,
) -> Result<Extent> {
    let id = RecordId { tag: tag::EXTENT, name: "extent", ino: ino.0 };
    let length = unseal(key, id, &value)?.len() as u64;
    if length > extent_bytes {
        return Err(id.damaged("longer than an extent"));
    }
    let valid = stored_size.saturating_sub(index.saturating_mul(extent_bytes));
    let trimmed = length > valid;
    if trimmed {
        let kept = FRAME_BYTES + usize::try_from(valid).unwrap_or(usize::MAX);
        match &mut value {
            Cow::Owned(bytes) => bytes.truncate(kept),
            Cow::Borrowed(bytes) => *bytes = bytes.get(..kept).unwrap_or(bytes),
        }
    }
    Ok(Extent::loaded(value, trimmed))
}
