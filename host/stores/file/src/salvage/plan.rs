//! Which segments count in a damaged store, and how much of each.

use super::scan::{Piece, Scan};
use crate::directory::{Directory, File};
use crate::list::List;
use crate::mark::Mark;
use crate::names::segment_name;
use crate::record::{FLAG_COPIES, FLAG_END, FLAG_SNAPSHOT};
use crate::salt::Salt;
use crate::segment::{list_of, open_segment, refuse_newer_form, salt_left};
use kvfs_contract::StoreError;

/// A segment that counts.
#[derive(Debug)]
pub(crate) struct Counted<F> {
    pub(crate) epoch: u64,
    /// `None` if it is missing.
    pub(crate) file: Option<F>,
    /// Nothing behind it counts.
    pub(crate) limit: u64,
    /// What is damaged before it is lost; what is damaged behind it is what a crash left.
    pub(crate) known_to: u64,
    /// `None` if nothing that is left tells it.
    pub(crate) salt: Option<Salt>,
}

/// A segment as its own records tell.
struct Surveyed<F> {
    epoch: u64,
    file: F,
    size_bytes: u64,
    durable_to: u64,
    salt: Option<Salt>,
    /// What its start lists, if that is whole and counts.
    list: Option<List>,
}

/// Decides which segments count. `epochs` are those in the directory, ascending.
///
/// The newest segment with a whole start that counts decides for those before it. Those behind it
/// have lost their starts, and count.
pub(crate) fn plan<D: Directory>(
    directory: &D,
    epochs: &[u64],
    marks: &[Mark],
) -> Result<Vec<Counted<D::File>>, StoreError> {
    let mut newest = Vec::new();
    let mut list = None;
    let mut rest = epochs.iter().rev();
    for &epoch in rest.by_ref() {
        let Some(file) = open_segment(directory, epoch)? else { continue };
        let salt = salt_left(directory, &file, epoch, epochs, marks)?;
        let mut surveyed = survey(file, epoch, salt)?;
        list = surveyed.list.take();
        newest.push(surveyed);
        if list.is_some() {
            break;
        }
    }
    let mut counted = Vec::new();
    for listed in list.unwrap_or_default().segments {
        let file = open_segment(directory, listed.epoch)?;
        let (epoch, limit) = (listed.epoch, listed.accepted_bytes);
        counted.push(Counted { epoch, file, limit, known_to: limit, salt: Some(listed.salt) });
    }
    for Surveyed { epoch, file, size_bytes, durable_to, salt, .. } in newest.into_iter().rev() {
        counted.push(Counted { epoch, file: Some(file), limit: size_bytes, known_to: durable_to, salt });
    }
    for mark in marks {
        let newest = counted.last().map_or(0, |last| last.epoch);
        match counted.iter_mut().find(|counted| counted.epoch == mark.epoch) {
            Some(counted) => counted.known_to = counted.known_to.max(mark.durable_bytes),
            None if mark.epoch > newest => {
                let (epoch, known_to) = (mark.epoch, mark.durable_bytes);
                counted.push(Counted { epoch, file: None, limit: 0, known_to, salt: None });
            }
            None => {}
        }
    }
    Ok(counted)
}

fn survey<F: File>(file: F, epoch: u64, noted: Option<Salt>) -> Result<Surveyed<F>, StoreError> {
    let size_bytes = file.status().map_err(|error| error.at(&segment_name(epoch)))?.size_bytes;
    let mut scan = Scan::new(&file, epoch, size_bytes, noted);
    let (mut list, mut needs_end, mut ended) = (None, false, false);
    while let Some(piece) = scan.next()? {
        let Piece::Record(record) = piece else { continue };
        let flags = record.header.flags;
        if record.offset == 0 {
            refuse_newer_form(&record)?;
            list = list_of(&record);
            needs_end = flags & (FLAG_SNAPSHOT | FLAG_COPIES) != 0;
        }
        // Only what follows the end of copies was ever made durable.
        ended |= flags & FLAG_END != 0 || record.header.synced_to > 0;
    }
    let (durable_to, salt) = (scan.durable_to(), scan.salt());
    ended |= durable_to > 0;
    let list = list.filter(|_| ended || !needs_end);
    Ok(Surveyed { epoch, file, size_bytes, durable_to, salt, list })
}
