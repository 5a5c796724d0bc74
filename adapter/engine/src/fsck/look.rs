//! One look at a volume: reads it and finds what is wrong.

use super::collect::collect;
use super::layered::Layered;
use super::paths;
use super::picture::Picture;
use super::relate::relate;
use super::report::{Finding, Invariant, Report};
use super::scrubbed;
use crate::backing::journal_view::{View, read_journal};
use crate::error::{Error, Result};
use crate::opening::checks::check_image;
use crate::store::KvStore;
use crate::stored::key::KeySpace;
use crate::stored::record::is_tombstone;
use crate::stored::record::journal::Changes;
use crate::stored::record::superblock::Superblock;

/// Fails if the store itself holds nothing of the volume.
pub(super) fn check_exists(store: &mut dyn KvStore, keys: &KeySpace) -> Result<()> {
    let (start, end) = keys.volume_range();
    let limits = store.limits()?;
    if store.scan(&start, &end, 1, limits.max_batch_bytes)?.is_empty() { Err(Error::NoEntry) } else { Ok(()) }
}

/// Reads the volume and finds what is wrong with it. Fails if its superblock can be read and names
/// another image.
pub(super) fn look(store: &mut Layered<'_>) -> Result<(Picture, Report)> {
    let mut report = Report::default();
    let keys = &store.keys().clone();
    let journalled = committed(store, keys, &mut report)?;
    let mut changes = journalled.clone();
    if store.image().is_some() || keys.layers_below() > 0 {
        // The view lies above the layers, where a hidden record is just missing.
        let is_hidden = |key: &[u8], value: &Option<Vec<u8>>| {
            value.as_ref().is_some_and(|value| is_tombstone(key, value))
        };
        changes.iter_mut().filter(|(key, value)| is_hidden(key, value)).for_each(|(_, value)| *value = None);
    }
    let mut picture = collect(&mut View { store, changes }, keys, &mut report)?;
    store.check(keys, &journalled, &mut picture, &mut report)?;
    relate(&picture, keys, &mut report);
    paths::name(&picture, keys, &mut report);
    scrubbed::list(&picture, &mut report);
    Ok((picture, report))
}

/// Returns the changes of a committed journal that are not in place yet.
fn committed(store: &mut Layered<'_>, keys: &KeySpace, report: &mut Report) -> Result<Changes> {
    let superblock = store.get(&[keys.superblock()])?.into_iter().next().flatten();
    let superblock = superblock.and_then(|value| Superblock::decode(keys.superblock(), &value).ok());
    if let Some(superblock) = &superblock {
        check_image(superblock, store.image())?;
    }
    // Without a superblock, there may be a journal.
    if superblock.is_some_and(|superblock| !superblock.has_journal()) {
        return Ok(Changes::new());
    }
    let limits = store.limits()?;
    match read_journal(store, keys, limits.max_batch_entries, limits.max_batch_bytes) {
        Ok(journal) => Ok(journal.committed.unwrap_or_default()),
        Err(Error::Damaged(damage)) => {
            let mut key = Vec::new();
            keys.journal_commit(&mut key);
            let what = format!("a committed journal that cannot be put in place: {}", damage.found);
            report.findings.push(Finding { invariant: Invariant::Journal, key, what, path: None });
            Ok(Changes::new())
        }
        Err(error) => Err(error),
    }
}
