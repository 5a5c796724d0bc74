//! Loads records from the store into memory.

use crate::backing::Backing;
use crate::backing::overlay::Found;
use crate::cache::{Cache, Extent, Names, Node};
use crate::error::{Error, Result};
use crate::limits::{DIR_PRELOAD_BYTES, DIR_PRELOAD_ENTRIES, MAX_SYMLINK_BYTES};
use crate::store::Entry;
use crate::stored::key::tag;
use crate::stored::record::dentry::{self, is_storable_name};
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::{FRAME_BYTES, RecordId, Value, unseal};
use crate::types::{Dentry, ExtentIndex, InodeNo, Kind};
use std::borrow::Cow;
use std::rc::Rc;

/// Most bytes of inodes read ahead for the reader of a listing.
const MAX_AHEAD_INODE_BYTES: usize = 4 << 20;

/// Most bytes of extents read ahead for a sequential reader, if the cache can keep twice as many.
const MAX_READ_AHEAD_BYTES: u64 = 1 << 20;

/// Most bytes of extents that one `get` asks for: a read of the longest kind, and what is read
/// ahead.
const MAX_GET_BYTES: u64 = 2 << 20;

/// Makes sure that an inode is in memory, with its inline bytes.
///
/// # Cost
/// Nothing if it is, else one `get`. While there is room, it brings the next inodes of a listing
/// too if the reader follows it.
#[inline]
pub(crate) fn node(backing: &mut Backing, cache: &mut Cache, ino: InodeNo) -> Result<()> {
    if cache.node(ino).is_some_and(|node| !node.emptied) { Ok(()) } else { read_node(backing, cache, ino) }
}

/// Makes sure that the attributes of an inode are in memory: all but its inline bytes or target.
///
/// # Cost
/// Nothing if they are, else one `get`, which brings those of the next inodes of a listing too if
/// the reader follows it.
#[inline]
pub(crate) fn attributes(backing: &mut Backing, cache: &mut Cache, ino: InodeNo) -> Result<()> {
    if cache.attributes(ino).is_some() { Ok(()) } else { read_attributes(backing, cache, ino) }
}

#[inline(never)]
fn read_attributes(backing: &mut Backing, cache: &mut Cache, ino: InodeNo) -> Result<()> {
    let next = cache.read_ahead(ino, most_read_ahead(backing));
    if !next.is_empty() {
        read_nodes(backing, cache, ino, &next);
    }
    if cache.attributes(ino).is_some() { Ok(()) } else { read_one_node(backing, cache, ino) }
}

#[inline(never)]
fn read_node(backing: &mut Backing, cache: &mut Cache, ino: InodeNo) -> Result<()> {
    let is_read = cache.node(ino).is_none() && read_followed(backing, cache, ino);
    if is_read { Ok(()) } else { read_one_node(backing, cache, ino) }
}

/// Reads an inode that is not in memory, and the next ones of a listing, if the reader follows it.
/// Returns whether it did.
fn read_followed(backing: &mut Backing, cache: &mut Cache, ino: InodeNo) -> bool {
    // Without their bytes, or in the table's place of others, the next ones are of no use here.
    if !cache.has_room_for_inodes(1) || !cache.has_room_for_content() {
        return false;
    }
    let next = cache.read_ahead(ino, most_read_ahead(backing));
    if !next.is_empty() && cache.has_room_for_inodes(1 + next.len()) {
        read_nodes(backing, cache, ino, &next);
    }
    cache.node(ino).is_some()
}

fn read_one_node(backing: &mut Backing, cache: &mut Cache, ino: InodeNo) -> Result<()> {
    let mut key = Vec::with_capacity(32);
    backing.keys.inode(ino, &mut key);
    let value = backing.get(&[&key])?.into_iter().next().flatten();
    take_node(backing, cache, ino, &key, value)
}

fn take_node(
    backing: &Backing,
    cache: &mut Cache,
    ino: InodeNo,
    key: &[u8],
    found: Option<Found>,
) -> Result<()> {
    let found = found.ok_or(Error::damaged("inode", ino.0, "missing"))?;
    let key = backing.sealing_key(&found, key);
    let inode = Inode::decode(&key, ino, backing.committed.inline_bytes, &found.value)?;
    if ino == InodeNo::ROOT && inode.kind != Kind::Directory {
        return Err(Error::damaged("inode", ino.0, "the root is not a directory"));
    }
    if cache.node(ino).is_some() {
        return cache.refill(ino, inode);
    }
    insert_node(backing, cache, ino, inode, found.is_below());
    Ok(())
}

