//! Pages that list garbage, for garbage beyond what a root holds.

use crate::bucket::{Bucket, BucketError};
use crate::error::damaged;
use crate::names::Extent;
use crate::pages::{Pages, Writer};
use crate::wire::{Read, Write, seal, unseal};
use kvfs_contract::StoreError;

/// Extents in one page.
const SPILLED_EXTENTS: usize = 2000;

/// Writes pages that list garbage.
pub(crate) fn spill<B: Bucket>(writer: &mut Writer<'_, B>, garbage: &[Extent]) -> Result<Extent, StoreError> {
    let first = writer.next;
    let mut spilled = None;
    for extents in garbage.chunks(SPILLED_EXTENTS) {
        let id = writer.page(|name| {
            let mut out = Vec::new();
            out.u32(extents.len() as u32);
            extents.iter().for_each(|extent| extent.write(&mut out));
            seal(name, out)
        })?;
        spilled.get_or_insert(Extent { first: id, count: 0 }).count += 1;
    }
    debug_assert_eq!(spilled.map(|extent| extent.first.number), Some(first));
    spilled.ok_or_else(|| StoreError::Unavailable("there is no garbage".into()))
}

/// Reads the pages that list garbage. A missing one was removed, after the garbage it listed.
pub(crate) fn spilled_garbage<B: Bucket>(
    pages: &Pages<B>,
    spilled: Extent,
) -> Result<Vec<Extent>, StoreError> {
    let mut garbage = Vec::new();
    for page in spilled.pages() {
        let name = page.name();
        let value = pages.bucket.get(&name).map_err(|error: BucketError| error.at(&name))?;
        let Some(value) = value else { continue };
        let extents = unseal(&name, &value).and_then(|bytes| {
            let mut from = Read(bytes);
            let count = from.u32()?;
            (0..count).map(|_| Extent::read(&mut from)).collect::<Option<Vec<_>>>()
        });
        garbage.extend(extents.ok_or_else(|| damaged(&name, "is damaged"))?);
    }
    Ok(garbage)
}
