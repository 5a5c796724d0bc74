//! Salvage of a damaged store in a directory, for `kvfs fsck --repair`.

use anyhow::{Context, Result};
use kvfs_host::{FileSalvage, FileStore, Lost, OpenError, Salvaged};
use std::path::Path;

/// Most lost parts that are listed.
const MAX_LISTED: usize = 20;

/// Returns the directory that a store's URL names, if it names one.
pub(crate) fn directory_of(url: &str) -> Option<&Path> {
    url.strip_prefix("file:").map(Path::new)
}

/// Returns true if a store was not opened because it is damaged.
pub(crate) fn is_damage(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<OpenError>(), Some(OpenError::Damaged { .. }))
}

/// Puts a store of what can be read of the damaged one in its place.
pub(crate) fn salvage(url: &str, directory: &Path) -> Result<FileSalvage> {
    FileStore::salvage(directory).with_context(|| format!("{url}: cannot copy what can be read of it"))
}

/// Says what was taken and what is lost, and where the store as it was is now. `one_volume`: only one is
/// repaired.
pub(crate) fn notes(done: &FileSalvage, one_volume: bool, discard: bool) -> Result<Vec<String>> {
    let mut notes = report(&done.report, one_volume);
    if discard {
        std::fs::remove_dir_all(&done.kept)
            .with_context(|| format!("cannot remove the damaged store {}", done.kept.display()))?;
    } else {
        let kept = done.kept.display();
        notes.push(format!("the store as it was is {kept}; remove it when nothing is missed"));
    }
    Ok(notes)
}

fn report(report: &Salvaged, one_volume: bool) -> Vec<String> {
    let Salvaged { records, value_bytes, lost, lost_parts, lost_bytes, doubtful_keys, .. } = report;
    let mut notes = vec![format!(
        "copied {records} records with {value_bytes} bytes of values; {lost_parts} parts of files are lost, \
         with {lost_bytes} bytes; {doubtful_keys} values may be damaged"
    )];
    notes.extend(lost.iter().take(MAX_LISTED).map(part));
    let more = lost_parts.saturating_sub(lost.len().min(MAX_LISTED) as u64);
    if more > 0 {
        notes.push(format!("{more} more parts are lost"));
    }
    if !report.is_whole() && one_volume {
        notes.push("other volumes of the store may have lost entries too: check each of them".to_owned());
    }
    notes
}

fn part(lost: &Lost) -> String {
    let Lost { file, from, to, records, .. } = lost;
    match records {
        Some(records) => format!("lost: {file}, bytes {from} to {to}, with {records} records"),
        None => format!("lost: {file}, bytes {from} to {to}"),
    }
}
