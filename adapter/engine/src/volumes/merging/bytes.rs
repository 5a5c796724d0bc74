//! Contents of files, compared.

use super::sides::{Mentioned, Read};
use crate::error::Result;
use crate::store::KvStore;
use crate::stored::key::tag;
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::{RecordId, unseal};
use crate::types::{ExtentIndex, InodeNo};
use crate::volumes::view::View;
use std::collections::BTreeSet;

/// Most extents whose bytes are in memory at once, of each state.
pub(super) const MAX_EXTENTS_HELD: usize = 16;

/// A file in one state.
pub(super) struct FileIn<'f> {
    pub(super) view: &'f mut View,
    pub(super) ino: InodeNo,
    pub(super) inode: &'f Inode,
    pub(super) mentioned: Option<&'f Mentioned>,
}

/// Reads extents, without the bytes behind `size`, each with whether it is the image's. `None` for a
/// hole.
pub(super) fn read_extents(
    store: &mut dyn KvStore,
    view: &mut View,
    ino: InodeNo,
    size: u64,
    indices: &[u64],
) -> Result<Vec<Read<Vec<u8>>>> {
    let extent_bytes = u64::from(view.volume.superblock.extent_bytes);
    let key = |index: &u64| {
        let mut key = Vec::new();
        view.keys.extent(ino, ExtentIndex(*index), &mut key);
        key
    };
    let keys: Vec<Vec<u8>> = indices.iter().map(key).collect();
    let id = RecordId { tag: tag::EXTENT, name: "extent", ino: ino.0 };
    view.read_all(store, &keys, |at, key, value| {
        let start = indices.get(at).copied().unwrap_or(0).saturating_mul(extent_bytes);
        let valid = size.saturating_sub(start).min(extent_bytes);
        let mut bytes = unseal(key, id, value)?.to_vec();
        bytes.truncate(usize::try_from(valid).unwrap_or(usize::MAX));
        Ok(bytes)
    })
}

/// Whether two states of files have the same bytes, or links the same target. Extents that neither state
/// mentions are the same.
pub(super) fn are_same(store: &mut dyn KvStore, one: FileIn<'_>, other: FileIn<'_>) -> Result<bool> {
    if one.inode.kind != other.inode.kind || one.inode.size != other.inode.size {
        return Ok(false);
    }
    let size = one.inode.size;
    let extent_bytes = u64::from(one.view.volume.superblock.extent_bytes);
    match (&one.inode.content, &other.inode.content) {
        (Content::Inline(one), Content::Inline(other)) => {
            return Ok(without_zeros(one) == without_zeros(other));
        }
        (Content::Target(one), Content::Target(other)) => return Ok(one == other),
        (Content::Inline(bytes), Content::Extents) => return is_inline(store, bytes, other),
        (Content::Extents, Content::Inline(bytes)) => return is_inline(store, bytes, one),
        (Content::Extents, Content::Extents) => {}
        _ => return Ok(true),
    }
    let end = one.inode.extents_end(extent_bytes);
    let mut indices = BTreeSet::new();
    for file in [&one, &other] {
        indices.extend(file.mentioned.into_iter().flat_map(|found| found.extents_before(file.ino, end)));
    }
    let indices: Vec<u64> = indices.into_iter().collect();
    for part in indices.chunks(MAX_EXTENTS_HELD) {
        let before = read_extents(store, one.view, one.ino, size, part)?;
        let after = read_extents(store, other.view, other.ino, size, part)?;
        if !before.iter().map(bytes_of).eq(after.iter().map(bytes_of)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file in extents has these bytes, and zeros behind them.
fn is_inline(store: &mut dyn KvStore, bytes: &[u8], file: FileIn<'_>) -> Result<bool> {
    let extent_bytes = u64::from(file.view.volume.superblock.extent_bytes);
    let mut rest = without_zeros(bytes);
    for index in 0..file.inode.extents_end(extent_bytes) {
        let found = read_extents(store, file.view, file.ino, file.inode.size, &[index])?;
        let piece = rest.get(..usize::try_from(extent_bytes).unwrap_or(usize::MAX).min(rest.len()));
        let piece = piece.unwrap_or_default();
        if found.first().map(bytes_of).unwrap_or_default() != without_zeros(piece) {
            return Ok(false);
        }
        rest = rest.get(piece.len()..).unwrap_or_default();
    }
    Ok(true)
}

fn bytes_of(extent: &Read<Vec<u8>>) -> &[u8] {
    extent.as_ref().map(|(bytes, _)| without_zeros(bytes)).unwrap_or_default()
}

/// Bytes without the zeros at their end.
pub(super) fn without_zeros(bytes: &[u8]) -> &[u8] {
    let kept = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..kept).unwrap_or_default()
}
