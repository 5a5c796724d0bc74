//! Walks over the heads of a store: what volumes and layers are, without what they hold.

use crate::error::{Error, Result};
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::store::{Entry, KvStore, StoreError};
use crate::stored::key::{range_of, tag};
use crate::stored::layer_name::LayerName;

/// The size of the first page, and of a page after one with a single head: the records of a volume
/// follow its superblock, and are not wanted.
const LEAST_PAGE_ENTRIES: u32 = 8;

/// Calls `visit` with every record of a store that is a volume's own, or the header of a layer. Without
/// `layers`, those that lie under no volume's name are passed over.
///
/// # Cost
/// About one `scan` for each thousand heads that follow one another, and one for each name that has
/// other records too.
pub(super) fn each_head(
    store: &mut dyn KvStore,
    layers: bool,
    visit: &mut dyn FnMut(&LayerName, &Entry) -> Result<()>,
) -> Result<()> {
    each_head_or_other(store, layers, &mut |layer, entry, is_head| match is_head {
        true => visit(layer, entry),
        false => Ok(()),
    })
}

/// As [`each_head`], and calls `visit` with some of the other records of each name too, at least with
/// the first one, and with `false`.
pub(super) fn each_head_or_other(
    store: &mut dyn KvStore,
    layers: bool,
    visit: &mut dyn FnMut(&LayerName, &Entry, bool) -> Result<()>,
) -> Result<()> {
    walk(store, (vec![1], &[]), layers, visit)
}

/// As [`each_head`] without layers, with the names in a range of keys alone.
pub(super) fn each_head_between(
    store: &mut dyn KvStore,
    start: Vec<u8>,
    end: &[u8],
    visit: &mut dyn FnMut(&LayerName, &Entry) -> Result<()>,
) -> Result<()> {
    walk(store, (start, end), false, &mut |layer, entry, is_head| match is_head {
        true => visit(layer, entry),
        false => Ok(()),
    })
}

fn walk(
    store: &mut dyn KvStore,
    (mut start, end): (Vec<u8>, &[u8]),
    layers: bool,
    visit: &mut dyn FnMut(&LayerName, &Entry, bool) -> Result<()>,
) -> Result<()> {
    let limits = store.limits()?;
    let most = READDIR_PAGE_ENTRIES.min(limits.max_batch_entries);
    let mut entries = LEAST_PAGE_ENTRIES.min(most);
    loop {
        if !end.is_empty() && start.as_slice() >= end {
            return Ok(());
        }
        let page = store.scan(&start, end, entries, READDIR_PAGE_BYTES.min(limits.max_batch_bytes))?;
        let Some(last) = page.last() else { return Ok(()) };
        if last.key < start {
            return Err(Error::Store(StoreError::Corrupt("a scan gave keys out of order".to_owned())));
        }
        let mut heads = 0;
        for entry in &page {
            let Some(layer) = layer_of(&entry.key) else { continue };
            if layers || matches!(layer, LayerName::Named(_)) {
                let is_head = is_head(&layer, &entry.key);
                heads += u32::from(is_head);
                visit(&layer, entry, is_head)?;
            }
        }
        let many = heads > entries / 4;
        entries = if many { entries.saturating_mul(4).min(most) } else { LEAST_PAGE_ENTRIES.min(most) };
        start = match layer_of(&last.key) {
            Some(LayerName::Number(_)) if !layers => behind_layers(),
            // The rest of its records are passed over.
            Some(layer) if !is_head(&layer, &last.key) => range_of(&layer.prefix()).1,
            _ => [last.key.as_slice(), &[0]].concat(),
        };
    }
}

/// Returns whether a key is that of a volume's own record, or of a header.
fn is_head(layer: &LayerName, key: &[u8]) -> bool {
    let rest = key.strip_prefix(layer.prefix().as_slice());
    rest.and_then(<[u8]>::first).is_some_and(|first| *first <= tag::LAYER)
}

/// Returns the layer that a key belongs to, by its form.
fn layer_of(key: &[u8]) -> Option<LayerName> {
    let (length, _) = key.split_first()?;
    LayerName::of_prefix(key.get(..1 + usize::from(*length))?)
}

/// The first key behind those of numbered layers.
fn behind_layers() -> Vec<u8> {
    let prefix = LayerName::numbered(1).prefix();
    range_of(prefix.get(..2).unwrap_or_default()).1
}