/// Reads an inode and the `next` ones, as far as they are there and sound, and the store returns
/// them together. Whoever asks for one that is not is told.
///
/// Only their attributes are kept if the table has no room for all of them: reading many inodes once
/// must not evict those that are used. Inline bytes are kept while there is room.
fn read_nodes(backing: &mut Backing, cache: &mut Cache, ino: InodeNo, next: &[InodeNo]) {
    let inos = || std::iter::once(ino).chain(next.iter().copied());
    let room = cache.has_room_for_inodes(1 + next.len());
    let mut keys = Vec::with_capacity(1 + next.len());
    for ino in inos() {
        let mut key = Vec::with_capacity(32);
        backing.keys.inode(ino, &mut key);
        keys.push(key);
    }
    let borrowed: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let Ok(all_found) = backing.get(&borrowed) else { return };
    cache.attributes.clear();
    for ((ino, key), found) in inos().zip(&keys).zip(all_found) {
        let Some(found) = found.filter(|_| ino != InodeNo::ROOT) else { continue };
        let whole = room && cache.has_room_for_content();
        let decode = if whole { Inode::decode } else { Inode::decode_attributes };
        let key = backing.sealing_key(&found, key);
        let Ok(inode) = decode(&key, ino, backing.committed.inline_bytes, &found.value) else { continue };
        if room {
            let has_bytes = matches!(inode.content, Content::Inline(_) | Content::Target(_));
            let emptied = !whole && has_bytes && inode.size > 0;
            insert_node(backing, cache, ino, inode, found.is_below()).emptied = emptied;
        } else {
            cache.attributes.push(ino, inode);
        }
    }
}

/// Returns how many inodes one `get` reads ahead, if all of them are as long as they may be.
fn most_read_ahead(backing: &Backing) -> usize {
    let longest = usize::try_from(backing.inline_bytes()).unwrap_or(usize::MAX).max(MAX_SYMLINK_BYTES);
    (MAX_AHEAD_INODE_BYTES / longest).min(backing.limits.max_batch_entries as usize)
}

fn insert_node<'c>(
    backing: &Backing,
    cache: &'c mut Cache,
    ino: InodeNo,
    mut inode: Inode,
    below: bool,
) -> &'c mut Node {
    let extent_bytes = backing.extent_bytes();
    if below {
        inode.extents_below = inode.extents;
        // Policies are numbered by the volume, not by its image.
        inode.clean_of = 0;
    }
    let charged = (!below).then(|| inode.charged_bytes(extent_bytes));
    let node = cache.insert_node(ino, inode, true, extent_bytes);
    (node.below, node.charged) = (below, charged);
    node
}

/// Looks a name up in a directory.
///
/// # Cost
/// Nothing for a name that was looked up before, found or not. Otherwise one call. If the directory's
/// inode is not in memory, it is a `get` that brings the inode too: so a path costs one call for each
/// name of it. Otherwise it is, for a small directory, a `scan` after which the directory is known
/// completely, and for a large one a `get`.
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
    if cache.node(dir).is_none() && !read_followed(backing, cache, dir) {
        return read_node_and_dentry(backing, cache, dir, name);
    }
    node(backing, cache, dir)?;
    let many = cache.node(dir).is_some_and(|node| node.stored_size > u64::from(DIR_PRELOAD_ENTRIES));
    let large = many || cache.dir_mut(dir).is_some_and(|known| known.large);
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
    let found = backing.get_names(is_below(cache, dir), &[&key])?.into_iter().next().flatten();
    take_dentry(backing, cache, dir, name, &key, found)
}

/// Reads the inode of a directory and one of its names with one call: a call to a store at a distance
/// takes as long for two keys as for one.
fn read_node_and_dentry(
    backing: &mut Backing,
    cache: &mut Cache,
    dir: InodeNo,
    name: &str,
) -> Result<Option<Dentry>> {
    let (mut inode_key, mut key) = (Vec::with_capacity(32), Vec::with_capacity(32 + name.len()));
    backing.keys.inode(dir, &mut inode_key);
    backing.keys.dentry(dir, name, &mut key);
    let mut values = backing.get(&[&inode_key, &key])?.into_iter();
    let (inode, value) = (values.next().flatten(), values.next().flatten());
    take_node(backing, cache, dir, &inode_key, inode)?;
    match known_dentry(cache, dir, name)? {
        Some(known) => Ok(known),
        None => take_dentry(backing, cache, dir, name, &key, value),
    }
}

fn take_dentry(
    backing: &Backing,
    cache: &mut Cache,
    dir: InodeNo,
    name: &str,
    key: &[u8],
    found: Option<Found>,
) -> Result<Option<Dentry>> {
    let below = found.as_ref().is_some_and(Found::is_below);
    let decode = |found: Found| dentry::decode(&backing.sealing_key(&found, key), dir, &found.value);
    let entry = found.map(decode).transpose()?;
    cache.learn_dentry(dir, name, entry, below);
    Ok(entry)
}

