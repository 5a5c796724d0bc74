//! Keeps damaged records as files without a name, which a later stage puts into `lost+found`.

use super::work::Work;
use super::writer::Change;
use crate::error::Result;
use crate::types::InodeNo;
use std::fmt::Write;

/// Keeps a damaged record as a file without a name, and removes it from its place or puts `instead`
/// there, in one apply.
///
/// A record that is too long for that stays in its place.
pub(super) fn keep_and_remove(
    work: &mut Work<'_>,
    key: Vec<u8>,
    what: &str,
    instead: Option<Vec<Change>>,
) -> Result<()> {
    let Some(value) = work.writer.value(&key)? else { return Ok(()) };
    let (ino, mut group) = kept_record(work, &key, &value)?;
    let replaced = instead.is_some();
    group.extend(instead.unwrap_or_else(|| vec![(key.clone(), None)]));
    if work.writer.fits(&group) {
        work.writer.put_group(group)?;
        let done = if replaced { "was made anew" } else { "was taken out" };
        work.note(key, format!("{what} {done}; the damaged record is kept as inode {}", ino.0));
    }
    Ok(())
}

/// Makes the file that keeps a record: a line of text with the key, then the value unchanged.
pub(super) fn kept_record(work: &mut Work<'_>, key: &[u8], value: &[u8]) -> Result<(InodeNo, Vec<Change>)> {
    let mut text = String::from("damaged record of key ");
    for byte in key {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(value);
    work.writer.new_file(&bytes)
}

/// Removes a record of a journal, and keeps it if one apply can do both.
pub(super) fn remove_journal_record(work: &mut Work<'_>, key: Vec<u8>, what: &str) -> Result<()> {
    let Some(value) = work.writer.value(&key)? else { return Ok(()) };
    let (ino, mut group) = kept_record(work, &key, &value)?;
    group.push((key.clone(), None));
    let kept = if work.writer.fits_one_apply(&group) {
        work.writer.put_group(group)?;
        format!("is kept as inode {}", ino.0)
    } else {
        work.writer.put((key.clone(), None))?;
        "was removed".to_owned()
    };
    work.note(key, format!("{what} {kept}"));
    Ok(())
}