/// Returns what memory knows of a name: `None` if nothing, `Some(None)` if the name does not exist.
fn known_dentry(cache: &mut Cache, dir: InodeNo, name: &str) -> Result<Option<Option<Dentry>>> {
    let Some(node) = cache.node(dir) else { return Ok(None) };
    if node.inode.kind != Kind::Directory {
        return Err(Error::NotDirectory);
    }
    let Some(known) = &node.dir else { return Ok(None) };
    match known.slots.get(name) {
        Some(slot) => Ok(Some(slot.entry)),
        None if known.lacks(name) => Ok(Some(None)),
        None => Ok(cache.listed_dentry(dir, name).map(Some)),
    }
}

fn preload_dir(backing: &mut Backing, cache: &mut Cache, dir: InodeNo) -> Result<()> {
    if let Some(known) = cache.dir_mut(dir) {
        known.large = true;
    }
    let page = names(backing, cache, dir, None, DIR_PRELOAD_ENTRIES, DIR_PRELOAD_BYTES)?;
    let count = page.names.len();
    // A store may return less than was asked for: only the count tells that this is all. In doubt,
    // the page may be of after an apply that the count knows nothing of.
    let counted = || cache.node(dir).is_some_and(|node| node.stored_size == count as u64);
    let all = backing.is_live() && page.learned && (count == 0 || counted());
    if let Some(known) = cache.dir_mut(dir) {
        known.complete = all;
        known.large = !all;
    }
    Ok(())
}

/// Reads a page of a directory from the store, in byte order of names, and notes it in memory while
/// there is room. Dirty names are not in it. An empty page is the end; a short one may not be.
pub(crate) fn names(
    backing: &mut Backing,
    cache: &mut Cache,
    dir: InodeNo,
    after: Option<&str>,
    max_entries: u32,
    max_bytes: u32,
) -> Result<Page> {
    let (start, end) = (backing.keys.dentries_from(dir, after), backing.keys.dentries_end(dir));
    let (max_entries, max_bytes) =
        (max_entries.min(backing.page_entries()), max_bytes.min(backing.page_bytes()));
    let found = backing.scan_names(is_below(cache, dir), &start, &end, max_entries, max_bytes)?;
    // The names of a large directory would evict all others.
    let node = cache.node(dir);
    let complete = node.and_then(|node| node.dir.as_ref()).is_some_and(|known| known.complete);
    let few = node.is_some_and(|node| cache.is_small_share_of_names(node.stored_size));
    let learn = !complete && (few || cache.has_room_for_names(found.entries.len()));
    let mut names = Vec::with_capacity(found.entries.len());
    let mut above = true;
    for (place, Entry { key, value }) in found.entries.iter().enumerate() {
        let name = backing
            .keys
            .dentry_name(dir, key)
            .filter(|name| is_storable_name(name))
            .ok_or(Error::damaged("directory entry", dir.0, "malformed key"))?;
        let (entry, below) = (dentry::decode(key, dir, value)?, found.is_below(place));
        above &= !below;
        let name = match learn {
            true => cache.learn_dentry(dir, name, Some(entry), below),
            false => Rc::from(name),
        };
        names.push((name, entry));
    }
    let names = Rc::new(names);
    // In doubt, the store may have changes that are undone.
    if above && !learn && backing.is_live() {
        cache.follow_names(dir, &names);
    }
    Ok(Page { names, learned: learn || complete })
}

/// A page of a directory in the store.
pub(crate) struct Page {
    pub(crate) names: Names,
    /// All of them are noted in memory.
    pub(crate) learned: bool,
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
    let kept = cache.most_extent_bytes() as u64 / extent_bytes;
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
            true => (node.read_window * 2).min(MAX_READ_AHEAD_BYTES / extent_bytes).min(kept / 2).max(1),
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
    // Each layer may have an extent of its own.
    let layers = 1 + backing.keys.layers_below() as u64;
    let most =
        u64::from(backing.limits.max_batch_entries).min((MAX_GET_BYTES / extent_bytes / layers).max(1));
    for batch in fetch.chunks(most as usize) {
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
        for ((index, key), found) in batch.iter().zip(&keys).zip(values) {
            let extent = match found {
                Some(found) => {
                    let key = backing.sealing_key(&found, key);
                    check_extent(&key, ino, found.value, *index, extent_bytes, stored_size)
                }
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

/// Returns whether a directory's own record is the image's.
fn is_below(cache: &Cache, dir: InodeNo) -> bool {
    cache.node(dir).is_some_and(|node| node.below)
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
